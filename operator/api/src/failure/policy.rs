//! The policy that decides what is done about a failed item, and when. No I/O, no clock.

use std::time::Duration;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{ExhaustedAction, FailureAction, FailureCategory, Stage};
use crate::backoff;

/// An action for one category, instead of its default.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CategoryAction {
    /// The category of failure: Transient, RateLimited, Timeout, ResourceExhausted, InvalidInput, Authentication, Configuration or Unknown.
    pub category: FailureCategory,
    /// What to do: Retry (again after a backoff), Archive (give the item up, complete without it) or Notify (stall until a person acts).
    pub action: FailureAction,
}

/// A rule that gives failures another category.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct FailureRule {
    /// Regular expression (RE2 syntax) that is searched for in the failure's message.
    #[schemars(length(min = 1, max = 256))]
    pub message: String,
    /// Only failures of this stage: Source, Parse, Chunk, Embed, Store or Maintain; every stage where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Stage")]
    pub stage: Option<Stage>,
    /// The category that matching failures get: Transient, RateLimited, Timeout, ResourceExhausted, InvalidInput, Authentication, Configuration or Unknown.
    pub category: FailureCategory,
}

/// How many archived items are kept, and for how long.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ArchivePolicy {
    /// Archived items kept a collection; the oldest go first.
    #[schemars(range(min = 0, max = 1_000_000))]
    pub max_items: i32,
    /// Seconds for which an archived item is kept.
    #[schemars(range(min = 60, max = 315_360_000))]
    pub retention_seconds: i32,
}

impl Default for ArchivePolicy {
    fn default() -> Self {
        Self { max_items: 10_000, retention_seconds: 30 * 24 * 3600 }
    }
}

/// What happens to work that fails.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct FailurePolicy {
    /// Attempts that an item gets in all, the first one included.
    #[schemars(range(min = 1, max = 100))]
    pub max_attempts: i32,
    /// Seconds before the second attempt; doubled for each one after that.
    #[schemars(range(min = 1, max = 3600))]
    pub backoff_base_seconds: i32,
    /// The longest wait between two attempts, in seconds.
    #[schemars(range(min = 1, max = 3600))]
    pub backoff_cap_seconds: i32,
    /// Actions for single categories, instead of their defaults.
    #[schemars(length(max = 8))]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub actions: Vec<CategoryAction>,
    /// What follows an item's last attempt: Archive or Notify. By default Notify for Unknown and Archive for everything else.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "ExhaustedAction")]
    pub on_exhausted: Option<ExhaustedAction>,
    /// Rules that give failures another category; the first that matches wins.
    #[schemars(length(max = 16))]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<FailureRule>,
    /// Failed items that are tried again in a minute, oldest first, so that what piled up does not flood a provider that
    /// has just recovered; no limit where absent.
    #[schemars(range(min = 1, max = 1_000_000))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_retries_per_minute: Option<i32>,
    /// By how much the worker's memory grows with each run in which it ran out, as a factor; 1 keeps it as it is.
    #[schemars(range(min = 1, max = 10))]
    pub memory_factor: i32,
    /// The memory up to which it grows, for instance "8Gi". A worker that has more from the start keeps it.
    #[schemars(length(max = 16), regex(pattern = r"^[1-9][0-9]{0,9}(Ki|Mi|Gi|Ti|k|M|G|T)?$"))]
    pub memory_limit: String,
    /// How many archived items are kept, and for how long.
    pub archive: ArchivePolicy,
}

impl Default for FailurePolicy {
    fn default() -> Self {
        Self {
            max_attempts: 5,
            backoff_base_seconds: 30,
            backoff_cap_seconds: 3600,
            actions: Vec::new(),
            on_exhausted: None,
            rules: Vec::new(),
            max_retries_per_minute: None,
            memory_factor: 2,
            memory_limit: "4Gi".to_owned(),
            archive: ArchivePolicy::default(),
        }
    }
}

/// What the policy makes of one failed attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// What is done with the item.
    pub action: FailureAction,
    /// When it is tried again; only with [`FailureAction::Retry`].
    pub next_attempt: Option<Timestamp>,
}

impl FailurePolicy {
    /// What is done with an item that has failed at `now` for the `attempts`-th time (this failure counted, if it
    /// [spends an attempt](FailureCategory::spends_attempt)). `seed` spreads the retries of different items.
    #[must_use]
    pub fn judge(&self, category: FailureCategory, attempts: u32, now: Timestamp, seed: u64) -> Verdict {
        let action = self
            .actions
            .iter()
            .find(|entry| entry.category == category)
            .map_or(category.default_action(), |entry| entry.action);
        let exhausted = category.spends_attempt() && i64::from(attempts) >= i64::from(self.max_attempts);
        match action {
            FailureAction::Retry if exhausted => Verdict {
                action: self.on_exhausted.unwrap_or(category.default_exhausted_action()).into(),
                next_attempt: None,
            },
            FailureAction::Retry => {
                let delay = backoff::backoff(
                    attempts.max(1),
                    seconds(self.backoff_base_seconds),
                    seconds(self.backoff_cap_seconds),
                );
                // a time past the end of the calendar is not worth an error: such an item is simply due now
                let next = now.checked_add(backoff::jittered(delay, seed)).unwrap_or(now);
                Verdict { action: FailureAction::Retry, next_attempt: Some(next) }
            }
            FailureAction::Archive | FailureAction::Notify => Verdict { action, next_attempt: None },
        }
    }
}

fn seconds(value: i32) -> Duration {
    Duration::from_secs(u64::from(value.unsigned_abs()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[rstest]
    #[case::first_transient(FailureCategory::Transient, 1, FailureAction::Retry)]
    #[case::last_but_one(FailureCategory::Transient, 4, FailureAction::Retry)]
    #[case::last_transient(FailureCategory::Transient, 5, FailureAction::Archive)]
    #[case::last_unknown(FailureCategory::Unknown, 5, FailureAction::Notify)]
    #[case::rate_limit_never_runs_out(FailureCategory::RateLimited, 500, FailureAction::Retry)]
    #[case::bad_input_at_once(FailureCategory::InvalidInput, 1, FailureAction::Archive)]
    #[case::bad_key_at_once(FailureCategory::Authentication, 1, FailureAction::Notify)]
    #[case::bad_setup_at_once(FailureCategory::Configuration, 1, FailureAction::Notify)]
    fn default_policy(#[case] category: FailureCategory, #[case] attempts: u32, #[case] action: FailureAction) {
        let verdict = FailurePolicy::default().judge(category, attempts, at(0), 0);
        assert_eq!(verdict.action, action);
        assert_eq!(verdict.next_attempt.is_some(), action == FailureAction::Retry);
    }

    #[test]
    fn an_action_of_the_policy_replaces_the_default() {
        let policy = FailurePolicy {
            actions: vec![CategoryAction { category: FailureCategory::InvalidInput, action: FailureAction::Notify }],
            on_exhausted: Some(ExhaustedAction::Notify),
            ..Default::default()
        };
        assert_eq!(policy.judge(FailureCategory::InvalidInput, 1, at(0), 0).action, FailureAction::Notify);
        assert_eq!(policy.judge(FailureCategory::Transient, 5, at(0), 0).action, FailureAction::Notify);
    }

    #[test]
    fn the_next_attempt_waits_for_the_backoff_less_jitter() {
        let policy = FailurePolicy { backoff_base_seconds: 100, ..Default::default() };
        for seed in 0..50 {
            let next = policy.judge(FailureCategory::Transient, 2, at(1_000), seed).next_attempt.unwrap();
            assert!((at(1_160)..=at(1_200)).contains(&next), "{next}");
        }
    }
}
