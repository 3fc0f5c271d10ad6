//! `IndexOptimization`: room is given back, searches stay fast. Calls the store.

use std::time::Duration;

use lexigram_api::maintenance::IndexOptimization;

use super::{
    Outcome,
    collections::{Wanted, each},
    failure::TaskFailure,
    words::{bytes, count, duration, number},
};
use crate::store::{Condition, Optimized, Upkeep};

pub(super) async fn optimize(
    store: &dyn Upkeep,
    wanted: &Wanted,
    settings: &IndexOptimization,
) -> Result<Outcome, TaskFailure> {
    let collections = wanted.of(store).await?;
    let each = each(&collections, |collection| store.optimize(collection, settings)).await;
    let before = sum(each.done.iter().map(|optimized| &optimized.before));
    let after = sum(each.done.iter().map(|optimized| &optimized.after));
    let mut message = format!(
        "{}: {} before, {} after, free share {}% before, {}% after",
        count(number(each.done.len()), "collection", "collections"),
        bytes(before.bytes),
        bytes(after.bytes),
        before.free_percent,
        after.free_percent
    );
    if let (Some(before), Some(after)) = (before.search, after.search) {
        message += &format!("; a search took {} before, {} after", duration(before), duration(after));
    }
    for Optimized { left, .. } in &each.done {
        left.iter().for_each(|left| message += &format!("; {left}"));
    }
    Ok(Outcome {
        items: number(each.done.len()),
        bytes_freed: (before.bytes - after.bytes).max(0),
        message,
        failure: each.failure,
        ..Outcome::default()
    })
}

/// All of them together: the free share is that of all bytes, the search the slowest.
fn sum<'a>(conditions: impl Iterator<Item = &'a Condition>) -> Condition {
    let (mut all, mut free, mut search) = (0, 0, None::<Duration>);
    for condition in conditions {
        all += condition.bytes;
        free += condition.bytes / 100 * condition.free_percent;
        search = search.max(condition.search);
    }
    Condition { bytes: all, free_percent: free * 100 / all.max(1), search }
}
