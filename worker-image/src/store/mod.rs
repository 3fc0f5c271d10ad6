//! Where chunks, vectors and the ledger are kept: the trait that stores share, and what passes through it. No I/O here.
//!
//! A store acknowledges a write by returning; only then does it count. The order of writes is such that a process may
//! die between any two of them: new chunks, then the ledger row, then the removal of old chunks.

mod cache;
mod columns;
mod dead_letters;
mod error;
mod fusion;
mod ledger;
mod place;
pub(crate) mod postgres;
mod rebuild;
mod sqlite;
mod texts;
mod upkeep;

use std::ops::Range;

use futures::future::BoxFuture;
use jiff::Timestamp;
use lexigram_api::{
    contract::{OpenCircuit, Selection},
    failure::ArchivePolicy,
};
use serde::Serialize;
use uuid::Uuid;

pub use cache::{CacheKey, EmbeddingCache, model_number};
pub use dead_letters::{DeadLetterStore, Wanted};
pub use error::StoreError;
pub use fusion::{fuse, words};
pub use ledger::{CIRCUIT_OPEN, DocumentState, FailedAttempt, LedgerRow, Outcome, RunSummary, WorkItem, printable};
pub use place::{Place, Shard, Writer, upkeep_of};
pub use postgres::{PostgresCache, PostgresRebuild, PostgresStore};
pub use rebuild::{LeftChunk, Rebuild};
pub use sqlite::{SqliteCache, SqliteRebuild, SqliteStore};
pub use texts::{FailedText, ListedRange, RangeWrite, Spent, StoredText, TextItem, TextStore, TextWrite};
pub use upkeep::{CacheBounds, CacheCleaned, Condition, Examined, Held, Limits, Optimized, Orphans, Upkeep};

use crate::{parse::About, source::Listed};

/// What a method of a store returns.
pub type StoreFuture<'a, T> = BoxFuture<'a, Result<T, StoreError>>;

/// One run over one source: the pods of one Kubernetes Job share it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunKey {
    /// The source; document names are unique within it.
    pub scope: String,
    /// Name of the run.
    pub run: String,
}

/// What a collection is filled with.
#[derive(Clone, Copy, Debug)]
pub struct Collection<'a> {
    /// Its name, for messages.
    pub name: &'a str,
    /// Fingerprint of the embedding model; it never changes.
    pub model: &'a str,
    /// Numbers in a vector.
    pub dimension: usize,
}

/// How far the listing of a run has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listing {
    /// Not ended: the source has to be listed, from its beginning.
    Open,
    /// Everything that the source holds is in the ledger.
    Complete,
    /// Another process of the run lists the source.
    Awaited,
}

/// A chunk with its vector, ready to be stored.
#[derive(Clone, Debug, PartialEq)]
pub struct EmbeddedChunk {
    /// Deterministic: the same document, revision and ordinal give the same id.
    pub id: Uuid,
    /// Position within the document, from 0.
    pub ordinal: i32,
    /// The text that was embedded.
    pub text: String,
    /// Headings that the chunk stands under, outermost first.
    pub headings: Vec<String>,
    /// Page on which the chunk begins, from 1.
    pub page: Option<i32>,
    /// Where the chunk stands in the parsed text, in bytes.
    pub bytes: Range<usize>,
    /// Tokens of the text.
    pub tokens: i32,
    /// The vector.
    pub vector: Vec<f32>,
}

/// Everything that makes a document done.
#[derive(Clone, Debug, PartialEq)]
pub struct DocumentWrite {
    /// The ledger row.
    pub document: i64,
    /// Content hash and pipeline fingerprint.
    pub revision: String,
    /// Fingerprint of parser, chunker and model.
    pub pipeline: String,
    /// Bytes that were fetched.
    pub bytes: i64,
    /// Tokens that the provider has embedded for it.
    pub tokens: i64,
    /// Vectors that came out of the cache.
    pub cached: i64,
    /// What the parser says of the document; it takes the place of what an earlier one said.
    pub about: About,
    /// The chunks; they replace those of every other revision.
    pub chunks: Vec<EmbeddedChunk>,
}

/// A chunk that a search found.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Hit {
    /// Id of the chunk.
    pub id: Uuid,
    /// How well it fits. By vector: cosine similarity of query and chunk, from −1 to 1; by words: whatever the store
    /// reckons, more being better; by both: see [`fuse`].
    pub score: f64,
    /// Source of the document.
    pub scope: String,
    /// Name of the document; id of the text if it is one of a batch.
    pub document: String,
    /// Position within the document, from 0.
    pub ordinal: i32,
    /// Headings that the chunk stands under, outermost first.
    pub headings: Vec<String>,
    /// Page on which the chunk begins, from 1.
    pub page: Option<i32>,
    /// Text of the chunk.
    pub text: String,
    /// What a batch keeps beside the text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metadata: Option<serde_json::Value>,
}

/// One collection: its chunks, its vectors, its ledger.
pub trait Store: DeadLetterStore {
    /// Starts or resumes a full run and says whether its source has been listed.
    fn begin_full<'a>(&'a self, run: &'a RunKey) -> StoreFuture<'a, Listing>;
    /// Starts or resumes a retry run: takes the failed documents that were due at that time. Taken once, they stay the run's.
    fn begin_retry<'a>(&'a self, run: &'a RunKey, due_before: Timestamp) -> StoreFuture<'a, ()>;
    /// Starts or resumes a run over dead letters that a person has selected: it takes those that had failed at that
    /// time, archived ones too, and each has all its attempts. Taken once, they stay the run's, and are due.
    fn begin_again<'a>(
        &'a self,
        run: &'a RunKey,
        selection: &'a Selection,
        failed_before: Timestamp,
    ) -> StoreFuture<'a, ()>;
    /// Starts or resumes a run that gives up dead letters which a person has selected, of those that had failed at that
    /// time. They are the run's, and nothing of it waits.
    fn begin_archive<'a>(
        &'a self,
        run: &'a RunKey,
        selection: &'a Selection,
        failed_before: Timestamp,
    ) -> StoreFuture<'a, ()>;
    /// Adds listed documents to the run. Those that are done in their present version and `pipeline` are skipped at once.
    fn add_listed<'a>(&'a self, run: &'a RunKey, listed: Vec<Listed>, pipeline: &'a str) -> StoreFuture<'a, ()>;
    /// Notes that the whole source was listed: from now on the run's total stands still.
    fn end_listing<'a>(&'a self, run: &'a RunKey) -> StoreFuture<'a, ()>;
    /// Documents of the scope that an earlier process had in hand when it died.
    fn interrupted<'a>(&'a self, run: &'a RunKey) -> StoreFuture<'a, Vec<WorkItem>>;
    /// Notes that a worker died with this document in hand. It waits for its next attempt within its run.
    fn suspect(&self, attempt: FailedAttempt) -> StoreFuture<'_, ()>;
    /// Notes that a worker died with this document in hand for the last time. It has failed in `run`, whichever run had it:
    /// the listing of a new one does not take it anew.
    fn give_up<'a>(&'a self, run: &'a RunKey, attempt: FailedAttempt) -> StoreFuture<'a, ()>;
    /// Marks a document of the run that waits as in flight: those that never failed first, then the one that failed
    /// longest ago; suspects come last. None when no document waits.
    fn claim<'a>(&'a self, run: &'a RunKey) -> StoreFuture<'a, Option<WorkItem>>;
    /// Puts every document of the scope that is in flight back among those that wait, as if it had not been claimed.
    fn release<'a>(&'a self, run: &'a RunKey) -> StoreFuture<'a, ()>;
    /// Stores a document's new chunks, marks it done, then removes its old chunks.
    fn complete(&self, write: DocumentWrite) -> StoreFuture<'_, ()>;
    /// Marks a document as unchanged.
    fn skip(&self, document: i64) -> StoreFuture<'_, ()>;
    /// Notes a failed attempt. Chunks of an older revision stay.
    fn fail(&self, attempt: FailedAttempt) -> StoreFuture<'_, ()>;
    /// Puts off what the run has not decided until the circuit's next probe. No attempt is spent.
    fn postpone<'a>(&'a self, run: &'a RunKey, circuit: &'a OpenCircuit, now: Timestamp) -> StoreFuture<'a, ()>;
    /// Removes the documents of the scope that the run's listing does not have, and returns how many.
    fn remove_unlisted<'a>(&'a self, run: &'a RunKey) -> StoreFuture<'a, i32>;
    /// Removes archived ledger rows that the policy no longer keeps, and returns how many.
    fn prune_archive<'a>(&'a self, policy: &'a ArchivePolicy, now: Timestamp) -> StoreFuture<'a, i64>;
    /// Counts of the run, and the newest failures of its source; the figures of [`DeadLetterStore`] are left out.
    fn summary<'a>(&'a self, run: &'a RunKey) -> StoreFuture<'a, RunSummary>;
    /// Tells that a run is through, as far as this process is concerned: a store that makes its index once everything is
    /// loaded makes it now.
    fn index<'a>(&'a self, _run: &'a RunKey) -> StoreFuture<'a, ()> {
        Box::pin(async { Ok(()) })
    }
    /// The `limit` chunks that hold most of the words, which come from [`words`]; best first.
    fn search_words<'a>(&'a self, words: &'a [String], limit: usize) -> StoreFuture<'a, Vec<Hit>>;
    /// The `limit` chunks nearest to the vector, best first.
    fn search<'a>(&'a self, vector: &'a [f32], limit: usize) -> StoreFuture<'a, Vec<Hit>>;
    /// Rows of the ledger by scope and name, up to `limit`.
    fn documents(&self, only_failed: bool, limit: usize) -> StoreFuture<'_, Vec<LedgerRow>>;
    /// Fingerprint of the model that the collection was filled with.
    fn model(&self) -> StoreFuture<'_, String>;
}
