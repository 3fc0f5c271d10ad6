//! What the worker of an `IngestionJob` is told, and the volumes that its source needs. Pure builders, no I/O.

use lexigram_api::{
    contract::{HTTP_HEADERS_PATH, IngestTask, Mode, SOURCE_CREDENTIALS_PATH, SOURCE_PATH, SourceLocation},
    resource::{IngestionJobSpec, Source},
    source::{GitSettings, S3Settings},
};

use crate::controller::{
    job::{network, provider, store},
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
        embedding: provider::embedding(&spec.job.embedding, spec.job.parallelism),
        store: store::location(&spec.job.store, collection),
        failure_policy: spec.job.failure_policy.clone(),
    }
}

/// Documents of a ConfigMap, claim, bucket or repository belong to it, whichever job reads them; the others belong to their job.
fn scope(owner: &Owner, source: &Source) -> String {
    if let Some(map) = &source.config_map {
        return format!("configMap/{}", map.name);
    }
    if let Some(claim) = &source.persistent_volume_claim {
        return provider::below(&format!("persistentVolumeClaim/{}", claim.claim_name), &claim.path);
    }
    if let Some(s3) = &source.s3 {
        return bucket_scope(&s3.settings);
    }
    if let Some(git) = &source.git {
        return repository_scope(&git.settings);
    }
    let kind = if source.http.is_some() { "http" } else { "inline" };
    format!("{kind}/{}", owner.name)
}

/// Server, bucket and prefix; AWS goes without saying.
fn bucket_scope(settings: &S3Settings) -> String {
    let S3Settings { bucket, prefix, endpoint, .. } = settings;
    let server = endpoint.as_deref().map(|endpoint| endpoint.rsplit("://").next().unwrap_or(endpoint));
    let server = server.map_or_else(|| "s3".to_owned(), |server| format!("s3/{}", server.trim_end_matches('/')));
    match prefix.as_str() {
        "" => format!("{server}/{bucket}"),
        prefix => format!("{server}/{bucket}/{prefix}"),
    }
}

/// Repository, ref and path; HEAD goes without saying.
fn repository_scope(settings: &GitSettings) -> String {
    let GitSettings { url, reference, path } = settings;
    let url = url.rsplit("://").next().unwrap_or(url).trim_end_matches('/');
    let reference = if reference == "HEAD" { String::new() } else { format!("@{reference}") };
    provider::below(&format!("git/{url}{reference}"), path)
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
            crawl: http.crawl.clone(),
            headers_directory: http.headers_secret_ref.as_ref().map(|_| HTTP_HEADERS_PATH.to_owned()),
            access: network::access(&http.access),
        };
    }
    if let Some(s3) = &source.s3 {
        return SourceLocation::S3 {
            settings: s3.settings.clone(),
            credentials_directory: s3.credentials_secret_ref.as_ref().map(|_| SOURCE_CREDENTIALS_PATH.to_owned()),
            access: network::access(&s3.access),
        };
    }
    if let Some(git) = &source.git {
        return SourceLocation::Git {
            settings: git.settings.clone(),
            credentials_directory: git.credentials_secret_ref.as_ref().map(|_| SOURCE_CREDENTIALS_PATH.to_owned()),
            access: network::access(&git.access),
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
    let credentials = source.s3.as_ref().and_then(|s3| s3.credentials_secret_ref.as_ref());
    let login = source.git.as_ref().and_then(|git| git.credentials_secret_ref.as_ref());
    let credentials =
        credentials.or(login).map(|secret| Mount::secret("source-credentials", &secret.name, SOURCE_CREDENTIALS_PATH));
    let http = source.http.as_ref().map(|http| &http.access);
    let access = http.or(source.s3.as_ref().map(|s3| &s3.access)).or(source.git.as_ref().map(|git| &git.access));
    [map, claim, headers, credentials, access.and_then(network::mount)].into_iter().flatten().collect()
}
