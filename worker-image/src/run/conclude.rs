//! From the last step of a run to its report. Reads and writes the store.

use jiff::Timestamp;
use lexigram_api::failure::ArchivePolicy;

use super::{Ended, RunFailure};
use crate::{
    report::Tracker,
    store::{RunKey, RunSummary, Store},
};

/// Takes the steps of a run, and whatever came of them, tidies up and reports.
pub(crate) async fn conclude(
    store: &dyn Store,
    run: &RunKey,
    archive: &ArchivePolicy,
    tracker: &Tracker,
    steps: impl Future<Output = Result<(), RunFailure>>,
) -> Ended {
    let result = steps.await;
    // What was dropped on the way is as if it had never been claimed. A store that fails here leaves it in flight, and
    // the next process counts an attempt for each item.
    let released = store.release(run).await;
    let result = result.and_then(|()| Ok(released?));
    // where the store cannot tell any more, what was seen last has to do
    let summary = store.summary(run).await.unwrap_or_else(|_| RunSummary::from(tracker.progress()));
    tracker.load(&summary);
    if result.is_ok() {
        // after the summary, which still counts what is forgotten here; if it fails, the next run does it
        if let Err(error) = store.prune_archive(archive, Timestamp::now()).await {
            tracing::warn!("the archive of what failed could not be pruned: {error}");
        }
    }
    Ended::new(&run.run, &summary, result.err().as_ref())
}
