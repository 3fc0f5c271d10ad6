//! What the worker of an `IngestionJob` is told, and the volumes that its source needs. Pure builders, no I/O.

use lexigram_api::{
    contract::{HTTP_HEADERS_PATH, IngestTask, Mode, SOURCE_PATH, SourceLocation},
    resource::{IngestionJobSpec, Source},
};

use crate::controller::{
    job::{provider, store},
    worker_pod::{Mount, Owner},
};

/// The ingestion of a job's documents.
pub(super) fn task(owner: &Owner, spec: &IngestionJobSpec, mode: Mode) -> IngestTask {
    let collection = spec.collection_or(&owner.name);
    IngestTask {
        collection: collection.to_owned(),
        scope: scope(owner, &spec.source),
        mode,
        source: location(&spec.source),
        include: spec.source.include.clone(),
        exclude: spec.source.exclude.clone(),
        sync: spec.sync,
        parsing: spec.parsing.clone(),
        chunking: spec.chunking.clone(),
        embedding: provider::embedding(&spec.job),
        store: store::location(&spec.job.store, collection),
        failure_policy: spec.job.failure_policy.clone(),
    }
}

/// Documents of a ConfigMap or claim belong to it, whichever job reads them; the others belong to their job.
fn scope(owner: &Owner, source: &Source) -> String {
    if let Some(map) = &source.config_map {
        return format!("configMap/{}", map.name);
    }
    if let Some(claim) = &source.persistent_volume_claim {
        return provider::below(&format!("persistentVolumeClaim/{}", claim.claim_name), &claim.path);
    }
    let kind = if source.http.is_some() { "http" } else { "inline" };
    format!("{kind}/{}", owner.name)
}

fn location(source: &Source) -> SourceLocation {
    if source.config_map.is_some() {
        return SourceLocation::Directory { path: SOURCE_PATH.to_owned() };
    }
    if let Some(claim) = &source.persistent_volume_claim {
        return SourceLocation::Directory { path: provider::below(SOURCE_PATH, &claim.path) };
    }
    if let Some(http) = &source.http {
        return SourceLocation::Http {
            urls: http.urls.clone(),
            headers_directory: http.headers_secret_ref.as_ref().map(|_| HTTP_HEADERS_PATH.to_owned()),
        };
    }
    SourceLocation::Inline { documents: source.inline.clone().unwrap_or_default() }
}

/// Volumes with the source, or with what it takes to read it.
pub(super) fn mounts(source: &Source) -> Vec<Mount> {
    let map = source.config_map.as_ref().map(|map| Mount::config_map("source", &map.name, SOURCE_PATH));
    let claim = source.persistent_volume_claim.as_ref();
    let claim = claim.map(|claim| Mount::claim("source", &claim.claim_name, SOURCE_PATH));
    let headers = source.http.as_ref().and_then(|http| http.headers_secret_ref.as_ref());
    let headers = headers.map(|secret| Mount::secret("http-headers", &secret.name, HTTP_HEADERS_PATH));
    [map, claim, headers].into_iter().flatten().collect()
}
