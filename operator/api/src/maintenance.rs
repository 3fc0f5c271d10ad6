//! Settings of maintenance tasks: the same words in a manifest and in a work spec. No I/O.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a maintenance task does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub enum TaskType {
    /// Gives free space back and keeps searches fast.
    IndexOptimization,
    /// Bounds the embedding cache, and removes temporary files of dead runs.
    CacheCleanup,
    /// Bounds the archive of dead letters.
    ArchiveCleanup,
    /// Removes what no ledger row knows, and queues again what has lost its chunks.
    OrphanCleanup,
    /// Looks at store, provider and ledger.
    HealthCheck,
    /// Starts a run of an IngestionJob again.
    Resync,
}

impl TaskType {
    /// The name as it stands in manifests, reports and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::IndexOptimization => "IndexOptimization",
            Self::CacheCleanup => "CacheCleanup",
            Self::ArchiveCleanup => "ArchiveCleanup",
            Self::OrphanCleanup => "OrphanCleanup",
            Self::HealthCheck => "HealthCheck",
            Self::Resync => "Resync",
        }
    }
}

impl fmt::Display for TaskType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// When an index is worth the work, and how long others may wait for it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct IndexOptimization {
    /// Free pages of a file, or dead rows and index entries of a table, above which they are given back; in percent.
    #[schemars(range(min = 0, max = 100))]
    pub max_free_percent: i32,
    /// Seconds that a run which writes may have to wait because of this task. What cannot be done in that time is left, and the task says so.
    #[schemars(range(min = 1, max = 600))]
    pub max_block_seconds: i32,
}

impl Default for IndexOptimization {
    fn default() -> Self {
        Self { max_free_percent: 20, max_block_seconds: 30 }
    }
}

/// What the embedding cache may keep.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct CacheCleanup {
    /// Seconds since a vector was last used after which it is forgotten.
    #[schemars(range(min = 60, max = 315_360_000))]
    pub max_age_seconds: i32,
    /// Most vectors that are kept, in mebibytes; those that were used longest ago go first.
    #[schemars(range(min = 0, max = 16_777_216))]
    pub max_mebibytes: i32,
    /// Whether vectors of models that no collection of the store is filled with are forgotten.
    pub remove_unused_models: bool,
}

impl Default for CacheCleanup {
    fn default() -> Self {
        Self { max_age_seconds: 90 * 24 * 3600, max_mebibytes: 4096, remove_unused_models: true }
    }
}

/// What is done about what does not fit together.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct OrphanCleanup {
    /// Whether it is only counted.
    pub dry_run: bool,
}

/// What counts as healthy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct HealthCheck {
    /// Free space that the store's claim has to have, in percent. Of a database it is not known.
    #[schemars(range(min = 0, max = 99))]
    pub min_free_percent: i32,
    /// Seconds within which spec.embedding has to answer a probe; there is no probe without spec.embedding.
    #[schemars(range(min = 1, max = 600))]
    pub max_latency_seconds: i32,
    /// Dead letters that a collection may have, archived ones aside; no limit where absent.
    #[schemars(range(min = 0, max = 1_000_000_000))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_dead_letters: Option<i32>,
    /// Seconds since a document of a collection was last stored, or found unchanged; no limit where absent.
    #[schemars(range(min = 60, max = 315_360_000))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_staleness_seconds: Option<i32>,
}

impl Default for HealthCheck {
    fn default() -> Self {
        Self { min_free_percent: 10, max_latency_seconds: 10, max_dead_letters: None, max_staleness_seconds: None }
    }
}

/// One of the things that a health check looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub enum HealthCheckName {
    /// The store can be opened.
    StoreReachable,
    /// Its files, or its indexes, are whole.
    StoreIntact,
    /// The ledger and the chunks tell of the same.
    CountsAgree,
    /// Every vector has the collection's dimension, and spec.embedding is the model that filled it.
    FingerprintsAgree,
    /// The claim has room.
    FreeSpace,
    /// The provider answers in time.
    ProviderReady,
    /// Not too much has failed.
    DeadLetters,
    /// Not too long ago something was stored.
    Freshness,
}

impl HealthCheckName {
    /// All of them, in the order in which they are made.
    pub const ALL: [Self; 8] = [
        Self::StoreReachable,
        Self::StoreIntact,
        Self::CountsAgree,
        Self::FingerprintsAgree,
        Self::FreeSpace,
        Self::ProviderReady,
        Self::DeadLetters,
        Self::Freshness,
    ];

    /// The name as it stands in status and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::StoreReachable => "StoreReachable",
            Self::StoreIntact => "StoreIntact",
            Self::CountsAgree => "CountsAgree",
            Self::FingerprintsAgree => "FingerprintsAgree",
            Self::FreeSpace => "FreeSpace",
            Self::ProviderReady => "ProviderReady",
            Self::DeadLetters => "DeadLetters",
            Self::Freshness => "Freshness",
        }
    }

    /// What is wrong where it does not hold, in one constant CamelCase word: the reason of the condition `Healthy`.
    #[must_use]
    pub const fn failure(self) -> &'static str {
        match self {
            Self::StoreReachable => "StoreUnreachable",
            Self::StoreIntact => "StoreDamaged",
            Self::CountsAgree => "CountsDiffer",
            Self::FingerprintsAgree => "FingerprintsDiffer",
            Self::FreeSpace => "SpaceLow",
            Self::ProviderReady => "ProviderNotReady",
            Self::DeadLetters => "TooManyDeadLetters",
            Self::Freshness => "IngestionStale",
        }
    }
}
