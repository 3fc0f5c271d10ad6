//! What the ledgers of both databases have in common: columns by their names, and what the words in them mean. No I/O.

use lexigram_api::failure::{FailureAction, FailureCategory, Stage};

/// Runs whose totals are kept, a scope.
pub(super) const KEPT_RUNS: i64 = 20;

/// Columns of a failure, in the order in which both databases read them.
pub(super) const FAILURE: &str = "name, stage, category, reason, message, attempts, action, last_failure, next_attempt";

/// Columns of what a run has written of a row, before it has.
pub(super) const NOTHING_WRITTEN: &str = "run_chunks = 0, run_tokens = 0, run_bytes = 0, run_cached = 0";

/// Columns of a row whose document has not failed.
pub(super) const NO_FAILURE: &str = "stage = NULL, category = NULL, reason = NULL, message = NULL, action = NULL,
     first_failure = NULL, last_failure = NULL, next_attempt = NULL";

/// The category of that name, as far as this program knows it.
pub(super) fn category_of(name: &str) -> FailureCategory {
    FailureCategory::from_name(name).unwrap_or(FailureCategory::Unknown)
}

/// The action of that name; what this program does not know is left to a person.
pub(super) fn action_of(name: &str) -> FailureAction {
    FailureAction::from_name(name).unwrap_or(FailureAction::Notify)
}

/// The stage of that name, as far as this program knows it.
pub(super) fn stage_of(name: &str) -> Stage {
    Stage::from_name(name).unwrap_or(Stage::Store)
}
