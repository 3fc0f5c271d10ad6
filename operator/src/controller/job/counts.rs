//! What the runs of one job add up to. No I/O.
//!
//! A retry takes `total` of the items that failed, whatever run they failed in; those that it mends are failed no more.
//! What is done about the others the newest report tells, for the whole source.

use std::collections::BTreeSet;

use jiff::Timestamp;
use lexigram_api::{
    contract::{Counts, DeadLetters, FailureCounts, ItemCounts, ItemFailure, Progress, RECENT_FAILURES, Report},
    failure::FailureAction,
};

/// What one run, or all of them, came to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tally {
    /// Its counts; what is done about failed items is in `dead`.
    pub counts: Counts,
    /// What failed and is not done yet, by the newest report; while no run has ended, by what its worker says.
    pub dead: DeadLetters,
    /// Whether a run has ended, so that `dead` speaks of the whole source.
    pub reported: bool,
    /// When the earliest failed item is due, as far as the newest run knows.
    pub next_retry: Option<Timestamp>,
    /// The newest failures, newest first.
    pub recent: Vec<ItemFailure>,
}

impl From<&Report> for Tally {
    fn from(report: &Report) -> Self {
        Self {
            counts: report.counts.clone(),
            dead: report.dead_letters.clone(),
            reported: true,
            next_retry: report.next_retry_time,
            recent: report.recent_failures.clone(),
        }
    }
}

impl From<&Progress> for Tally {
    fn from(progress: &Progress) -> Self {
        let counts = progress.counts.clone();
        Self {
            dead: DeadLetters { actions: counts.failures.clone(), ..Default::default() },
            reported: false,
            counts,
            next_retry: None,
            recent: progress.recent_failures.clone(),
        }
    }
}

impl Tally {
    /// This tally after a retry that has come to `retry` so far.
    #[must_use]
    pub fn then(&self, retry: &Self) -> Self {
        let (old, new) = (&self.counts, &retry.counts);
        // another job may share the source, and its documents are retried along
        let failed = old.items.failed.saturating_sub(new.items.done).max(0);
        let skipped = old.items.skipped.saturating_add(new.items.skipped);
        let most = old.items.total.saturating_sub(skipped).saturating_sub(failed).max(0);
        let items = ItemCounts {
            total: old.items.total,
            done: old.items.done.saturating_add(new.items.done).min(most),
            skipped,
            failed,
            deleted: old.items.deleted.saturating_add(new.items.deleted),
        };
        let dead = if retry.reported { retry.dead.clone() } else { self.dead.clone() };
        Self {
            recent: recent(&retry.recent, &self.recent, dead.actions.retrying),
            reported: self.reported || retry.reported,
            counts: Counts {
                items,
                failures: dead.actions.clone(),
                chunks: old.chunks.saturating_add(new.chunks),
                tokens: old.tokens.saturating_add(new.tokens),
                bytes: old.bytes.saturating_add(new.bytes),
                cached: old.cached.saturating_add(new.cached),
            },
            next_retry: retry.next_retry,
            dead,
        }
    }

    /// What is done about the failed items of this job: of those that share its source, no more than failed here.
    #[must_use]
    pub fn failures(&self) -> FailureCounts {
        let (failed, actions) = (self.counts.items.failed, &self.dead.actions);
        let retrying = actions.retrying.min(failed);
        let notified = actions.notified.min(failed - retrying);
        FailureCounts { retrying, notified, archived: failed - retrying - notified }
    }
}

/// The newest failures of two runs: an item once, and no more that wait for a retry than there are.
fn recent(newer: &[ItemFailure], older: &[ItemFailure], retrying: i32) -> Vec<ItemFailure> {
    let mut seen = BTreeSet::new();
    let mut retrying = retrying;
    let mut all: Vec<ItemFailure> = newer
        .iter()
        .chain(older)
        .filter(|failure| seen.insert(failure.item.clone()))
        .filter(|failure| {
            let waits = failure.action == FailureAction::Retry;
            retrying -= i32::from(waits);
            !waits || retrying >= 0
        })
        .cloned()
        .collect();
    all.sort_by_key(|failure| std::cmp::Reverse(failure.last_failure_time));
    all.truncate(RECENT_FAILURES);
    all
}

#[cfg(test)]
mod tests {
    use lexigram_api::failure::{FailureCategory, Stage};
    use rstest::rstest;

    use super::*;

    /// `[total, done, skipped, failed]` of the run and `[retrying, archived, notified]` of the source.
    fn tally([total, done, skipped, failed]: [i32; 4], [retrying, archived, notified]: [i32; 3]) -> Tally {
        let actions = FailureCounts { retrying, archived, notified };
        Tally {
            counts: Counts {
                items: ItemCounts { total, done, skipped, failed, deleted: 0 },
                failures: actions.clone(),
                ..Default::default()
            },
            dead: DeadLetters { actions, ..Default::default() },
            reported: true,
            ..Default::default()
        }
    }

    #[rstest]
    #[case::all_mended(tally([10, 6, 1, 3], [3, 0, 0]), tally([3, 3, 0, 0], [0, 0, 0]), tally([10, 9, 1, 0], [0, 0, 0]))]
    #[case::one_given_up(tally([10, 6, 1, 3], [3, 0, 0]), tally([3, 2, 0, 1], [0, 1, 0]), tally([10, 8, 1, 1], [0, 1, 0]))]
    #[case::one_fails_again(tally([10, 7, 0, 3], [3, 0, 0]), tally([3, 2, 0, 1], [1, 0, 0]), tally([10, 9, 0, 1], [1, 0, 0]))]
    #[case::only_one_was_due(tally([10, 7, 0, 3], [3, 0, 0]), tally([1, 1, 0, 0], [2, 0, 0]), tally([10, 8, 0, 2], [2, 0, 0]))]
    #[case::others_stay(tally([10, 5, 0, 5], [3, 1, 1]), tally([3, 3, 0, 0], [0, 1, 1]), tally([10, 8, 0, 2], [0, 1, 1]))]
    #[case::archived_ones_by_hand(tally([10, 7, 0, 3], [0, 3, 0]), tally([2, 2, 0, 0], [0, 1, 0]), tally([10, 9, 0, 1], [0, 1, 0]))]
    #[case::more_than_were_known(tally([10, 9, 0, 1], [1, 0, 0]), tally([3, 3, 0, 0], [0, 0, 0]), tally([10, 10, 0, 0], [0, 0, 0]))]
    fn a_retry_adds_up(#[case] full: Tally, #[case] retry: Tally, #[case] expected: Tally) {
        assert_eq!(full.then(&retry), expected);
    }

    #[test]
    fn a_retry_at_work_has_mended_what_it_has_done() {
        let full = tally([10, 7, 0, 3], [3, 0, 0]);
        let at_work = Tally { reported: false, ..tally([3, 1, 0, 1], [1, 0, 0]) };
        let both = full.then(&at_work);
        assert_eq!((both.counts.items.done, both.counts.items.failed, both.dead.actions.retrying), (8, 2, 3));
    }

    #[rstest]
    #[case::own([4, 1, 0, 3], [1, 1, 1], [1, 1, 1])]
    #[case::of_others_too([4, 3, 0, 1], [9, 9, 9], [1, 0, 0])]
    #[case::forgotten([4, 2, 0, 2], [0, 0, 0], [0, 2, 0])]
    fn failures_of_this_job(#[case] items: [i32; 4], #[case] dead: [i32; 3], #[case] expected: [i32; 3]) {
        let FailureCounts { retrying, archived, notified } = tally(items, dead).failures();
        assert_eq!([retrying, archived, notified], expected);
    }

    fn failure(item: &str, second: i64, action: FailureAction) -> ItemFailure {
        ItemFailure {
            item: item.to_owned(),
            stage: Stage::Parse,
            category: FailureCategory::Transient,
            reason: "Broken".to_owned(),
            message: String::new(),
            attempts: 1,
            action,
            last_failure_time: Timestamp::from_second(second).unwrap(),
            next_retry_time: None,
        }
    }

    fn names(failures: &[ItemFailure]) -> Vec<&str> {
        failures.iter().map(|failure| failure.item.as_str()).collect()
    }

    #[test]
    fn a_mended_document_is_no_failure_any_more() {
        let older = [failure("bad", 2, FailureAction::Archive), failure("mended", 1, FailureAction::Retry)];
        assert_eq!(names(&recent(&[], &older, 0)), ["bad"]);
    }

    #[test]
    fn a_document_appears_once_with_its_newest_failure() {
        let older = [failure("a", 1, FailureAction::Retry), failure("b", 1, FailureAction::Retry)];
        let newer = [failure("a", 9, FailureAction::Archive)];
        assert_eq!(names(&recent(&newer, &older, 1)), ["a", "b"]);
    }

    #[test]
    fn there_are_ten_at_the_most() {
        let many: Vec<_> = (0..20).map(|n| failure(&n.to_string(), n, FailureAction::Archive)).collect();
        assert_eq!(names(&recent(&[], &many, 0)).len(), RECENT_FAILURES);
        assert_eq!(names(&recent(&[], &many, 0))[0], "19");
    }
}
