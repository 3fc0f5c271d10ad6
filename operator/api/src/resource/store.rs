//! Where vectors and the ledger are kept. No I/O.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::embedding::{ConfigMapKeyReference, default_ca_key};
use crate::postgres::PostgresSettings;

/// Where vectors and the ledger are kept: exactly one of `embedded` and `postgres`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("[has(self.embedded), has(self.postgres)].filter(x, x).size() == 1")
    .message("spec.store: set exactly one store, embedded or postgres"))]
pub struct Store {
    /// One SQLite file a collection, on the claim `lexigram-store` in the job's namespace. The operator makes the claim and never deletes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub embedded: Option<EmbeddedStore>,
    /// A Postgres database with the extension pgvector: for collections that many clients read, and for `parallelism` above 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub postgres: Option<PostgresStore>,
}

impl Default for Store {
    fn default() -> Self {
        Self { embedded: Some(EmbeddedStore {}), postgres: None }
    }
}

/// The store inside the worker. It has no settings.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
pub struct EmbeddedStore {}

/// A Postgres database with the extension pgvector.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!(has(self.caBundleSecretRef) && has(self.caBundleConfigMapRef))")
    .message("spec.store.postgres: set at most one of caBundleSecretRef and caBundleConfigMapRef"))]
#[x_kube(validation = Rule::new("!(has(self.caBundleSecretRef) || has(self.caBundleConfigMapRef)) || !has(self.tlsMode) || self.tlsMode == 'VerifyFull'")
    .message("spec.store.postgres.tlsMode: certificates are checked only with VerifyFull; set it, or remove the CA bundle"))]
pub struct PostgresStore {
    /// A key of a Secret in the job's namespace that holds the connection URI, `postgresql://user:password@host:5432/database`. The key is `uri` where absent, as operators such as CloudNativePG write it.
    pub connection_secret_ref: ConnectionSecretReference,
    /// A key of a Secret in the job's namespace that holds certificates in PEM, trusted beside the public ones; only this key is given to workers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_bundle_secret_ref: Option<CaSecretReference>,
    /// A key of a ConfigMap in the job's namespace that holds certificates in PEM, trusted beside the public ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_bundle_config_map_ref: Option<ConfigMapKeyReference>,
    /// How the database is used.
    #[serde(flatten)]
    pub settings: PostgresSettings,
}

/// A key of a Secret that holds a connection URI.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ConnectionSecretReference {
    /// Name of the Secret.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    /// The key.
    #[schemars(length(min = 1, max = 253), regex(pattern = r"^[-._a-zA-Z0-9]+$"))]
    #[serde(default = "default_uri_key")]
    pub key: String,
}

fn default_uri_key() -> String {
    "uri".to_owned()
}

/// A key of a Secret that holds certificates.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CaSecretReference {
    /// Name of the Secret.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    /// The key.
    #[schemars(length(min = 1, max = 253), regex(pattern = r"^[-._a-zA-Z0-9]+$"))]
    #[serde(default = "default_ca_key")]
    pub key: String,
}
