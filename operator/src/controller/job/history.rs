//! `status.runs`: the newest full runs. What Jobs and reports do not tell any more is kept as it was. No I/O.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use lexigram_api::resource::{JobStatus, MAX_RUNS, RunRecord, RunResult};

use super::observe::Observation;
use crate::{
    controller::runs::{Run, RunPhase},
    names::RunNumber,
};

/// Puts the runs that were seen among those that status tells of.
pub fn record(known: &mut Vec<RunRecord>, seen: &Observation) {
    for run in seen.all().filter(|run| run.number.full().is_some()) {
        let index = known.iter().position(|record| record.name == run.job);
        let before = index.map(|index| known.swap_remove(index));
        known.push(read(run, seen, before));
    }
    known.sort_by_key(|record| std::cmp::Reverse(RunNumber::parse(&record.name)));
    known.truncate(MAX_RUNS);
}

/// The runs that have ended by what status says.
#[must_use]
pub fn ended(status: &JobStatus) -> Vec<RunNumber> {
    let full = status.runs.iter().filter(|record| record.result.is_some()).map(|record| &record.name);
    let reported = status.dead_letters.as_ref().and_then(|dead| dead.reported_run.as_ref());
    full.chain(reported).filter_map(|name| RunNumber::parse(name)).collect()
}

fn read(run: &Run, seen: &Observation, before: Option<RunRecord>) -> RunRecord {
    let (result, end) = match &run.phase {
        RunPhase::Succeeded { at } => (Some(RunResult::Succeeded), Some(Time(*at))),
        RunPhase::Failed { at, .. } => (Some(RunResult::Failed), Some(Time(*at))),
        RunPhase::Active | RunPhase::Suspended { .. } => (None, None),
    };
    let (start, items) = before.map_or((None, None), |before| (before.start_time, before.items));
    // retries count for the newest run
    let newest = seen.runs.first().is_some_and(|newest| newest.job == run.job);
    let tally = if newest { seen.tally().map(|tally| tally.counts.items) } else { None };
    let reported = || run.last_report().map(|report| report.counts.items.clone());
    RunRecord {
        name: run.job.clone(),
        start_time: start.or(run.started.map(Time)),
        completion_time: end,
        result,
        items: tally.or(items).or_else(reported),
    }
}
