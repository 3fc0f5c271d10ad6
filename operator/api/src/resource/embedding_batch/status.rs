//! The status of an `EmbeddingBatch`. No I/O.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::resource::job::JobStatus;

/// What the operator last saw of the batch.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct EmbeddingBatchStatus {
    /// What every kind of job has.
    #[serde(flatten)]
    pub job: JobStatus,
    /// The collection that is filled; absent where vectors go into files.
    #[schemars(length(max = 253))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub collection: Option<String>,
    /// Texts of the run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub texts: Option<TextCounts>,
    /// Texts a second, for instance "41.5/s".
    #[schemars(length(max = 32))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub throughput: Option<String>,
    /// Price of the embedded tokens by spec.embedding.openAI.pricePerMillionTokens, for instance "0.1250"; of a dry run, what embedding would cost.
    #[schemars(length(max = 32))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub estimated_cost: Option<String>,
    /// What a dry run found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dry_run: Option<DryRunResult>,
}

/// Texts of one run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct TextCounts {
    /// Texts of the input.
    pub total: i32,
    /// Texts whose vectors are written; of a dry run, texts that were read.
    pub done: i32,
    /// Texts whose last attempt failed, those waiting for a retry included.
    pub failed: i32,
    /// Texts whose vectors the cache held.
    pub cached: i64,
}

/// What a dry run found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct DryRunResult {
    /// Tokens that embedding takes; equal texts count once where the batch deduplicates.
    pub tokens: i64,
    /// Texts that are equal to one before them.
    pub duplicates: i32,
    /// Texts with more tokens than the model takes.
    pub too_long: i32,
    /// Rows that hold no text that can be read; status.deadLetters.recent names the first.
    pub invalid: i32,
}
