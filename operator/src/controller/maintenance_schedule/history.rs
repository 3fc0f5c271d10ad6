//! Which runs are kept, and how status tells of them. No I/O.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use lexigram_api::{
    contract::{TaskReport, TaskResult},
    resource::{MAX_RUNS_BYTES, MaintenanceRun, MaintenanceScheduleSpec, TaskStatus},
};

use super::{
    dead_letters,
    runs::{Phase, Run},
};
use crate::controller::job::status::shown;

/// Jobs of runs beyond the limits, oldest first. What a retry counts by stays.
#[must_use]
pub fn leftovers(runs: &[Run], spec: &MaintenanceScheduleSpec) -> Vec<String> {
    let counting = dead_letters::base(runs).unwrap_or(runs.len());
    let mut room = Room::of(spec);
    let newest_first = runs.iter().enumerate().rev();
    let beyond = newest_first.filter_map(|(place, run)| {
        let (_, outcome) = run.settled()?;
        let kept = room.take(outcome.result()) || place >= counting;
        (!kept).then(|| run.job.clone())
    });
    let mut beyond: Vec<String> = beyond.collect();
    beyond.reverse();
    beyond
}

/// The runs that status tells of, newest first: those whose Jobs are there, and earlier ones, as far as the limits go and
/// as many as a status has room for.
#[must_use]
pub fn told(runs: &[Run], before: &[MaintenanceRun], spec: &MaintenanceScheduleSpec) -> Vec<MaintenanceRun> {
    let mut all: Vec<MaintenanceRun> = runs.iter().rev().map(tell).collect();
    let gone = before.iter().filter(|old| old.result.is_some() && runs.iter().all(|run| run.job != old.job));
    all.extend(gone.cloned());
    let mut room = Room::of(spec);
    all.retain(|run| run.result.is_none_or(|result| room.take(result)));
    fitting(all)
}

/// The first of these runs, as many as fit; those after the first few without what their tasks say, if need be.
fn fitting(runs: Vec<MaintenanceRun>) -> Vec<MaintenanceRun> {
    let mut room = MAX_RUNS_BYTES;
    let mut fits = |bytes: usize| room.checked_sub(bytes).map(|left| room = left).is_some();
    let short: Vec<_> = runs.iter().map(without_messages).take_while(|run| fits(bytes(run))).collect();
    let told = runs.into_iter().zip(short);
    told.map(|(whole, short)| if fits(bytes(&whole) - bytes(&short)) { whole } else { short }).collect()
}

fn without_messages(run: &MaintenanceRun) -> MaintenanceRun {
    let mut run = run.clone();
    run.tasks.iter_mut().for_each(|task| task.message.clear());
    run
}

/// What a run takes in a status, with a comma.
fn bytes(run: &MaintenanceRun) -> usize {
    serde_json::to_string(run).map_or(usize::MAX, |json| json.len() + 1)
}

/// Places for runs with and without a failed task.
struct Room {
    successful: i32,
    failed: i32,
}

impl Room {
    const fn of(spec: &MaintenanceScheduleSpec) -> Self {
        Self { successful: spec.successful_runs_history_limit, failed: spec.failed_runs_history_limit }
    }

    fn take(&mut self, result: TaskResult) -> bool {
        let places = match result {
            TaskResult::Failed => &mut self.failed,
            TaskResult::Succeeded | TaskResult::Skipped => &mut self.successful,
        };
        *places -= 1;
        *places >= 0
    }
}

fn tell(run: &Run) -> MaintenanceRun {
    let (end, outcome) = match &run.phase {
        Phase::Active(_) | Phase::Ended { .. } => (None, None),
        Phase::Settled { at, outcome } => (Some(*at), Some(outcome)),
    };
    MaintenanceRun {
        job: run.job.clone(),
        scheduled_time: Time(run.name.time()),
        start_time: run.started.map(Time),
        end_time: end.map(shown),
        result: outcome.map(super::runs::Outcome::result),
        message: outcome.and_then(|outcome| outcome.error.as_ref()).map(|error| error.message.clone()),
        tasks: outcome.iter().flat_map(|outcome| &outcome.tasks).filter_map(|task| tell_task(run, task)).collect(),
    }
}

fn tell_task(run: &Run, report: &TaskReport) -> Option<TaskStatus> {
    let task_type = run.tasks.iter().find(|task| task.name == report.name)?.task_type;
    let message = report.error.as_ref().map_or(&report.message, |error| &error.message);
    Some(TaskStatus {
        name: report.name.clone(),
        task_type,
        result: report.result,
        items: report.items,
        bytes_freed: report.bytes_freed,
        message: message.clone(),
    })
}
