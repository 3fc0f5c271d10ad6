//! What the items of a run have come to: documents of an ingestion, texts of a batch. No I/O.

use std::ops::AddAssign;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::failure::{FailureAction, FailureCategory, Stage};

/// How many failures a progress message, a report and a status carry at the most: the newest ones.
pub const RECENT_FAILURES: usize = 10;

/// What a run has come to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Counts {
    /// Items of the run: documents or texts.
    pub items: ItemCounts,
    /// The failed ones by what is done about them.
    pub failures: FailureCounts,
    /// Chunks written in this run; a text of a batch is one.
    pub chunks: i64,
    /// Tokens embedded in this run, those of vectors that the cache held not among them.
    pub tokens: i64,
    /// Bytes read in this run.
    pub bytes: i64,
    /// Vectors that the cache held.
    pub cached: i64,
}

impl AddAssign<&Self> for Counts {
    fn add_assign(&mut self, more: &Self) {
        let Self { items, failures, chunks, tokens, bytes, cached } = more;
        self.items.total = self.items.total.saturating_add(items.total);
        self.items.done = self.items.done.saturating_add(items.done);
        self.items.failed = self.items.failed.saturating_add(items.failed);
        self.items.skipped = self.items.skipped.saturating_add(items.skipped);
        self.items.deleted = self.items.deleted.saturating_add(items.deleted);
        self.failures.retrying = self.failures.retrying.saturating_add(failures.retrying);
        self.failures.archived = self.failures.archived.saturating_add(failures.archived);
        self.failures.notified = self.failures.notified.saturating_add(failures.notified);
        self.chunks = self.chunks.saturating_add(*chunks);
        self.tokens = self.tokens.saturating_add(*tokens);
        self.bytes = self.bytes.saturating_add(*bytes);
        self.cached = self.cached.saturating_add(*cached);
    }
}

/// Items of one run. `done + failed + skipped` grows towards `total`, which stands still once listing has ended.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ItemCounts {
    /// Items that the source listed for this run.
    pub total: i32,
    /// Items whose vectors the store has acknowledged.
    pub done: i32,
    /// Items whose last attempt failed, those waiting for a retry included.
    pub failed: i32,
    /// Items that were in the store already, unchanged.
    pub skipped: i32,
    /// Items removed from the store because the source no longer has them.
    pub deleted: i32,
}

impl ItemCounts {
    /// Items that need nothing more in this run.
    #[must_use]
    pub const fn processed(&self) -> i32 {
        self.done.saturating_add(self.failed).saturating_add(self.skipped)
    }
}

/// Failed items by what is done about them; the sum is that of the failed items.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct FailureCounts {
    /// Waiting for their next attempt.
    pub retrying: i32,
    /// Given up.
    pub archived: i32,
    /// Waiting for a person.
    pub notified: i32,
}

/// The newest failure of one item.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ItemFailure {
    /// Name of the document within its source, or line and id of the text; control characters are escaped.
    pub item: String,
    /// The stage that failed: Source, Parse, Chunk, Embed, Store or Maintain.
    pub stage: Stage,
    /// The category of the failure.
    pub category: FailureCategory,
    /// The failure in one constant CamelCase word.
    pub reason: String,
    /// What went wrong, for a person.
    pub message: String,
    /// Attempts made so far.
    pub attempts: i32,
    /// What is done about it: Retry, Archive or Notify.
    pub action: FailureAction,
    /// When the last attempt failed.
    pub last_failure_time: Timestamp,
    /// When it is tried again; only where that is what is done about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_retry_time: Option<Timestamp>,
}

/// The dead letters of a source or batch: what failed and is not done yet, whatever run it failed in.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct DeadLetters {
    /// By what is done about them.
    pub actions: FailureCounts,
    /// By what went wrong: categories that have any, most first.
    pub categories: Vec<CategoryCount>,
    /// When the one that has waited longest failed for the first time, archived ones aside.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub oldest_failure_time: Option<Timestamp>,
}

/// Dead letters of one category.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CategoryCount {
    /// The category: Transient, RateLimited, Timeout, ResourceExhausted, InvalidInput, Authentication, Configuration or Unknown.
    pub category: FailureCategory,
    /// How many there are.
    pub count: i32,
    /// Those that wait for their next attempt.
    #[serde(default)]
    pub retrying: i32,
    /// Those that were given up.
    #[serde(default)]
    pub archived: i32,
    /// Those that wait for a person.
    #[serde(default)]
    pub notified: i32,
}

impl DeadLetters {
    /// Counts so many more of one category about which the same is done.
    pub fn add(&mut self, category: FailureCategory, action: FailureAction, more: i32) {
        let place = self.categories.iter().position(|entry| entry.category == category).unwrap_or_else(|| {
            self.categories.push(CategoryCount { category, count: 0, retrying: 0, archived: 0, notified: 0 });
            self.categories.len() - 1
        });
        let entry = &mut self.categories[place];
        let (all, part) = match action {
            FailureAction::Retry => (&mut self.actions.retrying, &mut entry.retrying),
            FailureAction::Archive => (&mut self.actions.archived, &mut entry.archived),
            FailureAction::Notify => (&mut self.actions.notified, &mut entry.notified),
        };
        for counter in [all, part, &mut entry.count] {
            *counter = counter.saturating_add(more);
        }
        self.categories.sort_by_key(|entry| (std::cmp::Reverse(entry.count), entry.category));
    }
}

/// What a circuit stands before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub enum CircuitSubject {
    /// The provider of vectors.
    EmbeddingProvider,
    /// The store.
    Store,
}

/// A circuit that is open: most attempts failed, so that nothing more is asked until one probe has passed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct OpenCircuit {
    /// What it stands before.
    pub subject: CircuitSubject,
    /// What the attempts failed of, for a person.
    pub message: String,
    /// When the next probe is made.
    pub until: Timestamp,
}
