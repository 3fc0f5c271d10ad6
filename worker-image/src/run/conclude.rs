//! From the last step of a run to its report. Reads and writes the store.

use jiff::Timestamp;
use lexigram_api::{contract::OpenCircuit, failure::ArchivePolicy};

use super::{Ended, RunFailure};
use crate::{
    report::Tracker,
    store::{RunKey, RunSummary, Store, StoreError},
};

/// Takes the steps of a run, and whatever came of them, tidies up and reports. Steps that were cut short by a circuit
/// give it.
pub(crate) async fn conclude(
    store: &dyn Store,
    run: &RunKey,
    archive: &ArchivePolicy,
    tracker: &Tracker,
    steps: impl Future<Output = Result<Option<OpenCircuit>, RunFailure>>,
) -> Ended {
    let result = steps.await;
    // What was dropped on the way is as if it had never been claimed. A store that fails here leaves it in flight, and
    // the next process counts an attempt for each item.
    let released = store.release(run).await;
    let result = result.and_then(|circuit| released.map(|()| circuit).map_err(RunFailure::from));
    // where the store cannot tell any more, what was seen last has to do
    let mut summary = store.summary(run).await.unwrap_or_else(|_| RunSummary::from(tracker.progress()));
    tracker.load(&summary);
    if result.is_ok() {
        // after the summary, which still counts what is forgotten here; if it fails, the next run does it
        if let Err(error) = store.prune_archive(archive, Timestamp::now()).await {
            tracing::warn!("the archive of what failed could not be pruned: {error}");
        }
    }
    if let Ok(dead_letters) = store.dead_letters(&run.scope).await {
        summary.dead_letters = dead_letters;
    }
    let mut ended = Ended::new(&run.run, &summary, result.as_ref().err());
    let progress = tracker.progress();
    (ended.report.stages, ended.report.provider) = (progress.stages, progress.provider);
    ended.report.circuit = match result {
        Ok(circuit) => circuit,
        // a write that was held in vain
        Err(RunFailure::Store(_)) => progress.circuit,
        Err(_) => None,
    };
    ended
}

/// What the work of a run came to. Where a circuit ended it, everything that is left waits for the circuit's next probe.
pub(crate) async fn put_off(
    store: &dyn Store,
    run: &RunKey,
    worked: Result<(), RunFailure>,
) -> Result<Option<OpenCircuit>, RunFailure> {
    match worked {
        Ok(()) => Ok(None),
        Err(RunFailure::Circuit(circuit)) => {
            tracing::warn!(until = %circuit.until, "nothing more is tried for now: {}", circuit.message);
            let postponed = async {
                store.release(run).await?;
                store.postpone(run, &circuit, Timestamp::now()).await
            };
            postponed.await.map_err(|error: StoreError| RunFailure::from(error))?;
            Ok(Some(circuit))
        }
        Err(failure) => Err(failure),
    }
}
