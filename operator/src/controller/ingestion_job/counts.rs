//! What the runs of one job add up to. No I/O.
//!
//! A retry takes `total` of the documents that wait for one; whatever becomes of them, they are counted again by it.

use std::collections::BTreeSet;

use jiff::Timestamp;
use lexigram_api::{
    contract::{DocumentCounts, DocumentFailure, FailureCounts, Progress, RECENT_FAILURES, Report},
    failure::FailureAction,
};

/// What one run, or all of them, came to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tally {
    /// Documents.
    pub documents: DocumentCounts,
    /// The failed ones by what is done about them.
    pub failures: FailureCounts,
    /// Chunks written.
    pub chunks: i64,
    /// Tokens embedded.
    pub tokens: i64,
    /// Bytes fetched.
    pub bytes: i64,
    /// When the earliest failed document is due, as far as the newest run knows.
    pub next_retry: Option<Timestamp>,
    /// The newest failures, newest first.
    pub recent: Vec<DocumentFailure>,
}

impl From<&Report> for Tally {
    fn from(report: &Report) -> Self {
        Self {
            documents: report.documents.clone(),
            failures: report.failures.clone(),
            chunks: report.chunks,
            tokens: report.tokens,
            bytes: report.bytes,
            next_retry: report.next_retry_time,
            recent: report.recent_failures.clone(),
        }
    }
}

impl From<&Progress> for Tally {
    fn from(progress: &Progress) -> Self {
        Self {
            documents: progress.documents.clone(),
            failures: progress.failures.clone(),
            chunks: progress.chunks,
            tokens: progress.tokens,
            bytes: progress.bytes,
            next_retry: None,
            recent: progress.recent_failures.clone(),
        }
    }
}

impl Tally {
    /// This tally after a retry that has come to `retry` so far.
    #[must_use]
    pub fn then(&self, retry: &Self) -> Self {
        let (before, after) = (&self.failures, &retry.failures);
        let pending = (retry.documents.total - retry.documents.processed()).max(0);
        let failures = FailureCounts {
            retrying: (before.retrying - retry.documents.total + pending + after.retrying).max(0),
            archived: before.archived + after.archived,
            notified: before.notified + after.notified,
        };
        Self {
            documents: DocumentCounts {
                total: self.documents.total,
                done: self.documents.done + retry.documents.done,
                skipped: self.documents.skipped + retry.documents.skipped,
                failed: failures.retrying + failures.archived + failures.notified,
                deleted: self.documents.deleted + retry.documents.deleted,
            },
            chunks: self.chunks + retry.chunks,
            tokens: self.tokens + retry.tokens,
            bytes: self.bytes + retry.bytes,
            next_retry: retry.next_retry,
            recent: recent(&retry.recent, &self.recent, failures.retrying),
            failures,
        }
    }
}

/// The newest failures of two runs: a document once, and no more that wait for a retry than there are.
fn recent(newer: &[DocumentFailure], older: &[DocumentFailure], retrying: i32) -> Vec<DocumentFailure> {
    let mut seen = BTreeSet::new();
    let mut retrying = retrying;
    let mut all: Vec<DocumentFailure> = newer
        .iter()
        .chain(older)
        .filter(|failure| seen.insert(failure.document.clone()))
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
