//! What a store keeps of batches: ranges of rows, and the single texts that failed. No I/O here.
//!
//! A range is a row of the ledger that stands for many texts. Its weight is how many of them it speaks for: a text that
//! fails leaves the range and gets a row of its own, so that a million rows need a thousand rows of the ledger.

use uuid::Uuid;

use super::{FailedAttempt, RunKey, Store, StoreFuture, WorkItem};

/// A range of an input, as the listing found it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedRange {
    /// Name, unique within the batch: `rows 1001-2000`.
    pub name: String,
    /// Changes when the rows do.
    pub version: String,
    /// Whether what an earlier run has written of it is still there.
    pub kept: bool,
    /// Rows in it.
    pub rows: i32,
    /// Rows before it.
    pub first_row: i64,
    /// Where the input holds it, JSON.
    pub place: String,
}

/// A range, or a text that has failed before, in the hands of a worker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TextItem {
    /// As for a document.
    pub item: WorkItem,
    /// Texts that it stands for.
    pub weight: i32,
    /// Where the input holds it, JSON.
    pub place: String,
    /// What it held when it was listed.
    pub version: Option<String>,
    /// The range that it failed in, if it is a single text.
    pub part_of: Option<i64>,
}

/// A text with its vector, ready to be stored.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredText {
    /// Deterministic: the same id of a text in the same batch gives the same id.
    pub id: Uuid,
    /// Rows before it in the input.
    pub row: i64,
    /// Its id in the input.
    pub key: String,
    /// The text.
    pub text: String,
    /// Metadata, a JSON object.
    pub metadata: Option<String>,
    /// Tokens of the text; 0 where only the cache has seen it.
    pub tokens: i64,
    /// The vector.
    pub vector: Vec<f32>,
}

/// A text of a range that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailedText {
    /// Name, unique within the batch: `line 17 (id abc)`.
    pub name: String,
    /// Rows before it.
    pub first_row: i64,
    /// Where the input holds it, JSON.
    pub place: String,
    /// What it holds.
    pub version: String,
    /// Its failure; the ledger row in it means nothing, as there is none yet.
    pub attempt: FailedAttempt,
}

/// What was spent on a range or text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Spent {
    /// Bytes read.
    pub bytes: i64,
    /// Tokens that the provider has embedded.
    pub tokens: i64,
    /// Vectors that came out of the cache.
    pub cached: i64,
}

/// Everything that makes a range done.
#[derive(Clone, Debug, PartialEq)]
pub struct RangeWrite {
    /// The ledger row.
    pub document: i64,
    /// What was written: a hash of the rows, or the name of a file.
    pub revision: String,
    /// Fingerprint of the settings that the result depends on.
    pub pipeline: String,
    /// What was spent.
    pub spent: Spent,
    /// Texts that have a vector now.
    pub done: i32,
    /// Those of them that go into the collection: all or none. They replace all texts of the range.
    pub texts: Vec<StoredText>,
    /// The others.
    pub failed: Vec<FailedText>,
}

/// Everything that makes a single text done.
#[derive(Clone, Debug, PartialEq)]
pub struct TextWrite {
    /// The ledger row.
    pub document: i64,
    /// As for a range.
    pub revision: String,
    /// As for a range.
    pub pipeline: String,
    /// What was spent.
    pub spent: Spent,
    /// The text, if it goes into the collection.
    pub text: Option<StoredText>,
}

/// A store that batches can be kept in.
pub trait TextStore: Store {
    /// Adds listed ranges to the run. Those that are kept, and done whole in their present version and `pipeline`, are
    /// skipped.
    fn add_ranges<'a>(&'a self, run: &'a RunKey, listed: Vec<ListedRange>, pipeline: &'a str) -> StoreFuture<'a, ()>;
    /// Marks as in flight what waits next: one range, or up to `limit` single texts. Nothing when nothing waits;
    /// suspects come last and alone.
    fn claim_texts<'a>(&'a self, run: &'a RunKey, limit: usize) -> StoreFuture<'a, Vec<TextItem>>;
    /// Those of `ids` that another range or text than `document` holds, and will keep. In a `full` run nothing is kept
    /// that the run has not worked through yet.
    fn taken<'a>(&'a self, run: &'a RunKey, full: bool, document: i64, ids: Vec<Uuid>) -> StoreFuture<'a, Vec<Uuid>>;
    /// Stores a range's texts in place of its old ones, notes those that failed, and marks it done: all or nothing.
    fn complete_range<'a>(&'a self, run: &'a RunKey, write: RangeWrite) -> StoreFuture<'a, ()>;
    /// Stores single texts and marks them done, and notes those that failed again: all or nothing.
    fn complete_texts(&self, done: Vec<TextWrite>, failed: Vec<FailedAttempt>) -> StoreFuture<'_, ()>;
    /// The revision of everything in the scope that is done.
    fn revisions<'a>(&'a self, scope: &'a str) -> StoreFuture<'a, Vec<String>>;
}
