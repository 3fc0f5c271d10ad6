//! What a spec names in its namespace: looked for before a run is started, so that no pod waits for it. Reads metadata.

use std::fmt;

use k8s_openapi::api::core::v1::{ConfigMap, PersistentVolumeClaim, Secret};
use kube::{Api, Client};
use lexigram_api::resource::JobOptions;

use crate::{
    controller::{ControllerError, apply},
    names::short_hash,
};

/// Something that a spec names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference {
    /// What kind of thing.
    pub kind: ReferenceKind,
    /// Its name.
    pub name: String,
    /// The field that names it.
    pub field: &'static str,
}

/// What a spec can name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReferenceKind {
    /// A ConfigMap.
    ConfigMap,
    /// A PersistentVolumeClaim.
    Claim,
    /// A Secret.
    Secret,
}

impl Reference {
    /// A ConfigMap.
    #[must_use]
    pub fn config_map(name: &str, field: &'static str) -> Self {
        Self { kind: ReferenceKind::ConfigMap, name: name.to_owned(), field }
    }

    /// A PersistentVolumeClaim.
    #[must_use]
    pub fn claim(name: &str, field: &'static str) -> Self {
        Self { kind: ReferenceKind::Claim, name: name.to_owned(), field }
    }

    /// A Secret.
    #[must_use]
    pub fn secret(name: &str, field: &'static str) -> Self {
        Self { kind: ReferenceKind::Secret, name: name.to_owned(), field }
    }

    /// Its lack in one constant word.
    #[must_use]
    pub const fn missing_reason(&self) -> &'static str {
        match self.kind {
            ReferenceKind::ConfigMap => "ConfigMapNotFound",
            ReferenceKind::Claim => "PersistentVolumeClaimNotFound",
            ReferenceKind::Secret => "SecretNotFound",
        }
    }
}

impl fmt::Display for Reference {
    /// What to do where it is missing.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            ReferenceKind::ConfigMap => "ConfigMap",
            ReferenceKind::Claim => "PersistentVolumeClaim",
            ReferenceKind::Secret => "Secret",
        };
        let Self { field, name, .. } = self;
        write!(f, "{field}: there is no {kind} '{name}' in this namespace; create it, and the job starts by itself")
    }
}

/// What the options of a job name.
#[must_use]
pub fn of_options(options: &JobOptions) -> Vec<Reference> {
    let mut named = Vec::new();
    if let Some(model) = &options.embedding.embedded {
        let field = "spec.embedding.embedded.persistentVolumeClaim.claimName";
        named.extend(model.persistent_volume_claim.iter().map(|claim| Reference::claim(&claim.claim_name, field)));
        let field = "spec.embedding.embedded.configMap.name";
        named.extend(model.config_map.iter().map(|map| Reference::config_map(&map.name, field)));
    }
    if let Some(server) = &options.embedding.openai {
        let field = "spec.embedding.openAI.apiKeySecretRef.name";
        named.extend(server.api_key_secret_ref.iter().map(|key| Reference::secret(&key.name, field)));
        let field = "spec.embedding.openAI.headersSecretRef.name";
        named.extend(server.headers_secret_ref.iter().map(|secret| Reference::secret(&secret.name, field)));
        let field = "spec.embedding.openAI.caBundleConfigMapRef.name";
        named.extend(server.ca_bundle_config_map_ref.iter().map(|map| Reference::config_map(&map.name, field)));
    }
    if let Some(postgres) = &options.store.postgres {
        let field = "spec.store.postgres.connectionSecretRef.name";
        named.push(Reference::secret(&postgres.connection_secret_ref.name, field));
        let field = "spec.store.postgres.caBundleSecretRef.name";
        named.extend(postgres.ca_bundle_secret_ref.iter().map(|secret| Reference::secret(&secret.name, field)));
        let field = "spec.store.postgres.caBundleConfigMapRef.name";
        named.extend(postgres.ca_bundle_config_map_ref.iter().map(|map| Reference::config_map(&map.name, field)));
    }
    named
}

/// Which version of it is there; nothing if it is not. Reads metadata only, never what a Secret holds. A claim has but one
/// version: what lies on it changes without the claim.
pub(super) async fn version(
    client: &Client,
    namespace: &str,
    reference: &Reference,
) -> Result<Option<String>, ControllerError> {
    let name = &reference.name;
    match reference.kind {
        ReferenceKind::ConfigMap => {
            apply::version(&Api::<ConfigMap>::namespaced(client.clone(), namespace), name).await
        }
        ReferenceKind::Claim => {
            let claims = Api::<PersistentVolumeClaim>::namespaced(client.clone(), namespace);
            Ok(apply::exists(&claims, name).await?.then(String::new))
        }
        ReferenceKind::Secret => apply::version(&Api::<Secret>::namespaced(client.clone(), namespace), name).await,
    }
}

/// All versions as one short word.
#[must_use]
pub fn digest(versions: &[String]) -> String {
    short_hash(&versions.join(","), 8)
}
