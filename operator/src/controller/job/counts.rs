//! What the runs of one job add up to. No I/O.
//!
//! A retry takes `total` of the items that wait for one; whatever becomes of them, they are counted again by it.

use std::collections::BTreeSet;

use jiff::Timestamp;
use lexigram_api::{
    contract::{Counts, FailureCounts, ItemCounts, ItemFailure, Progress, RECENT_FAILURES, Report},
    failure::FailureAction,
};

/// What one run, or all of them, came to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tally {
    /// Its counts.
    pub counts: Counts,
    /// When the earliest failed item is due, as far as the newest run knows.
    pub next_retry: Option<Timestamp>,
    /// The newest failures, newest first.
    pub recent: Vec<ItemFailure>,
}

impl From<&Report> for Tally {
    fn from(report: &Report) -> Self {
        Self {
            counts: report.counts.clone(),
            next_retry: report.next_retry_time,
            recent: report.recent_failures.clone(),
        }
    }
}

impl From<&Progress> for Tally {
    fn from(progress: &Progress) -> Self {
        Self { counts: progress.counts.clone(), next_retry: None, recent: progress.recent_failures.clone() }
    }
}

impl Tally {
    /// This tally after a retry that has come to `retry` so far.
    #[must_use]
    pub fn then(&self, retry: &Self) -> Self {
        let (old, new) = (&self.counts, &retry.counts);
        let (before, after) = (&old.failures, &new.failures);
        let pending = (new.items.total - new.items.processed()).max(0);
        let failures = FailureCounts {
            retrying: (before.retrying - new.items.total + pending + after.retrying).max(0),
            archived: before.archived + after.archived,
            notified: before.notified + after.notified,
        };
        let failed = failures.retrying + failures.archived + failures.notified;
        let skipped = old.items.skipped + new.items.skipped;
        // another job may share the source, and its documents are retried along
        let most = (old.items.total - skipped - failed).max(0);
        let items = ItemCounts {
            total: old.items.total,
            done: (old.items.done + new.items.done).min(most),
            skipped,
            failed,
            deleted: old.items.deleted + new.items.deleted,
        };
        Self {
            recent: recent(&retry.recent, &self.recent, failures.retrying),
            counts: Counts {
                items,
                failures,
                chunks: old.chunks + new.chunks,
                tokens: old.tokens + new.tokens,
                bytes: old.bytes + new.bytes,
                cached: old.cached + new.cached,
            },
            next_retry: retry.next_retry,
        }
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

    /// `[total, done, skipped]` and `[retrying, archived, notified]`.
    fn tally([total, done, skipped]: [i32; 3], [retrying, archived, notified]: [i32; 3]) -> Tally {
        Tally {
            counts: Counts {
                items: ItemCounts { total, done, skipped, failed: retrying + archived + notified, deleted: 0 },
                failures: FailureCounts { retrying, archived, notified },
                ..Default::default()
            },
            ..Default::default()
        }
    }

    #[rstest]
    #[case::all_mended(tally([10, 6, 1], [3, 0, 0]), tally([3, 3, 0], [0, 0, 0]), tally([10, 9, 1], [0, 0, 0]))]
    #[case::one_given_up(tally([10, 6, 1], [3, 0, 0]), tally([3, 2, 0], [0, 1, 0]), tally([10, 8, 1], [0, 1, 0]))]
    #[case::one_fails_again(tally([10, 7, 0], [3, 0, 0]), tally([3, 2, 0], [1, 0, 0]), tally([10, 9, 0], [1, 0, 0]))]
    #[case::only_one_was_due(tally([10, 7, 0], [3, 0, 0]), tally([1, 1, 0], [0, 0, 0]), tally([10, 8, 0], [2, 0, 0]))]
    #[case::still_at_work(tally([10, 7, 0], [3, 0, 0]), tally([3, 1, 0], [0, 0, 0]), tally([10, 8, 0], [2, 0, 0]))]
    #[case::others_stay(tally([10, 5, 0], [3, 1, 1]), tally([3, 3, 0], [0, 0, 0]), tally([10, 8, 0], [0, 1, 1]))]
    #[case::more_than_were_known(tally([10, 9, 0], [1, 0, 0]), tally([3, 3, 0], [0, 0, 0]), tally([10, 10, 0], [0, 0, 0]))]
    fn a_retry_adds_up(#[case] full: Tally, #[case] retry: Tally, #[case] expected: Tally) {
        assert_eq!(full.then(&retry), expected);
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
