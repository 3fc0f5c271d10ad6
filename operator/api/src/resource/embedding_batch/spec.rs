//! The spec of an `EmbeddingBatch` and the rules that the API server checks. No I/O.

use kube::{CustomResource, KubeSchema};
use serde::{Deserialize, Serialize};

use super::{input::BatchInput, output::BatchOutput, status::EmbeddingBatchStatus};
use crate::resource::job::JobOptions;

/// What to embed, and where vectors go. Once created only `suspend`, `parallelism`, `priority` and `ttlSecondsAfterFinished` can change.
#[derive(CustomResource, Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[kube(
    group = "workers.lexigram.dev",
    version = "v1alpha1",
    kind = "EmbeddingBatch",
    plural = "embeddingbatches",
    singular = "embeddingbatch",
    shortname = "eb",
    category = "lexigram",
    namespaced,
    status = "EmbeddingBatchStatus",
    derive = "PartialEq",
    doc = "The texts of one input, embedded into a collection or into files.",
    printcolumn(name = "State", type_ = "string", json_path = ".status.state", description = "What the batch is doing"),
    printcolumn(name = "Progress", type_ = "string", json_path = ".status.progress", description = "Texts processed of all texts"),
    printcolumn(name = "Failed", type_ = "string", json_path = ".status.deadLetters.summary", description = "Texts that failed, by what is done about them"),
    printcolumn(name = "Rate", type_ = "string", json_path = ".status.throughput", description = "Texts a second"),
    printcolumn(name = "Cached", type_ = "integer", json_path = ".status.texts.cached", description = "Texts whose vectors the cache held", priority = 1),
    printcolumn(name = "Tokens", type_ = "integer", json_path = ".status.tokens", description = "Tokens embedded", priority = 1),
    printcolumn(name = "Retry", type_ = "string", json_path = ".status.deadLetters.nextRetryTime", description = "When the next retry is started", priority = 1),
    printcolumn(name = "Reason", type_ = "string", json_path = ".status.conditions[?(@.type==\"Complete\")].reason", description = "Why the batch is, or is not yet, complete", priority = 1),
    printcolumn(name = "Duration", type_ = "string", json_path = ".status.duration", description = "Time from the first start to completion, or until now", priority = 1),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp", description = "Time since the object was created"),
    validation = Rule::new("has(self.spec.output) || size(self.metadata.name) <= 200")
        .message("spec.output: set it, since metadata.name is too long to serve as the collection's name")
)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("self.input == oldSelf.input")
        .message("spec.input is immutable: create another EmbeddingBatch for other texts"),
    validation = Rule::new("has(self.output) == has(oldSelf.output) && (!has(self.output) || self.output == oldSelf.output)")
        .message("spec.output is immutable: create another EmbeddingBatch for another output"),
    validation = Rule::new("!has(self.output) || !has(self.output.files) || self.embedding.onModelChange == 'Refuse'")
        .message("spec.embedding.onModelChange: Rebuild needs spec.output.collection, since files are never rebuilt"),
    validation = Rule::new("!has(self.output) || !has(self.output.files) || self.parallelism == 1")
        .message("spec.parallelism: files have one writer; set parallelism to 1, or use spec.output.collection"),
    validation = Rule::new("!self.dryRun || self.parallelism == 1")
        .message("spec.parallelism: a dry run has one worker; set parallelism to 1"),
    validation = Rule::new("self.deduplicate == oldSelf.deduplicate")
        .message("spec.deduplicate is immutable: delete the EmbeddingBatch and create it again"),
    validation = Rule::new("self.dryRun == oldSelf.dryRun")
        .message("spec.dryRun is immutable: create another EmbeddingBatch with dryRun false, which embeds the texts")
)]
pub struct EmbeddingBatchSpec {
    /// Where texts come from: exactly one of texts, configMap, persistentVolumeClaim and http.
    pub input: BatchInput,
    /// Where vectors go: a collection with the object's name where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<BatchOutput>,
    /// Whether equal texts are embedded once, those that the store's cache remembers not at all. Every row has its vector all the same.
    #[serde(default = "yes")]
    pub deduplicate: bool,
    /// Whether texts are only read and counted: status.dryRun tells of tokens, cost, equal and too long texts, and the batch is complete.
    #[serde(default)]
    pub dry_run: bool,
    /// What every kind of job has.
    #[serde(flatten)]
    pub job: JobOptions,
}

const fn yes() -> bool {
    true
}

impl EmbeddingBatchSpec {
    /// The collection's name, given the object's name; none where vectors go into files.
    #[must_use]
    pub fn collection_or<'a>(&'a self, object_name: &'a str) -> Option<&'a str> {
        match &self.output {
            None => Some(object_name),
            Some(output) => output.collection.as_deref(),
        }
    }
}
