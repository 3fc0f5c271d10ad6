//! What an earlier process had in hand when it died. Reads and writes the store.

use jiff::Timestamp;
use lexigram_api::failure::FailureAction;

use super::{Failure, Judge};
use crate::store::{RunKey, Store, StoreError};

/// Counts an attempt for every item that an earlier process had in hand when it died.
pub(crate) async fn count_interrupted(store: &dyn Store, run: &RunKey, judge: &Judge) -> Result<(), StoreError> {
    for item in store.interrupted(run).await? {
        let attempt = judge.judge(&item, Failure::worker_died(), Timestamp::now());
        tracing::warn!(item = item.name, attempts = attempt.attempts, "{}", attempt.message);
        match attempt.verdict.action {
            FailureAction::Retry => store.suspect(attempt).await?,
            FailureAction::Archive | FailureAction::Notify => store.give_up(run, attempt).await?,
        }
    }
    Ok(())
}
