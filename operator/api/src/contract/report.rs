//! What a worker leaves behind: the report in its container's termination message. No I/O.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    CONTRACT_VERSION,
    counts::{Counts, DeadLetters, ItemFailure, OpenCircuit, RECENT_FAILURES},
    maintain::TaskReport,
    provider::ProviderRequests,
    stages::StageBusyness,
};
use crate::failure::FailureCategory;

/// Kubernetes keeps this much of a container's termination message.
pub const TERMINATION_MESSAGE_BYTES: usize = 4096;

/// Longest name and message of a failure in a report, in characters.
const TEXT_CHARS: usize = 120;
/// Longest message of a run's error in a report, in characters.
const ERROR_CHARS: usize = 400;
/// Longest messages of maintenance tasks and checks in a report, in characters: the first with which it fits.
const TASK_CHARS: [usize; 5] = [400, 160, 80, 40, 0];

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
    /// `v1alpha1`: the version of this contract.
    #[schemars(extend("const" = CONTRACT_VERSION))]
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
    /// How this process has asked its embedding server; absent for a model of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider: Option<ProviderRequests>,
    /// What came of maintenance tasks, in their order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub maintenance: Vec<TaskReport>,
    /// The newest failures, newest first, as many as fit and ten at most.
    #[schemars(length(max = RECENT_FAILURES))]
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
        for chars in TASK_CHARS {
            report.maintenance.iter_mut().for_each(|task| shorten(task, chars));
            if serde_json::to_string(&report)?.len() <= TERMINATION_MESSAGE_BYTES {
                break;
            }
        }
        loop {
            let message = serde_json::to_string(&report)?;
            if message.len() <= TERMINATION_MESSAGE_BYTES || report.recent_failures.pop().is_none() {
                return Ok(message);
            }
        }
    }
}

fn shorten(task: &mut TaskReport, chars: usize) {
    task.message = cut(&task.message, chars);
    if let Some(error) = &mut task.error {
        error.message = cut(&error.message, chars);
    }
    for check in &mut task.checks {
        // what holds needs no words before what does not
        check.message = cut(&check.message, if check.passed { chars / 4 } else { chars });
    }
}

/// At most so many characters of a text, and a sign where there were more.
#[must_use]
pub fn cut(text: &str, chars: usize) -> String {
    match text.char_indices().nth(chars) {
        None => text.to_owned(),
        // where there is room for nothing, not for the ellipsis either
        Some((0, _)) => String::new(),
        Some((end, _)) => format!("{}…", &text[..end]),
    }
}

/// As much of a text as takes at most so many bytes in JSON, the sign included that stands where there was more.
#[must_use]
pub fn cut_to_bytes(text: &str, bytes: usize) -> String {
    const MORE: char = '…';
    let written = |character: char| match character {
        '"' | '\\' | '\n' | '\r' | '\t' | '\u{8}' | '\u{c}' => 2,
        '\0'..='\u{1f}' => 6,
        _ => character.len_utf8(),
    };
    let (mut taken, mut fits) = (0, 0);
    for (start, character) in text.char_indices() {
        if taken + MORE.len_utf8() <= bytes {
            fits = start;
        }
        taken += written(character);
        if taken > bytes {
            return if bytes < MORE.len_utf8() { String::new() } else { format!("{}{MORE}", &text[..fits]) };
        }
    }
    text.to_owned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{
        contract::{CheckReport, FailureCounts, ItemCounts, StageName, TaskResult},
        failure::{FailureAction, Stage},
        maintenance::HealthCheckName,
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
            provider: Some(ProviderRequests {
                answered: 9_000,
                rate_limited: 9_000,
                failed: 9_000,
                milliseconds: 9_000_000,
            }),
            maintenance: Vec::new(),
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
    fn sixteen_tasks_with_every_check_fit() {
        for text in ["x".repeat(5_000), "\u{1F600}".repeat(5_000), "\"\n".repeat(5_000)] {
            let checks = HealthCheckName::ALL.map(|name| CheckReport { name, passed: false, message: text.clone() });
            let error = RunError {
                category: FailureCategory::ResourceExhausted,
                reason: "R".repeat(24),
                message: text.clone(),
            };
            let task = |name: String| TaskReport {
                name,
                result: TaskResult::Failed,
                items: i64::from(i32::MAX),
                bytes_freed: i64::from(i32::MAX),
                message: text.clone(),
                error: Some(error.clone()),
                checks: Vec::new(),
            };
            let mut maintenance: Vec<_> = (0..16).map(|n| task(format!("{n:02}{}", "n".repeat(30)))).collect();
            maintenance[3] = TaskReport { error: None, checks: checks.to_vec(), ..maintenance[3].clone() };
            let report =
                Report { maintenance, recent_failures: Vec::new(), stages: Vec::new(), provider: None, ..report("") };
            let message = report.to_termination_message().unwrap();
            assert!(message.len() <= TERMINATION_MESSAGE_BYTES, "{} bytes", message.len());
            let read: Report = serde_json::from_str(&message).unwrap();
            assert_eq!((read.maintenance.len(), read.maintenance[3].checks.len()), (16, 8));
        }
    }

    proptest! {
        #[test]
        fn a_text_takes_no_more_bytes_than_it_may(text in any::<String>(), bytes in 0_usize..64) {
            let whole = serde_json::to_string(&text).unwrap().len() - 2;
            let short = cut_to_bytes(&text, bytes);
            prop_assert!(serde_json::to_string(&short).unwrap().len() - 2 <= bytes);
            prop_assert_eq!(whole <= bytes, short == text);
            prop_assert!(text.starts_with(short.strip_suffix('…').unwrap_or(&short)));
        }
    }

    #[test]
    fn as_much_of_a_text_is_kept_as_fits() {
        assert_eq!(cut_to_bytes("twelve bytes", 12), "twelve bytes");
        assert_eq!(cut_to_bytes("thirteen byte", 12), "thirteen …");
        assert_eq!(cut_to_bytes("ääää\n", 9), "äää…");
    }

    #[test]
    fn a_short_report_is_kept_whole() {
        let report = report("short");
        let message = report.to_termination_message().unwrap();
        assert_eq!(serde_json::from_str::<Report>(&message).unwrap(), report);
    }
}
