//! Which items a run takes: by its mode. Reads and writes the store.

use std::time::Duration;

use lexigram_api::{
    contract::{Mode, Phase, StoreLocation},
    failure::ArchivePolicy,
};
use tokio_util::sync::CancellationToken;

use super::{Ended, RunFailure, conclude};
use crate::{
    report::Tracker,
    store::{Listing, Place, RunKey, Store, Writer},
};

/// How often a process looks whether another one has listed the source.
const LISTING_INTERVAL: Duration = Duration::from_millis(500);

/// Takes the items of a run, or goes on with those that it has, and says whether its source has yet to be listed, by this
/// process.
pub(crate) async fn begin(
    store: &dyn Store,
    run: &RunKey,
    mode: &Mode,
    tracker: &Tracker,
    stop: &CancellationToken,
) -> Result<Listing, RunFailure> {
    match mode {
        Mode::Full => loop {
            match store.begin_full(run).await? {
                Listing::Awaited => {}
                listing => return Ok(listing),
            }
            tracker.phase(Phase::Listing);
            tracker.beat();
            let waited = stop.run_until_cancelled(tokio::time::sleep(LISTING_INTERVAL)).await;
            waited.ok_or(RunFailure::Interrupted)?;
        },
        Mode::Retry { due_before } => store.begin_retry(run, *due_before).await?,
        Mode::Again { selection, failed_before } => store.begin_again(run, selection, *failed_before).await?,
        Mode::Archive { selection, failed_before } => store.begin_archive(run, selection, *failed_before).await?,
    }
    Ok(Listing::Complete)
}

/// A whole run that tries nothing: it needs neither source nor model, which may be what is broken.
pub(crate) async fn without_trying(
    location: &StoreLocation,
    writer: &Writer<'_>,
    mode: &Mode,
    archive: &ArchivePolicy,
    tracker: &Tracker,
    stop: &CancellationToken,
) -> Ended {
    let opened = async { Place::find(location, writer.shard.count)?.create_ledger(writer).await };
    let store = match opened.await {
        Ok(store) => store,
        Err(error) => return Ended::before_start(writer.run, &RunFailure::Store(error)),
    };
    let run = RunKey { scope: writer.scope.to_owned(), run: writer.run.to_owned() };
    let steps = async {
        begin(&*store, &run, mode, tracker, stop).await?;
        Ok(None)
    };
    conclude(&*store, &run, archive, tracker, steps).await
}
