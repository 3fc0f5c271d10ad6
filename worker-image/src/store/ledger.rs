//! The ledger's vocabulary: one row a document, and what a run adds up to. No I/O.

use jiff::Timestamp;
use lexigram_api::{
    contract::{Counts, ItemFailure, Progress},
    failure::{FailureAction, FailureCategory, Stage, Verdict},
};
use serde::Serialize;

/// Where a document stands, whatever run brought it there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum DocumentState {
    /// Waits for its turn.
    Pending,
    /// A worker has it in hand, or died with it.
    InFlight,
    /// Its chunks are stored.
    Done,
    /// Its last attempt failed; it will be tried again, or a person has been told.
    Failed,
    /// Given up.
    Archived,
}

impl DocumentState {
    /// The word as it stands in the ledger.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "Pending",
            Self::InFlight => "InFlight",
            Self::Done => "Done",
            Self::Failed => "Failed",
            Self::Archived => "Archived",
        }
    }

    /// The state of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Pending, Self::InFlight, Self::Done, Self::Failed, Self::Archived]
            .into_iter()
            .find(|state| state.as_str() == name)
    }

    /// Where a failed attempt leaves a document.
    #[must_use]
    pub const fn after(action: FailureAction) -> Self {
        match action {
            FailureAction::Retry | FailureAction::Notify => Self::Failed,
            FailureAction::Archive => Self::Archived,
        }
    }
}

/// How a run ended for a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Outcome {
    /// Ingested.
    Done,
    /// Unchanged.
    Skipped,
    /// Failed.
    Failed,
}

impl Outcome {
    /// The word as it stands in the ledger.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Done => "Done",
            Self::Skipped => "Skipped",
            Self::Failed => "Failed",
        }
    }
}

/// A document that a worker has in hand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkItem {
    /// The ledger row.
    pub document: i64,
    /// Name within the source.
    pub name: String,
    /// Attempts spent so far.
    pub attempts: i32,
    /// Revision of the chunks that are stored; none if there are none.
    pub revision: Option<String>,
    /// Whether a worker died with it in hand: it may have been the cause.
    pub suspect: bool,
}

/// One failed attempt and what is done about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailedAttempt {
    /// The ledger row.
    pub document: i64,
    /// Attempts spent, this one included.
    pub attempts: i32,
    /// The stage that failed.
    pub stage: Stage,
    /// The category of the failure.
    pub category: FailureCategory,
    /// The failure in one CamelCase word.
    pub reason: String,
    /// The failure for a person.
    pub message: String,
    /// When it failed.
    pub time: Timestamp,
    /// What is done about it.
    pub verdict: Verdict,
}

impl FailedAttempt {
    /// The failure of the item of that name as a person sees it.
    #[must_use]
    pub fn describe(self, name: &str) -> ItemFailure {
        let Self { document: _, attempts, stage, category, reason, message, time, verdict } = self;
        ItemFailure {
            item: printable(name),
            stage,
            category,
            reason,
            message,
            attempts,
            action: verdict.action,
            last_failure_time: time,
            next_retry_time: verdict.next_attempt,
        }
    }
}

/// A row of the ledger as a person sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LedgerRow {
    /// Source of the document.
    pub scope: String,
    /// Name of the document within its source.
    pub document: String,
    /// Where it stands.
    pub state: DocumentState,
    /// Revision of the stored chunks.
    pub revision: Option<String>,
    /// Stored chunks.
    pub chunks: i64,
    /// Attempts spent since it was last done.
    pub attempts: i32,
    /// The last failure.
    pub failure: Option<ItemFailure>,
    /// When it is tried again.
    pub next_attempt: Option<Timestamp>,
}

/// What a run adds up to so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RunSummary {
    /// Its counts.
    pub counts: Counts,
    /// When the earliest of the source's retrying documents is due, whatever run it belongs to.
    pub next_retry: Option<Timestamp>,
    /// The newest failures, newest first.
    pub recent_failures: Vec<ItemFailure>,
}

impl From<Progress> for RunSummary {
    fn from(progress: Progress) -> Self {
        Self { counts: progress.counts, next_retry: None, recent_failures: progress.recent_failures }
    }
}

/// A document's name with its control characters escaped, fit for one line of a terminal or a log.
#[must_use]
pub fn printable(name: &str) -> String {
    name.chars().fold(String::with_capacity(name.len()), |mut text, character| {
        match character.is_control() {
            true => text.extend(character.escape_default()),
            false => text.push(character),
        }
        text
    })
}

#[cfg(test)]
mod tests {
    use super::printable;

    #[test]
    fn a_name_stays_on_one_line() {
        assert_eq!(printable("notes of\nmay\u{1b}[2J über.txt"), "notes of\\nmay\\u{1b}[2J über.txt");
    }
}
