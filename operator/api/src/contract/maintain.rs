//! Maintenance of a store: what a worker is told, and what it says of each task. No I/O, no secrets.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Embedding, PostgresServer, report::RunError};
use crate::{
    failure::{ArchivePolicy, FailureRule},
    maintenance::{CacheCleanup, HealthCheck, HealthCheckName, IndexOptimization, OrphanCleanup, TaskType},
};

/// Maintenance of a store's collections. A worker without tasks succeeds at once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct MaintainTask {
    /// The store.
    pub store: StoreRoot,
    /// Names or globs of collections; all of the store where empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub collections: Vec<String>,
    /// What health checks probe.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub embedding: Option<Embedding>,
    /// What to do, in this order; one that fails does not stop those after it.
    pub tasks: Vec<MaintenanceStep>,
    /// Rules that give failures another category.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<FailureRule>,
}

/// A store with all its collections.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all_fields = "camelCase")]
pub enum StoreRoot {
    /// SQLite files, `NAME.db` each.
    Sqlite {
        /// The directory that they lie in; a directory that is not there is an empty store.
        directory: String,
        /// The embedding cache that they share.
        cache: String,
    },
    /// Schemas of a Postgres database.
    Postgres(PostgresServer),
}

/// One task.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct MaintenanceStep {
    /// Its name, unique among the tasks.
    pub name: String,
    /// Seconds that it may take; it is stopped then, and has failed.
    pub timeout_seconds: i32,
    /// What it does.
    pub work: MaintenanceWork,
}

/// What a task of a worker does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type")]
pub enum MaintenanceWork {
    /// Gives free space back and keeps searches fast.
    IndexOptimization(IndexOptimization),
    /// Bounds the embedding cache, and removes temporary files of dead runs.
    CacheCleanup(CacheCleanup),
    /// Bounds the archive of dead letters.
    ArchiveCleanup(ArchivePolicy),
    /// Removes what no ledger row knows, and queues again what has lost its chunks.
    OrphanCleanup(OrphanCleanup),
    /// Looks at store, provider and ledger.
    HealthCheck(HealthCheck),
}

impl MaintenanceWork {
    /// Its type.
    #[must_use]
    pub const fn task_type(&self) -> TaskType {
        match self {
            Self::IndexOptimization(_) => TaskType::IndexOptimization,
            Self::CacheCleanup(_) => TaskType::CacheCleanup,
            Self::ArchiveCleanup(_) => TaskType::ArchiveCleanup,
            Self::OrphanCleanup(_) => TaskType::OrphanCleanup,
            Self::HealthCheck(_) => TaskType::HealthCheck,
        }
    }
}

/// How a task ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub enum TaskResult {
    /// It did what it is for.
    Succeeded,
    /// It could not.
    Failed,
    /// It was left out, and the message says why.
    Skipped,
}

/// What came of a task.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TaskReport {
    /// Its name.
    pub name: String,
    /// How it ended.
    pub result: TaskResult,
    /// Collections, vectors, dead letters, chunks or checks that it worked on.
    #[serde(default)]
    pub items: i64,
    /// Bytes that the store takes less than before.
    #[serde(default)]
    pub bytes_freed: i64,
    /// What it did, for a person.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// Why it failed; only where its result is Failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<RunError>,
    /// What a health check found.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub checks: Vec<CheckReport>,
}

/// What one check of a health check found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CheckReport {
    /// Which check.
    pub name: HealthCheckName,
    /// Whether it holds.
    pub passed: bool,
    /// What was found, for a person.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
}
