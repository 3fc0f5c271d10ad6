//! What the worker of an `EmbeddingBatch` is told, and the volumes that its input and output need. Pure builders, no I/O.

use lexigram_api::{
    contract::{
        BATCH_LEDGER, EmbedTask, HTTP_HEADERS_PATH, InputLocation, Mode, OUTPUT_PATH, OutputLocation, SOURCE_PATH,
        StoreLocation,
    },
    resource::{BatchInput, EmbeddingBatchSpec, FilesOutput},
};

use crate::controller::{
    job::{network, provider, store},
    worker_pod::{Mount, Owner},
};

/// The embedding of a batch's texts.
pub(super) fn task(owner: &Owner, spec: &EmbeddingBatchSpec, mode: Mode) -> EmbedTask {
    let (output, store) = output(owner, spec);
    EmbedTask {
        scope: format!("batch/{}", owner.name),
        mode,
        input: location(&spec.input),
        format: spec.input.format,
        fields: spec.input.fields.clone(),
        deduplicate: spec.deduplicate,
        dry_run: spec.dry_run,
        embedding: provider::embedding(&spec.job.embedding, spec.job.parallelism),
        output,
        store,
        failure_policy: spec.job.failure_policy.clone(),
    }
}

fn location(input: &BatchInput) -> InputLocation {
    if let Some(map) = &input.config_map {
        return InputLocation::File { path: format!("{SOURCE_PATH}/{}", map.key) };
    }
    if let Some(claim) = &input.persistent_volume_claim {
        return InputLocation::File { path: provider::below(SOURCE_PATH, &claim.path) };
    }
    if let Some(http) = &input.http {
        let headers_directory = http.headers_secret_ref.as_ref().map(|_| HTTP_HEADERS_PATH.to_owned());
        let access = network::access(&http.access);
        return InputLocation::Http { url: http.url.clone(), headers_directory, access };
    }
    InputLocation::Inline { texts: input.texts.clone().unwrap_or_default() }
}

fn output(owner: &Owner, spec: &EmbeddingBatchSpec) -> (OutputLocation, StoreLocation) {
    if let Some(files) = files(spec) {
        let directory = provider::below(OUTPUT_PATH, files.path.as_deref().unwrap_or(&owner.name));
        let owner = owner.uid.clone();
        return (
            OutputLocation::Files { directory, format: files.format, owner },
            store::location(&spec.job.store, BATCH_LEDGER),
        );
    }
    let collection = spec.collection_or(&owner.name).unwrap_or(&owner.name);
    (OutputLocation::Collection { collection: collection.to_owned() }, store::location(&spec.job.store, collection))
}

fn files(spec: &EmbeddingBatchSpec) -> Option<&FilesOutput> {
    spec.output.as_ref()?.files.as_ref()
}

/// Volumes with the input, with what it takes to read it, and with the output.
pub(super) fn mounts(spec: &EmbeddingBatchSpec) -> Vec<Mount> {
    let input = &spec.input;
    let map = input.config_map.as_ref().map(|map| Mount::config_map("source", &map.name, SOURCE_PATH));
    let claim = input.persistent_volume_claim.as_ref();
    let claim = claim.map(|claim| Mount::claim("source", &claim.claim_name, SOURCE_PATH));
    let ca = input.http.as_ref().and_then(|http| network::mount(&http.access));
    let headers = input.http.as_ref().and_then(|http| http.headers_secret_ref.as_ref());
    let headers = headers.map(|secret| Mount::secret("http-headers", &secret.name, HTTP_HEADERS_PATH));
    let output = files(spec).filter(|_| !spec.dry_run);
    let output = output.map(|files| Mount { writable: true, ..Mount::claim("output", &files.claim_name, OUTPUT_PATH) });
    [map, claim, headers, ca, output].into_iter().flatten().collect()
}
