//! Which Jobs of an object have served their time. No I/O.

use std::collections::BTreeSet;

use super::observe::Observation;
use crate::controller::runs::RunPhase;

/// The Jobs that nothing is told by any more: counts, attempts, the numbers of runs to come.
#[must_use]
pub fn leftovers(seen: &Observation) -> Vec<&str> {
    // people want to see what the run before has logged
    let before = seen.earlier.iter().rfind(|run| run.number.full().is_some());
    // the number of the next retry follows from it
    let retry = seen.all().filter(|run| run.number.retry().is_some()).max_by_key(|run| run.number);
    let needed = seen.runs.iter().chain(before).chain(retry).chain(seen.since_asked());
    let needed: BTreeSet<&str> = needed.map(|run| run.job.as_str()).collect();
    let ended = seen.all().filter(|run| matches!(run.phase, RunPhase::Succeeded { .. } | RunPhase::Failed { .. }));
    ended.map(|run| run.job.as_str()).filter(|name| !needed.contains(name)).collect()
}
