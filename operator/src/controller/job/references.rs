//! What a spec names in its namespace: looked for before a run is started, so that no pod waits for it. Reads metadata.

use std::fmt;

use k8s_openapi::api::core::v1::{ConfigMap, PersistentVolumeClaim, Secret};
use kube::{Api, Client};
use lexigram_api::resource::{Embedding, JobOptions, Store};

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

/// What stands against a start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Obstacle {
    /// The spec names something that the namespace lacks.
    Missing(Reference),
    /// It could not be found out whether something is there.
    Unknown {
        /// Reason of the error.
        reason: &'static str,
        /// Its message.
        message: String,
    },
}

impl Obstacle {
    /// It in one constant CamelCase word.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::Missing(missing) => missing.missing_reason(),
            Self::Unknown { reason, .. } => reason,
        }
    }
}

impl fmt::Display for Obstacle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing(missing) => missing.fmt(f),
            Self::Unknown { message, .. } => {
                write!(f, "cannot find out whether what the spec names is there: {message}; it is tried again")
            }
        }
    }
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
        write!(f, "{field}: there is no {kind} '{name}' in this namespace; create it, and work starts by itself")
    }
}

/// What the options of a job name.
#[must_use]
pub fn of_options(options: &JobOptions) -> Vec<Reference> {
    [of_embedding(&options.embedding), of_store(&options.store)].concat()
}

/// What a choice of a model names.
#[must_use]
pub fn of_embedding(embedding: &Embedding) -> Vec<Reference> {
    let mut named = Vec::new();
    if let Some(model) = &embedding.embedded {
        let field = "spec.embedding.embedded.persistentVolumeClaim.claimName";
        named.extend(model.persistent_volume_claim.iter().map(|claim| Reference::claim(&claim.claim_name, field)));
        let field = "spec.embedding.embedded.configMap.name";
        named.extend(model.config_map.iter().map(|map| Reference::config_map(&map.name, field)));
    }
    if let Some(server) = &embedding.openai {
        let field = "spec.embedding.openAI.apiKeySecretRef.name";
        named.extend(server.api_key_secret_ref.iter().map(|key| Reference::secret(&key.name, field)));
        let field = "spec.embedding.openAI.headersSecretRef.name";
        named.extend(server.headers_secret_ref.iter().map(|secret| Reference::secret(&secret.name, field)));
        let field = "spec.embedding.openAI.caBundleConfigMapRef.name";
        named.extend(server.ca_bundle_config_map_ref.iter().map(|map| Reference::config_map(&map.name, field)));
    }
    named
}

/// What a store names.
#[must_use]
pub fn of_store(store: &Store) -> Vec<Reference> {
    let Some(postgres) = &store.postgres else { return Vec::new() };
    let field = "spec.store.postgres.connectionSecretRef.name";
    let mut named = vec![Reference::secret(&postgres.connection_secret_ref.name, field)];
    let field = "spec.store.postgres.caBundleSecretRef.name";
    named.extend(postgres.ca_bundle_secret_ref.iter().map(|secret| Reference::secret(&secret.name, field)));
    let field = "spec.store.postgres.caBundleConfigMapRef.name";
    named.extend(postgres.ca_bundle_config_map_ref.iter().map(|map| Reference::config_map(&map.name, field)));
    named
}

/// Looks for all of it: a digest of the versions that are there, or what is missing.
pub(in crate::controller) async fn look(
    client: &Client,
    namespace: &str,
    named: impl IntoIterator<Item = Reference>,
) -> Result<Option<String>, Obstacle> {
    let mut versions = Vec::new();
    for reference in named {
        match version(client, namespace, &reference).await {
            Ok(Some(version)) => versions.push(version),
            Ok(None) => return Err(Obstacle::Missing(reference)),
            Err(error) => return Err(Obstacle::Unknown { reason: error.reason(), message: error.to_string() }),
        }
    }
    Ok((!versions.is_empty()).then(|| digest(&versions)))
}

/// Which version of it is there; nothing if it is not. Reads metadata only, never what a Secret holds. A claim has but one
/// version: what lies on it changes without the claim.
async fn version(client: &Client, namespace: &str, reference: &Reference) -> Result<Option<String>, ControllerError> {
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
