//! What a worker leaves behind: the report in its container's termination message. No I/O.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    counts::{Counts, DeadLetters, ItemFailure, OpenCircuit},
    stages::StageBusyness,
};
use crate::failure::FailureCategory;

/// Kubernetes keeps this much of a container's termination message.
pub const TERMINATION_MESSAGE_BYTES: usize = 4096;

/// Longest name and message of a failure in a report, in characters.
const TEXT_CHARS: usize = 120;
/// Longest message of a run's error in a report, in characters.
const ERROR_CHARS: usize = 400;

/// Why a whole run failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RunError {
    /// The category of the failure.
    pub category: FailureCategory,
    /// The failure in one constant CamelCase word; becomes the condition's reason.
    pub reason: String,
    /// What went wrong and what to do, for a person.
    pub message: String,
}

/// What reading a batch without embedding it found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct DryRun {
    /// Tokens of all texts that can be embedded, those of equal texts once where the batch deduplicates.
    pub tokens: i64,
    /// Texts that are equal to one before them.
    pub duplicates: i32,
    /// Texts with more tokens than the model takes.
    pub too_long: i32,
    /// Rows that hold no text that can be read.
    pub invalid: i32,
}

/// The last word of a worker.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// [`super::CONTRACT_VERSION`].
    pub contract_version: String,
    /// Name of the run: the Kubernetes Job.
    pub run: String,
    /// Why the run as a whole failed; absent when it came to its end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<RunError>,
    /// What the run came to.
    pub counts: Counts,
    /// What a dry run found; absent for any other run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dry_run: Option<DryRun>,
    /// The dead letters of the source or batch, those of earlier runs included.
    #[serde(default)]
    pub dead_letters: DeadLetters,
    /// Why the run ended before its items were tried; absent where it tried all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub circuit: Option<OpenCircuit>,
    /// When the earliest of the retrying items is due.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_retry_time: Option<Timestamp>,
    /// How busy each stage was, those left out that never were.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stages: Vec<StageBusyness>,
    /// The newest failures, newest first, as many as fit.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub recent_failures: Vec<ItemFailure>,
}

impl Report {
    /// The report as JSON of at most [`TERMINATION_MESSAGE_BYTES`]: long texts are cut, then the oldest failures go.
    ///
    /// # Errors
    /// Only if the JSON serialiser fails, which these types give it no cause for.
    pub fn to_termination_message(&self) -> Result<String, serde_json::Error> {
        let mut report = self.clone();
        if let Some(error) = &mut report.error {
            error.message = cut(&error.message, ERROR_CHARS);
        }
        for failure in &mut report.recent_failures {
            failure.item = cut(&failure.item, TEXT_CHARS);
            failure.message = cut(&failure.message, TEXT_CHARS);
        }
        loop {
            let message = serde_json::to_string(&report)?;
            if message.len() <= TERMINATION_MESSAGE_BYTES || report.recent_failures.pop().is_none() {
                return Ok(message);
            }
        }
    }
}

fn cut(text: &str, chars: usize) -> String {
    match text.char_indices().nth(chars) {
        None => text.to_owned(),
        Some((end, _)) => format!("{}…", &text[..end]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        contract::{CONTRACT_VERSION, FailureCounts, ItemCounts, RECENT_FAILURES, StageName},
        failure::{FailureAction, Stage},
    };

    fn report(text: &str) -> Report {
        let failure = ItemFailure {
            item: text.to_owned(),
            stage: Stage::Parse,
            category: FailureCategory::InvalidInput,
            reason: "DocumentCorrupt".to_owned(),
            message: text.to_owned(),
            attempts: 1,
            action: FailureAction::Archive,
            last_failure_time: Timestamp::UNIX_EPOCH,
            next_retry_time: Some(Timestamp::UNIX_EPOCH),
        };
        Report {
            contract_version: CONTRACT_VERSION.to_owned(),
            run: "handbook-r1".to_owned(),
            error: Some(RunError {
                category: FailureCategory::Unknown,
                reason: "Unknown".to_owned(),
                message: text.to_owned(),
            }),
            counts: Counts {
                items: ItemCounts { total: 12, done: 2, failed: 10, skipped: 0, deleted: 0 },
                failures: FailureCounts { retrying: 0, archived: 10, notified: 0 },
                chunks: 40,
                tokens: 9_000,
                bytes: 100_000,
                cached: 0,
            },
            dry_run: None,
            dead_letters: DeadLetters::default(),
            circuit: None,
            next_retry_time: None,
            stages: StageName::ALL.map(|name| StageBusyness { name, busy_percent: 100 }).to_vec(),
            recent_failures: vec![failure; RECENT_FAILURES],
        }
    }

    #[test]
    fn the_longest_report_fits_and_is_still_json() {
        for text in ["x".repeat(5_000), "\u{1F600}".repeat(5_000), "\"\n".repeat(5_000)] {
            let message = report(&text).to_termination_message().unwrap();
            assert!(message.len() <= TERMINATION_MESSAGE_BYTES, "{} bytes", message.len());
            let read: Report = serde_json::from_str(&message).unwrap();
            assert!(!read.recent_failures.is_empty());
            assert_eq!(read.counts.items.failed, 10);
        }
    }

    #[test]
    fn a_short_report_is_kept_whole() {
        let report = report("short");
        let message = report.to_termination_message().unwrap();
        assert_eq!(serde_json::from_str::<Report>(&message).unwrap(), report);
    }
}
