//! Whether a run that failed as a whole is made again, and when. No I/O.
//!
//! Attempts are counted by the Jobs that exist, so that neither a restart nor a second operator counts differently.

use jiff::Timestamp;
use lexigram_api::{
    contract::RunError,
    failure::{FailureAction, FailurePolicy},
};

use super::sweep::sweep_at;
use crate::{
    config::AiWorkers,
    controller::{job::observe::Observation, runs::DEADLINE},
};

/// When the run that failed last, at `ended`, is made again; never where that would not help, or where all attempts are
/// spent. The deadline of a job is the user's last word.
#[must_use]
pub fn next_attempt(
    seen: &Observation,
    error: &RunError,
    ended: Timestamp,
    policy: &FailurePolicy,
    config: &AiWorkers,
) -> Option<Timestamp> {
    if error.reason == DEADLINE {
        return None;
    }
    let attempts = seen.failed_in_a_row();
    // a run is more than an item: also one that was only told to slow down is made again a bounded number of times
    if i64::from(attempts) >= i64::from(policy.max_attempts) {
        return None;
    }
    let verdict = policy.judge(error.category, attempts, ended, ended.as_second().unsigned_abs());
    match verdict.action {
        FailureAction::Retry => Some(sweep_at(verdict.next_attempt.unwrap_or(ended), config.dlq_check_interval)),
        FailureAction::Archive | FailureAction::Notify => None,
    }
}
