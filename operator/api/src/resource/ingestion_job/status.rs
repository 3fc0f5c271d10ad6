//! The status of an `IngestionJob`. No I/O.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use crate::{contract::ItemCounts, resource::job::JobStatus};

/// What the operator last saw of the job.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct IngestionJobStatus {
    /// What every kind of job has.
    #[serde(flatten)]
    pub job: JobStatus,
    /// The collection that is filled.
    #[schemars(length(max = 253))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub collection: Option<String>,
    /// Documents of the run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub documents: Option<ItemCounts>,
    /// Chunks stored by the run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chunks_created: Option<i64>,
    /// Chunks of the run whose vectors the cache held.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chunks_cached: Option<i64>,
    /// Bytes fetched by the run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<i64>,
}
