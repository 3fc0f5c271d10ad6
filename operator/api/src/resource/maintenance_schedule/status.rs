//! The status of a `MaintenanceSchedule`: a projection of what was observed, never an input. No I/O.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    contract::TaskResult,
    maintenance::{HealthCheckName, TaskType},
    resource::job::DeadLetterStatus,
};

/// Most bytes of JSON that [`MaintenanceScheduleStatus::runs`] takes.
pub const MAX_RUNS_BYTES: usize = 10 * 1024;

/// What the operator last saw of the schedule.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct MaintenanceScheduleStatus {
    /// Generation of the spec that this status speaks of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Ready (the schedule was accepted and is active), Healthy (what the newest health check found), Reconciling and Stalled; RequestAccepted where an annotation asks for a run; Notified where the operator's webhook is told.
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    #[schemars(length(max = 6))]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
    /// When runs are due, in words, for instance "30 2 * * * Europe/Berlin" or "every 15m00s".
    #[schemars(length(max = 200))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schedule: Option<String>,
    /// When the newest run was due; of one that was asked for, the time that the annotation says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_schedule_time: Option<Time>,
    /// When the next run is due; absent while the schedule is not active.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_schedule_time: Option<Time>,
    /// When the newest run without a failed task ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_success_time: Option<Time>,
    /// Names of the Jobs that are at work.
    #[schemars(length(max = 16), inner(length(max = 63)))]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub active: Vec<String>,
    /// What the newest run that has ended worked on, all its tasks together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub items: Option<i64>,
    /// The runs that are kept, newest first; fewer where they would be too long for a status.
    #[schemars(length(max = 32))]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub runs: Vec<MaintenanceRun>,
    /// What the newest health check found.
    #[schemars(length(max = 8))]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub checks: Vec<CheckStatus>,
    /// Tasks that failed, and what is done about them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dead_letters: Option<DeadLetterStatus>,
    /// The last value of the annotation workers.lexigram.dev/run that was acted on.
    #[schemars(length(max = 64))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_run_request: Option<String>,
}

/// One run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MaintenanceRun {
    /// Name of its Job.
    #[schemars(length(max = 63))]
    pub job: String,
    /// When it was due, or asked for.
    pub scheduled_time: Time,
    /// When its Job was started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_time: Option<Time>,
    /// When its Job ended; absent while it is at work.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end_time: Option<Time>,
    /// Succeeded, Failed (a task, or all of it) or Skipped (every task); absent while it is at work.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "TaskResult")]
    pub result: Option<TaskResult>,
    /// Why the run failed as a whole.
    #[schemars(length(max = 256))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// What came of its tasks.
    #[schemars(length(max = 16))]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tasks: Vec<TaskStatus>,
}

/// What came of one task.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TaskStatus {
    /// Its name.
    #[schemars(length(max = 32))]
    pub name: String,
    /// Its type: IndexOptimization, CacheCleanup, ArchiveCleanup, OrphanCleanup, HealthCheck or Resync.
    #[serde(rename = "type")]
    pub task_type: TaskType,
    /// Succeeded, Failed or Skipped.
    pub result: TaskResult,
    /// What it worked on: collections, vectors, dead letters, chunks, checks or runs.
    pub items: i64,
    /// Bytes that the store takes less than before.
    pub bytes_freed: i64,
    /// What it did, or why it did not; empty in older runs where all of it would be too long for a status.
    #[schemars(length(max = 256))]
    pub message: String,
}

/// What one check found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CheckStatus {
    /// Which check: StoreReachable, StoreIntact, CountsAgree, FingerprintsAgree, FreeSpace, ProviderReady, DeadLetters or Freshness.
    pub name: HealthCheckName,
    /// Whether it holds.
    pub passed: bool,
    /// What was found.
    #[schemars(length(max = 256))]
    pub message: String,
}
