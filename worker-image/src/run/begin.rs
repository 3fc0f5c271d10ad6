//! Which items a run takes: by its mode. Reads and writes the store.

use std::path::Path;

use lexigram_api::{
    contract::{Mode, StoreLocation},
    failure::ArchivePolicy,
};

use super::{Ended, RunFailure, conclude};
use crate::{
    report::Tracker,
    store::{Listing, RunKey, SqliteStore, Store, StoreError},
};

/// Takes the items of a run, or goes on with those that it has, and says whether its source has yet to be listed.
pub(crate) async fn begin(store: &dyn Store, run: &RunKey, mode: &Mode) -> Result<Listing, StoreError> {
    match mode {
        Mode::Full => return store.begin_full(run).await,
        Mode::Retry { due_before } => store.begin_retry(run, *due_before).await?,
        Mode::Again { selection, failed_before } => store.begin_again(run, selection, *failed_before).await?,
        Mode::Archive { selection, failed_before } => store.begin_archive(run, selection, *failed_before).await?,
    }
    Ok(Listing::Complete)
}

/// A whole run that tries nothing: it needs neither source nor model, which may be what is broken.
pub(crate) async fn without_trying(
    location: &StoreLocation,
    run: RunKey,
    mode: &Mode,
    archive: &ArchivePolicy,
    tracker: &Tracker,
    patience: std::time::Duration,
) -> Ended {
    let StoreLocation::Sqlite { path, cache: _ } = location;
    let store = match SqliteStore::create_ledger(Path::new(path), &run.scope, patience).await {
        Ok(store) => store,
        Err(error) => return Ended::before_start(&run.run, &RunFailure::Store(error)),
    };
    let steps = async {
        begin(&store, &run, mode).await?;
        Ok(None)
    };
    conclude(&store, &run, archive, tracker, steps).await
}
