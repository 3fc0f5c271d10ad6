//! Tasks that failed, what is done about each, and when it is tried again. No I/O.
//!
//! A task's attempts are the newest run that was scheduled or asked for, and the retries after it: they are counted by
//! the Jobs that exist, so that neither a restart nor a second operator counts differently.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use lexigram_api::{
    contract::{DeadLetters, ItemFailure, RECENT_FAILURES, TaskReport, TaskResult},
    failure::{FailureAction, FailurePolicy, Stage},
    resource::{DeadLetter, DeadLetterStatus, MaintenanceScheduleSpec},
};

use super::runs::Run;
use crate::controller::job::{recovery::sweep::sweep_at, status::shown};

/// A task that failed and is not done yet.
#[derive(Clone, Debug, PartialEq)]
pub struct FailedTask {
    /// Its newest failure, and the tick of the sweep at which it is tried again.
    pub failure: ItemFailure,
    /// When it failed first.
    pub first_failure: Timestamp,
}

/// The tasks of the spec that failed, by what its policy makes of them. `runs` are in the order in which they were
/// started.
#[must_use]
pub fn failed(runs: &[Run], spec: &MaintenanceScheduleSpec, interval_seconds: u32) -> Vec<FailedTask> {
    let Some(base) = base(runs) else { return Vec::new() };
    let of_task = |name: &str| failed_task(name, &runs[base..], &spec.failure_policy, interval_seconds);
    spec.tasks.iter().filter_map(|task| of_task(&task.name)).collect()
}

/// Where in the list the newest run stands that is over and is no retry.
#[must_use]
pub fn base(runs: &[Run]) -> Option<usize> {
    runs.iter().rposition(|run| !run.name.is_retry() && run.settled().is_some())
}

fn failed_task(name: &str, runs: &[Run], policy: &FailurePolicy, interval_seconds: u32) -> Option<FailedTask> {
    let reports: Vec<(Timestamp, &TaskReport)> = runs
        .iter()
        .filter_map(Run::settled)
        .filter_map(|(at, outcome)| Some((at, outcome.tasks.iter().find(|task| task.name == name)?)))
        .collect();
    let (at, last) = *reports.last().filter(|(_, report)| report.result == TaskResult::Failed)?;
    let error = last.error.as_ref()?;
    let spent = |report: &TaskReport| report.error.as_ref().is_some_and(|error| error.category.spends_attempt());
    let attempts = u32::try_from(reports.iter().filter(|(_, report)| spent(report)).count()).unwrap_or(u32::MAX);
    let seed = at.as_second().unsigned_abs();
    let verdict = policy.judge(error.category, attempts, at, seed);
    Some(FailedTask {
        failure: ItemFailure {
            item: name.to_owned(),
            stage: Stage::Maintain,
            category: error.category,
            reason: error.reason.clone(),
            message: error.message.clone(),
            attempts: i32::try_from(attempts).unwrap_or(i32::MAX),
            action: verdict.action,
            last_failure_time: at,
            next_retry_time: verdict.next_attempt.map(|due| sweep_at(due, interval_seconds)),
        },
        first_failure: reports.first().map_or(at, |(first, _)| *first),
    })
}

/// The retry that is due next: its tick, and the tasks that it takes.
#[must_use]
pub fn next_retry(failed: &[FailedTask]) -> Option<(Timestamp, Vec<&str>)> {
    let tick = failed.iter().filter_map(|task| task.failure.next_retry_time).min()?;
    let due = failed.iter().filter(|task| task.failure.next_retry_time == Some(tick));
    Some((tick, due.map(|task| task.failure.item.as_str()).collect()))
}

/// `status.deadLetters`, given the newest run that is over and what was told before; nothing before the first run is over.
#[must_use]
pub fn status(
    failed: &[FailedTask],
    reported: Option<&Run>,
    before: Option<DeadLetterStatus>,
) -> Option<DeadLetterStatus> {
    let Some(run) = reported else { return before };
    let mut counts = DeadLetters::default();
    for task in failed {
        counts.add(task.failure.category, task.failure.action, 1);
    }
    let waiting = failed.iter().filter(|task| task.failure.action != FailureAction::Archive);
    let mut status = DeadLetterStatus {
        oldest_failure_time: waiting.map(|task| task.first_failure).min().map(shown),
        next_retry_time: next_retry(failed).map(|(tick, _)| Time(tick)),
        recent: failed.iter().take(RECENT_FAILURES).map(|task| DeadLetter::from(&task.failure)).collect(),
        reported_run: Some(run.job.clone()),
        notification: before.and_then(|before| before.notification),
        ..Default::default()
    };
    status.count(&counts.actions, &counts.categories);
    Some(status)
}
