//! The spec of an `IngestionJob` and the rules that the API server checks. No I/O.

use kube::{CustomResource, KubeSchema};
use serde::{Deserialize, Serialize};

use super::status::IngestionJobStatus;
use crate::{
    document::{Chunking, Parsing, SyncMode},
    resource::{job::JobOptions, source::Source},
};

/// What to ingest, and how. Once created only `suspend`, `parallelism`, `priority` and `ttlSecondsAfterFinished` can change.
#[derive(CustomResource, Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[kube(
    group = "workers.lexigram.dev",
    version = "v1alpha1",
    kind = "IngestionJob",
    plural = "ingestionjobs",
    singular = "ingestionjob",
    shortname = "ij",
    category = "lexigram",
    namespaced,
    status = "IngestionJobStatus",
    derive = "PartialEq",
    doc = "Documents of one source, listed, fetched, parsed, chunked, embedded and stored in one collection.",
    printcolumn(name = "State", type_ = "string", json_path = ".status.state", description = "What the job is doing"),
    printcolumn(name = "Progress", type_ = "string", json_path = ".status.progress", description = "Documents processed of all documents"),
    printcolumn(name = "Chunks", type_ = "integer", json_path = ".status.chunksCreated", description = "Chunks stored by the run"),
    printcolumn(name = "Failed", type_ = "string", json_path = ".status.deadLetters.summary", description = "Documents that failed, by what is done about them"),
    printcolumn(name = "Collection", type_ = "string", json_path = ".status.collection", description = "The collection that is filled", priority = 1),
    printcolumn(name = "Retry", type_ = "string", json_path = ".status.deadLetters.nextRetryTime", description = "When the next retry is started", priority = 1),
    printcolumn(name = "Reason", type_ = "string", json_path = ".status.conditions[?(@.type==\"Complete\")].reason", description = "Why the job is, or is not yet, complete", priority = 1),
    printcolumn(name = "Duration", type_ = "string", json_path = ".status.duration", description = "Time from the first start to completion, or until now", priority = 1),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp", description = "Time since the object was created"),
    validation = Rule::new("has(self.spec.collection) || size(self.metadata.name) <= 200")
        .message("spec.collection: set it (at most 200 characters), since metadata.name is too long to serve as the collection's name")
)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("self.chunking.overlapTokens < self.chunking.maxTokens")
        .message("spec.chunking.overlapTokens: must be less than spec.chunking.maxTokens"),
    validation = Rule::new("self.source == oldSelf.source")
        .message("spec.source is immutable: delete the IngestionJob and create it again; stored documents stay"),
    validation = Rule::new("has(self.collection) == has(oldSelf.collection) && (!has(self.collection) || self.collection == oldSelf.collection)")
        .message("spec.collection is immutable: create another IngestionJob for another collection"),
    validation = Rule::new("self.sync == oldSelf.sync")
        .message("spec.sync is immutable: delete the IngestionJob and create it again; stored documents stay"),
    validation = Rule::new("self.parsing == oldSelf.parsing")
        .message("spec.parsing is immutable: delete the IngestionJob and create it again; stored documents stay"),
    validation = Rule::new("self.chunking == oldSelf.chunking")
        .message("spec.chunking is immutable: delete the IngestionJob and create it again; stored documents stay")
)]
pub struct IngestionJobSpec {
    /// Where documents come from: exactly one of configMap, persistentVolumeClaim, http, s3, git and inline.
    pub source: Source,
    /// The collection that chunks go into; the object's name where absent. Several jobs may fill one collection.
    #[schemars(length(min = 1, max = 200), regex(pattern = r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$"))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub collection: Option<String>,
    /// What happens to stored documents that are gone from the source: Append (they stay) or Mirror (they are removed, unless the listing failed or was partial).
    #[serde(default)]
    pub sync: SyncMode,
    /// Limits for turning one document into text.
    #[serde(default)]
    pub parsing: Parsing,
    /// How text is cut into the pieces that are embedded.
    #[serde(default)]
    pub chunking: Chunking,
    /// What every kind of job has.
    #[serde(flatten)]
    pub job: JobOptions,
}

impl IngestionJobSpec {
    /// The collection's name, given the object's name.
    #[must_use]
    pub fn collection_or<'a>(&'a self, object_name: &'a str) -> &'a str {
        self.collection.as_deref().unwrap_or(object_name)
    }
}
