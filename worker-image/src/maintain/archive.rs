//! `ArchiveCleanup`: archived dead letters keep within their bounds. Calls the store.

use lexigram_api::failure::ArchivePolicy;

use super::{
    Outcome,
    collections::{Wanted, each},
    failure::TaskFailure,
    words::{count, number},
};
use crate::store::Upkeep;

pub(super) async fn clean(store: &dyn Upkeep, wanted: &Wanted, policy: &ArchivePolicy) -> Result<Outcome, TaskFailure> {
    let collections = wanted.of(store).await?;
    let each = each(&collections, |collection| store.prune_archive(collection, policy)).await;
    let items = each.done.iter().sum();
    let message = format!(
        "{} removed from {}",
        count(items, "archived dead letter", "archived dead letters"),
        count(number(each.done.len()), "collection", "collections")
    );
    Ok(Outcome { items, message, failure: each.failure, ..Outcome::default() })
}
