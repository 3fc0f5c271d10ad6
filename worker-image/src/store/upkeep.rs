//! Maintenance of a whole store: what each kind of store does with its collections. The trait, and what passes through
//! it; no I/O here.

use std::{any::Any, time::Duration};

use jiff::Timestamp;
use lexigram_api::{failure::ArchivePolicy, maintenance::IndexOptimization};
use tokio_util::sync::CancellationToken;

use super::StoreFuture;

/// How long a task may work on a store.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Told when the task is over, also where nobody waits for it any longer.
    pub stop: CancellationToken,
    /// How long it may take.
    pub timeout: Duration,
}

/// What is held while a process maintains a store.
pub type Held = Box<dyn Any + Send + Sync>;

/// How a collection fills the room that it takes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Condition {
    /// Bytes that it takes.
    pub bytes: i64,
    /// Part of them that holds nothing, or what was removed; in percent.
    pub free_percent: i64,
    /// How long a search for the neighbours of one of its vectors took; none if it has no vectors.
    pub search: Option<Duration>,
}

/// What came of giving free room back.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Optimized {
    /// As it was.
    pub before: Condition,
    /// As it is now.
    pub after: Condition,
    /// What was not done, and why.
    pub left: Vec<String>,
}

/// What does not fit together in a collection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Orphans {
    /// Chunks that no ledger row knows, or that have no vector.
    pub chunks: i64,
    /// Vectors and entries of the index of words without a chunk.
    pub entries: i64,
    /// Documents that have fewer chunks than the ledger says.
    pub documents: i64,
    /// Rebuilds that ended half-way, and that nobody goes on with.
    pub rebuilds: i64,
}

impl Orphans {
    /// All of them.
    #[must_use]
    pub const fn total(self) -> i64 {
        self.chunks + self.entries + self.documents + self.rebuilds
    }

    /// Those of both.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self {
            chunks: self.chunks + other.chunks,
            entries: self.entries + other.entries,
            documents: self.documents + other.documents,
            rebuilds: self.rebuilds + other.rebuilds,
        }
    }
}

/// What a look at a collection found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Examined {
    /// Fingerprint of the model that it was filled with; none if it holds a ledger only.
    pub model: Option<String>,
    /// Numbers in a vector, as the collection was made.
    pub dimension: i64,
    /// What of it is not whole, each with what to do.
    pub broken: Vec<String>,
    /// Vectors with another number of them.
    pub misfits: i64,
    /// Chunks.
    pub chunks: i64,
    /// What does not fit together; rebuilds are not looked for.
    pub orphans: Orphans,
    /// Items that failed and are not given up.
    pub dead_letters: i64,
    /// When something was stored last, or found unchanged.
    pub newest: Option<Timestamp>,
}

/// What the cache may keep.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CacheBounds {
    /// Vectors that were used last before this time are forgotten.
    pub oldest: Timestamp,
    /// Bytes at the most.
    pub most_bytes: i64,
    /// Vectors of other models than these are forgotten, see [`model_number`](super::model_number); none if of none.
    pub models: Option<Vec<i64>>,
}

/// What came of bounding the cache.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CacheCleaned {
    /// Vectors that went because nobody had used them for long.
    pub by_age: i64,
    /// Vectors that went because of their model.
    pub by_model: i64,
    /// Vectors that went because there were too many.
    pub by_size: i64,
    /// Bytes that the cache took.
    pub bytes_before: i64,
    /// Bytes that it takes now.
    pub bytes_after: i64,
    /// What was not done, and why.
    pub left: Option<String>,
}

/// A store with all its collections.
pub trait Upkeep: Send + Sync {
    /// Keeps other processes from maintaining the store until the result is dropped; none if one does already.
    fn hold(&self) -> StoreFuture<'_, Option<Held>>;
    /// Names of the collections in order, that of [`BATCH_LEDGER`](lexigram_api::contract::BATCH_LEDGER) among them.
    fn collections(&self) -> StoreFuture<'_, Vec<String>>;
    /// Gives free room of a collection back, and keeps its searches fast.
    fn optimize<'a>(&'a self, collection: &'a str, settings: &'a IndexOptimization) -> StoreFuture<'a, Optimized>;
    /// Removes archived ledger rows that the policy no longer keeps, and returns how many.
    fn prune_archive<'a>(&'a self, collection: &'a str, policy: &'a ArchivePolicy) -> StoreFuture<'a, i64>;
    /// Removes what no ledger row knows and puts documents that have lost chunks back among those to be ingested; in a
    /// dry run both are only counted.
    fn clean_orphans<'a>(&'a self, collection: &'a str, dry_run: bool) -> StoreFuture<'a, Orphans>;
    /// Looks at a collection; one that is damaged is an error.
    fn examine<'a>(&'a self, collection: &'a str) -> StoreFuture<'a, Examined>;
    /// Fingerprints of the models that a collection is, or is being, filled with.
    fn models<'a>(&'a self, collection: &'a str) -> StoreFuture<'a, Vec<String>>;
    /// Forgets what the cache may not keep.
    fn clean_cache<'a>(&'a self, bounds: &'a CacheBounds) -> StoreFuture<'a, CacheCleaned>;
    /// Removes temporary files of processes that are gone, and returns how many.
    fn remove_temporary(&self) -> StoreFuture<'_, i64>;
    /// Free space of the store's volume in percent, where that is known.
    fn free_percent(&self) -> StoreFuture<'_, Option<i64>>;
}
