//! What a worker says of itself on `/progress`. No I/O.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::failure::{FailureAction, FailureCategory, Stage};

/// How many failures a progress message, a report and a status carry at the most: the newest ones.
pub const RECENT_FAILURES: usize = 10;

/// Documents of one run. `done + failed + skipped` grows towards `total`, which stands still once listing has ended.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct DocumentCounts {
    /// Documents that the source listed for this run.
    pub total: i32,
    /// Documents ingested and acknowledged by the store.
    pub done: i32,
    /// Documents whose last attempt failed, those waiting for a retry included.
    pub failed: i32,
    /// Documents that were in the store already, unchanged.
    pub skipped: i32,
    /// Documents removed from the store because the source no longer has them.
    pub deleted: i32,
}

impl DocumentCounts {
    /// Documents that need nothing more in this run.
    #[must_use]
    pub const fn processed(&self) -> i32 {
        self.done.saturating_add(self.failed).saturating_add(self.skipped)
    }
}

/// Failed documents by what is done about them; the sum is [`DocumentCounts::failed`].
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

/// The newest failure of one document.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DocumentFailure {
    /// Name of the document within its source; control characters are escaped.
    pub document: String,
    /// The stage that failed: Source, Parse, Chunk, Embed or Store.
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
}

/// What a run is doing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub enum Phase {
    /// Loading the model, opening the store.
    #[default]
    Starting,
    /// Listing the source; the total is not known yet.
    Listing,
    /// Ingesting documents.
    Working,
    /// Removing what is gone, writing the report.
    Finishing,
}

/// The answer to `GET /progress`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Progress {
    /// [`super::CONTRACT_VERSION`].
    pub contract_version: String,
    /// Name of the run: the Kubernetes Job.
    pub run: String,
    /// What the run is doing.
    pub phase: Phase,
    /// When the worker last made a step: listed, fetched, parsed, embedded or stored something.
    pub heartbeat: Timestamp,
    /// When this worker process began to work on documents.
    pub started: Timestamp,
    /// Documents of the run.
    pub documents: DocumentCounts,
    /// The failed ones by what is done about them.
    pub failures: FailureCounts,
    /// Chunks written in this run.
    pub chunks: i64,
    /// Tokens embedded in this run.
    pub tokens: i64,
    /// Bytes fetched in this run.
    pub bytes: i64,
    /// The newest failures, [`RECENT_FAILURES`] at most, newest first.
    pub recent_failures: Vec<DocumentFailure>,
}
