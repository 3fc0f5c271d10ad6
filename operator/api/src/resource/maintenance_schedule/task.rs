//! The tasks of a `MaintenanceSchedule`. No I/O.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    failure::ArchivePolicy,
    maintenance::{CacheCleanup, HealthCheck, IndexOptimization, OrphanCleanup, TaskType},
};

/// One task: its type, and the settings of that type, which have defaults.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("!has(self.indexOptimization) || self.type == 'IndexOptimization'")
        .message("spec.tasks: indexOptimization is for tasks of type IndexOptimization; remove it, or change the type"),
    validation = Rule::new("!has(self.cacheCleanup) || self.type == 'CacheCleanup'")
        .message("spec.tasks: cacheCleanup is for tasks of type CacheCleanup; remove it, or change the type"),
    validation = Rule::new("!has(self.archiveCleanup) || self.type == 'ArchiveCleanup'")
        .message("spec.tasks: archiveCleanup is for tasks of type ArchiveCleanup; remove it, or change the type"),
    validation = Rule::new("!has(self.orphanCleanup) || self.type == 'OrphanCleanup'")
        .message("spec.tasks: orphanCleanup is for tasks of type OrphanCleanup; remove it, or change the type"),
    validation = Rule::new("!has(self.healthCheck) || self.type == 'HealthCheck'")
        .message("spec.tasks: healthCheck is for tasks of type HealthCheck; remove it, or change the type"),
    validation = Rule::new("has(self.resync) == (self.type == 'Resync')")
        .message("spec.tasks: a task of type Resync, and no other, has resync.ingestionJob, the name of an IngestionJob")
)]
pub struct MaintenanceTask {
    /// Name of the task, unique within the schedule.
    #[schemars(length(min = 1, max = 32), regex(pattern = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"))]
    pub name: String,
    /// What it does: IndexOptimization (gives free space back, keeps searches fast), CacheCleanup (bounds the embedding cache), ArchiveCleanup (bounds the archive of dead letters), OrphanCleanup (mends what ledger and chunks do not agree on), HealthCheck (looks at store, provider and ledger) or Resync (starts a run of an IngestionJob again).
    #[serde(rename = "type")]
    pub task_type: TaskType,
    /// Seconds that the task may take; it is stopped then, and has failed.
    #[schemars(range(min = 1, max = 86_400))]
    #[serde(default = "timeout_seconds")]
    pub timeout_seconds: i32,
    /// Settings of an IndexOptimization.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub index_optimization: Option<IndexOptimization>,
    /// Settings of a CacheCleanup.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache_cleanup: Option<CacheCleanup>,
    /// Settings of an ArchiveCleanup: what is kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub archive_cleanup: Option<ArchivePolicy>,
    /// Settings of an OrphanCleanup.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub orphan_cleanup: Option<OrphanCleanup>,
    /// Settings of a HealthCheck.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub health_check: Option<HealthCheck>,
    /// What a Resync starts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resync: Option<ResyncTarget>,
}

const fn timeout_seconds() -> i32 {
    600
}

/// What a Resync starts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ResyncTarget {
    /// Name of an IngestionJob in the schedule's namespace. While it is at work, the task is skipped and says so.
    #[schemars(length(min = 1, max = 253))]
    pub ingestion_job: String,
}
