//! The part of a job's status that tells of its newest runs. No I/O.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::contract::ItemCounts;

/// How many runs status tells of at the most.
pub const MAX_RUNS: usize = 5;

/// How a run has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub enum RunResult {
    /// It came to its end, whatever became of single documents or texts.
    Succeeded,
    /// It failed as a whole.
    Failed,
}

/// One full run: everything that the spec names was looked through.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RunRecord {
    /// Name of the run: its Kubernetes Job.
    #[schemars(length(max = 63))]
    pub name: String,
    /// When it was started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_time: Option<Time>,
    /// When it ended; its retries may have ended later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub completion_time: Option<Time>,
    /// How it ended, Succeeded or Failed; absent while it is at work.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "RunResult")]
    pub result: Option<RunResult>,
    /// What its documents or texts have come to, with its retries.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub items: Option<ItemCounts>,
}
