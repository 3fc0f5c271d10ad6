//! The part of a job's status that tells of what failed: how much, of what, and when it is tried again. No I/O.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    contract::{CategoryCount, FailureCounts, ItemFailure, cut_to_bytes},
    failure::{FailureAction, FailureCategory, Stage},
};

/// Longest name and message of a dead letter in status, in bytes of JSON.
const TEXT_BYTES: usize = 256;

/// What failed and is not done yet: documents, texts, or the run as a whole.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct DeadLetterStatus {
    /// All of them in words, for instance "2 retrying, 3 archived"; "0" where there are none.
    #[schemars(length(max = 64))]
    pub summary: String,
    /// How many there are.
    pub total: i32,
    /// Those that wait for their next attempt.
    pub retrying: i32,
    /// Those that were given up.
    pub archived: i32,
    /// Those that wait for a person.
    pub notified: i32,
    /// How many there are of each category that has any, most first.
    #[schemars(length(max = 8))]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub by_category: Vec<CategoryCount>,
    /// When the one that has waited longest failed for the first time, archived ones aside.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub oldest_failure_time: Option<Time>,
    /// When the next retry is started.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_retry_time: Option<Time>,
    /// The newest of them, newest first.
    #[schemars(length(max = 10))]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub recent: Vec<DeadLetter>,
    /// The newest run whose report is counted here.
    #[schemars(length(max = 63))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reported_run: Option<String>,
    /// The last value of the annotation workers.lexigram.dev/retry that was acted on.
    #[schemars(length(max = 64))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_retry_request: Option<String>,
    /// The last value of the annotation workers.lexigram.dev/archive that was acted on.
    #[schemars(length(max = 64))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_archive_request: Option<String>,
    /// The newest message for the operator's webhook; absent where there is no webhook, or was nothing to tell.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub notification: Option<Notification>,
}

/// A message for the operator's webhook.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Notification {
    /// The CloudEvent's id: the object's uid and the run that it is about.
    #[schemars(length(max = 128))]
    pub id: String,
    /// When the receiver acknowledged it; until then it is sent again and again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delivered_time: Option<Time>,
}

/// One document, text or maintenance task that failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DeadLetter {
    /// Name of the document within its source, line and id of the text, or name of the maintenance task; the annotation workers.lexigram.dev/retry-ids takes that of a document or text.
    #[schemars(length(max = 256))]
    pub id: String,
    /// The stage that failed: Source, Parse, Chunk, Embed, Store or Maintain.
    pub stage: Stage,
    /// The category of the failure: Transient, RateLimited, Timeout, ResourceExhausted, InvalidInput, Authentication, Configuration or Unknown.
    pub category: FailureCategory,
    /// The failure in one constant CamelCase word.
    #[schemars(length(max = 128))]
    pub reason: String,
    /// Attempts made so far.
    pub attempts: i32,
    /// What went wrong, for a person.
    #[schemars(length(max = 256))]
    pub message: String,
    /// When the last attempt failed.
    pub last_failure_time: Timestamp,
    /// When it is due to be tried again; only where that is what is done about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_retry_time: Option<Timestamp>,
    /// What is done about it: Retry, Archive or Notify.
    pub action: FailureAction,
}

impl From<&ItemFailure> for DeadLetter {
    fn from(failure: &ItemFailure) -> Self {
        Self {
            id: cut_to_bytes(&failure.item, TEXT_BYTES),
            stage: failure.stage,
            category: failure.category,
            reason: failure.reason.chars().take(128).collect(),
            attempts: failure.attempts,
            message: cut_to_bytes(&failure.message, TEXT_BYTES),
            last_failure_time: failure.last_failure_time,
            next_retry_time: failure.next_retry_time,
            action: failure.action,
        }
    }
}

impl DeadLetterStatus {
    /// Takes over how many there are.
    pub fn count(&mut self, counts: &FailureCounts, categories: &[CategoryCount]) {
        let FailureCounts { retrying, archived, notified } = *counts;
        self.total = retrying.saturating_add(archived).saturating_add(notified);
        (self.retrying, self.archived, self.notified) = (retrying, archived, notified);
        self.by_category = categories.iter().take(FailureCategory::ALL.len()).cloned().collect();
        let parts = [(retrying, "retrying"), (archived, "archived"), (notified, "notified")];
        let parts: Vec<String> =
            parts.iter().filter(|(count, _)| *count > 0).map(|(count, word)| format!("{count} {word}")).collect();
        self.summary = if parts.is_empty() { "0".to_owned() } else { parts.join(", ") };
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case([0, 0, 0], "0")]
    #[case([2, 3, 0], "2 retrying, 3 archived")]
    #[case([0, 0, 1], "1 notified")]
    fn retrying_and_archived_are_told_apart(#[case] counts: [i32; 3], #[case] summary: &str) {
        let [retrying, archived, notified] = counts;
        let mut status = DeadLetterStatus::default();
        status.count(&FailureCounts { retrying, archived, notified }, &[]);
        assert_eq!((status.summary.as_str(), status.total), (summary, retrying + archived + notified));
    }
}
