//! The embedding provider of a job, as its worker finds it: settings, keys and certificates. Pure builders, no I/O.

use super::Mount;
use crate::{
    contract::{
        EMBEDDING_CA_PATH, EMBEDDING_HEADERS_PATH, EMBEDDING_KEY_PATH, Embedding, EmbeddingProvider, MODEL_PATH,
    },
    resource::{EmbeddedModel, Embedding as EmbeddingSpec},
};

/// The provider that the worker is told to use; so many workers share its budget.
#[must_use]
pub fn embedding(spec: &EmbeddingSpec, shards: i32) -> Embedding {
    let EmbeddingSpec { embedded, openai, truncate, on_model_change } = spec;
    let provider = match openai {
        Some(server) => EmbeddingProvider::OpenAI {
            settings: server.settings.clone(),
            api_key_file: server.api_key_secret_ref.as_ref().map(|key| format!("{EMBEDDING_KEY_PATH}/{}", key.key)),
            headers_directory: server.headers_secret_ref.as_ref().map(|_| EMBEDDING_HEADERS_PATH.to_owned()),
            ca_file: server.ca_bundle_config_map_ref.as_ref().map(|map| format!("{EMBEDDING_CA_PATH}/{}", map.key)),
        },
        None => local(&embedded.clone().unwrap_or_default()),
    };
    Embedding { provider, truncate: *truncate, on_model_change: *on_model_change, shards }
}

fn local(model: &EmbeddedModel) -> EmbeddingProvider {
    let directory = match (&model.persistent_volume_claim, &model.config_map) {
        (Some(claim), _) => Some(below(MODEL_PATH, &claim.path)),
        (None, Some(_)) => Some(MODEL_PATH.to_owned()),
        (None, None) => None,
    };
    EmbeddingProvider::Local { model: model.model.clone(), directory }
}

/// A path below the root of a mounted claim.
#[must_use]
pub fn below(mount: &str, path: &str) -> String {
    match path.trim_matches('/') {
        "" => mount.to_owned(),
        path => format!("{mount}/{path}"),
    }
}

/// Volumes with what the provider needs.
#[must_use]
pub fn mounts(embedding: &EmbeddingSpec) -> Vec<Mount> {
    let mut mounts = Vec::new();
    if let Some(model) = &embedding.embedded {
        let claim = model.persistent_volume_claim.as_ref();
        mounts.extend(claim.map(|claim| Mount::claim("model", &claim.claim_name, MODEL_PATH)));
        mounts.extend(model.config_map.as_ref().map(|map| Mount::config_map("model", &map.name, MODEL_PATH)));
    }
    if let Some(server) = &embedding.openai {
        let key = server.api_key_secret_ref.as_ref();
        mounts.extend(key.map(|key| Mount::secret("embedding-key", &key.name, EMBEDDING_KEY_PATH)));
        let headers = server.headers_secret_ref.as_ref();
        mounts.extend(headers.map(|secret| Mount::secret("embedding-headers", &secret.name, EMBEDDING_HEADERS_PATH)));
        let ca = server.ca_bundle_config_map_ref.as_ref();
        mounts.extend(ca.map(|map| Mount::config_map("embedding-ca", &map.name, EMBEDDING_CA_PATH)));
    }
    mounts
}
