//! Why a task could not do what it is for. No I/O.

use lexigram_api::failure::FailureCategory;
use thiserror::Error;

use crate::{failure::Classified, store::StoreError};

/// Why a task failed.
#[derive(Debug, Error)]
pub(super) enum TaskFailure {
    /// The store cannot be worked with as a whole.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A collection cannot be worked with.
    #[error("collection '{collection}': {error}; {done} other collections were done, and {failed} failed in all")]
    Collection {
        /// The first that failed.
        collection: String,
        /// Why.
        error: StoreError,
        /// Collections that were done.
        done: usize,
        /// Collections that failed.
        failed: usize,
    },
    /// The task took too long.
    #[error(
        "the task was stopped after {seconds} s; what it had done by then stays done: raise its timeoutSeconds, or let it run more often"
    )]
    TimedOut {
        /// Its limit.
        seconds: u64,
    },
}

impl Classified for TaskFailure {
    fn category(&self) -> FailureCategory {
        match self {
            Self::Store(error) | Self::Collection { error, .. } => error.category(),
            Self::TimedOut { .. } => FailureCategory::Timeout,
        }
    }

    fn reason(&self) -> &'static str {
        match self {
            Self::Store(error) | Self::Collection { error, .. } => error.reason(),
            Self::TimedOut { .. } => "TaskTimedOut",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    crate::failure::tests::classification!(each_failure_has_its_category: TaskFailure {
        TaskFailure::Store(_) = TaskFailure::Store(StoreError::Busy) => Transient, "StoreBusy";
        TaskFailure::Collection { .. } = TaskFailure::Collection {
            collection: "docs".to_owned(), error: StoreError::Damaged("x".to_owned()), done: 1, failed: 1,
        } => Configuration, "StoreDamaged";
        TaskFailure::TimedOut { .. } = TaskFailure::TimedOut { seconds: 1 } => Timeout, "TaskTimedOut";
    });
}
