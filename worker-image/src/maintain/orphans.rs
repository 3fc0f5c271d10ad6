//! `OrphanCleanup`: what no ledger row knows goes, what has lost its chunks is ingested again. Calls the store.

use lexigram_api::maintenance::OrphanCleanup;

use super::{
    Outcome,
    collections::{Wanted, each},
    failure::TaskFailure,
    words::{count, number},
};
use crate::store::{Orphans, Upkeep};

pub(super) async fn clean(
    store: &dyn Upkeep,
    wanted: &Wanted,
    settings: &OrphanCleanup,
) -> Result<Outcome, TaskFailure> {
    let collections = wanted.filled(store).await?;
    let each = each(&collections, |collection| store.clean_orphans(collection, settings.dry_run)).await;
    let found = each.done.iter().copied().fold(Orphans::default(), Orphans::and);
    let Orphans { chunks, entries, documents, rebuilds } = found;
    let (removed, queued) = match settings.dry_run {
        true => ("to be removed", "to be ingested again; this was a dry run"),
        false => ("removed", "ingested again by the next run over their sources"),
    };
    let message = format!(
        "{}: {}, {} and {} {removed}; {} {queued}",
        count(number(each.done.len()), "collection", "collections"),
        count(chunks, "chunk", "chunks"),
        count(entries, "entry of an index", "entries of indexes"),
        count(rebuilds, "half-built rebuild", "half-built rebuilds"),
        count(documents, "document", "documents"),
    );
    Ok(Outcome { items: found.total(), message, failure: each.failure, ..Outcome::default() })
}
