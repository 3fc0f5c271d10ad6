//! The spec of an `IngestionJob` and the rules that the API server checks. No I/O.

use kube::{CustomResource, KubeSchema};
use serde::{Deserialize, Serialize};

use super::status::IngestionJobStatus;
use crate::{
    document::{Chunking, Parsing, SyncMode},
    failure::FailurePolicy,
    resource::{embedding::Embedding, source::Source, store::Store, worker::WorkerOverrides},
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
    printcolumn(name = "Failed", type_ = "integer", json_path = ".status.documents.failed", description = "Documents whose last attempt failed"),
    printcolumn(name = "Collection", type_ = "string", json_path = ".status.collection", description = "The collection that is filled", priority = 1),
    printcolumn(name = "Reason", type_ = "string", json_path = ".status.conditions[?(@.type==\"Complete\")].reason", description = "Why the job is, or is not yet, complete", priority = 1),
    printcolumn(name = "Duration", type_ = "string", json_path = ".status.duration", description = "Time from the first start to completion, or until now", priority = 1),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp", description = "Time since the object was created"),
    validation = Rule::new("has(self.spec.collection) || size(self.metadata.name) <= 200")
        .message("spec.collection: set it (at most 200 characters), since metadata.name is too long to serve as the collection's name")
)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("!has(self.store.embedded) || self.parallelism == 1")
        .message("spec.parallelism: the embedded store takes one writer; set parallelism to 1"),
    validation = Rule::new("self.chunking.overlapTokens < self.chunking.maxTokens")
        .message("spec.chunking.overlapTokens: must be less than spec.chunking.maxTokens"),
    validation = Rule::new("self.failurePolicy.backoffBaseSeconds <= self.failurePolicy.backoffCapSeconds")
        .message("spec.failurePolicy.backoffBaseSeconds: must not exceed spec.failurePolicy.backoffCapSeconds"),
    validation = Rule::new("!has(self.failurePolicy.actions) || self.failurePolicy.actions.all(a, self.failurePolicy.actions.exists_one(b, a.category == b.category))")
        .message("spec.failurePolicy.actions: names a category twice; give each category one action"),
    validation = Rule::new("self.source == oldSelf.source")
        .message("spec.source is immutable: delete the IngestionJob and create it again; stored documents stay"),
    validation = Rule::new("has(self.collection) == has(oldSelf.collection) && (!has(self.collection) || self.collection == oldSelf.collection)")
        .message("spec.collection is immutable: create another IngestionJob for another collection"),
    validation = Rule::new("self.sync == oldSelf.sync")
        .message("spec.sync is immutable: delete the IngestionJob and create it again; stored documents stay"),
    validation = Rule::new("self.parsing == oldSelf.parsing")
        .message("spec.parsing is immutable: delete the IngestionJob and create it again; stored documents stay"),
    validation = Rule::new("self.chunking == oldSelf.chunking")
        .message("spec.chunking is immutable: delete the IngestionJob and create it again; stored documents stay"),
    validation = Rule::new("self.embedding == oldSelf.embedding")
        .message("spec.embedding is immutable: create another IngestionJob with another collection"),
    validation = Rule::new("self.store == oldSelf.store")
        .message("spec.store is immutable: create another IngestionJob for another store"),
    validation = Rule::new("has(self.queueName) == has(oldSelf.queueName) && (!has(self.queueName) || self.queueName == oldSelf.queueName)")
        .message("spec.queueName is immutable: delete the IngestionJob and create it again; stored documents stay"),
    validation = Rule::new("has(self.activeDeadlineSeconds) == has(oldSelf.activeDeadlineSeconds) && (!has(self.activeDeadlineSeconds) || self.activeDeadlineSeconds == oldSelf.activeDeadlineSeconds)")
        .message("spec.activeDeadlineSeconds is immutable: delete the IngestionJob and create it again; stored documents stay"),
    validation = Rule::new("self.failurePolicy == oldSelf.failurePolicy")
        .message("spec.failurePolicy is immutable: delete the IngestionJob and create it again; stored documents stay"),
    validation = Rule::new("self.worker == oldSelf.worker")
        .message("spec.worker is immutable: delete the IngestionJob and create it again; stored documents stay")
)]
pub struct IngestionJobSpec {
    /// Where documents come from: exactly one of configMap, persistentVolumeClaim, http and inline.
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
    /// Which model turns text into vectors.
    #[serde(default)]
    pub embedding: Embedding,
    /// Where vectors and the ledger of documents are kept.
    #[serde(default)]
    pub store: Store,
    /// Worker pods that share the work. The embedded store takes one.
    #[schemars(range(min = 1, max = 1000))]
    #[serde(default = "one")]
    pub parallelism: i32,
    /// Queued jobs with a higher priority start first; among equals the older one.
    #[schemars(range(min = -1_000_000, max = 1_000_000))]
    #[serde(default)]
    pub priority: i32,
    /// Kueue LocalQueue: the Job is created suspended with this queue's label, and Kueue admits it.
    #[schemars(length(min = 1, max = 63), regex(pattern = r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$"))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queue_name: Option<String>,
    /// Stops the work and starts none while true; false goes on where it stopped.
    #[serde(default)]
    pub suspend: bool,
    /// Seconds that one run may be active before it is stopped and the job fails with reason DeadlineExceeded.
    #[schemars(range(min = 1, max = 31_536_000))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub active_deadline_seconds: Option<i32>,
    /// Seconds after completion or failure after which this object is deleted; never where absent. What it stored stays.
    #[schemars(range(min = 0, max = 31_536_000))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl_seconds_after_finished: Option<i32>,
    /// What happens to documents that fail.
    #[serde(default)]
    pub failure_policy: FailurePolicy,
    /// Overrides for the worker pods.
    #[serde(default)]
    pub worker: WorkerOverrides,
}

const fn one() -> i32 {
    1
}

impl IngestionJobSpec {
    /// The collection's name, given the object's name.
    #[must_use]
    pub fn collection_or<'a>(&'a self, object_name: &'a str) -> &'a str {
        self.collection.as_deref().unwrap_or(object_name)
    }
}
