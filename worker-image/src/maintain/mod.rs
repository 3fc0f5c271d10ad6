//! What a run of maintenance does: its tasks one after the other, each within its time. Calls the store.

mod archive;
mod cache;
mod collections;
mod failure;
mod health;
mod index;
mod orphans;
mod words;

use std::{path::Path, time::Duration};

use lexigram_api::{
    contract::{CheckReport, MaintainTask, MaintenanceStep, MaintenanceWork, RunError, TaskReport, TaskResult},
    failure::{FailurePolicy, Stage},
};
use tokio_util::sync::CancellationToken;

use crate::{
    failure::Classified,
    run::{Ended, Judge, RunFailure},
    store::{Limits, RunSummary, Upkeep, upkeep_of},
};
use collections::Wanted;
use failure::TaskFailure;

/// What a skipped task says.
const HELD: &str = "another run maintains this store at the moment; the next run does what this one has left";
/// How long taking the lock of the store may take.
const LOCK_TIMEOUT: Duration = Duration::from_secs(60);

/// What a task came to.
#[derive(Default)]
struct Outcome {
    items: i64,
    bytes_freed: i64,
    message: String,
    checks: Vec<CheckReport>,
    failure: Option<TaskFailure>,
}

/// Runs the tasks. One that fails is told of in the report, and does not stop those after it.
///
/// # Errors
/// If the work spec cannot be followed.
pub async fn maintain(
    models: &Path,
    run: &str,
    task: &MaintainTask,
    stop: &CancellationToken,
) -> Result<Ended, RunFailure> {
    let judge = Judge::new(FailurePolicy { rules: task.rules.clone(), ..FailurePolicy::default() })?;
    let wanted = Wanted::new(&task.collections)?;
    let mut reports = Vec::new();
    let through = stop.run_until_cancelled(go_through(models, task, &wanted, &judge, &mut reports)).await;
    let stopped = through.is_none().then_some(RunFailure::Interrupted);
    let mut ended = Ended::new(run, &RunSummary::default(), stopped.as_ref());
    ended.report.maintenance = reports;
    Ok(ended)
}

async fn go_through(models: &Path, task: &MaintainTask, wanted: &Wanted, judge: &Judge, reports: &mut Vec<TaskReport>) {
    if task.tasks.is_empty() {
        return;
    }
    // a store that is away is each task's own to tell
    let (_lock, held) = match hold(task).await {
        Ok(Some(lock)) => (Some(lock), false),
        Ok(None) => (None, true),
        Err(error) => {
            tracing::warn!("the store cannot be kept from others who maintain it: {error}");
            (None, false)
        }
    };
    for step in &task.tasks {
        let report = match held {
            true => report(&step.name, TaskResult::Skipped, Outcome { message: HELD.to_owned(), ..Outcome::default() }),
            false => in_time(models, task, step, wanted, judge).await,
        };
        tracing::info!(task = report.name, result = ?report.result, "{}", report.message);
        reports.push(report);
    }
}

/// Keeps others from maintaining the store.
async fn hold(task: &MaintainTask) -> Result<Option<crate::store::Held>, crate::store::StoreError> {
    let limits = Limits { stop: CancellationToken::new(), timeout: LOCK_TIMEOUT };
    upkeep_of(&task.store, limits).hold().await
}

/// A task, as it ends or is stopped.
async fn in_time(
    models: &Path,
    task: &MaintainTask,
    step: &MaintenanceStep,
    wanted: &Wanted,
    judge: &Judge,
) -> TaskReport {
    let timeout = Duration::from_secs(step.timeout_seconds.unsigned_abs().into());
    let stop = CancellationToken::new();
    // also where this future is dropped
    let _stop = stop.clone().drop_guard();
    let store = upkeep_of(&task.store, Limits { stop, timeout });
    let work = work(models, task, step, wanted, &*store);
    let done = tokio::time::timeout(timeout, work).await;
    let mut outcome = match done {
        Ok(Ok(outcome)) => outcome,
        Ok(Err(failure)) => Outcome { failure: Some(failure), ..Outcome::default() },
        Err(_) => {
            let failure = Some(TaskFailure::TimedOut { seconds: timeout.as_secs() });
            Outcome { failure, ..Outcome::default() }
        }
    };
    let error = outcome.failure.take().map(|failure| {
        let message = failure.to_string();
        let category = judge.category(Stage::Maintain, failure.category(), &message);
        RunError { category, reason: failure.reason().to_owned(), message }
    });
    let result = if error.is_some() { TaskResult::Failed } else { TaskResult::Succeeded };
    TaskReport { error, ..report(&step.name, result, outcome) }
}

async fn work(
    models: &Path,
    task: &MaintainTask,
    step: &MaintenanceStep,
    wanted: &Wanted,
    store: &dyn Upkeep,
) -> Result<Outcome, TaskFailure> {
    match &step.work {
        MaintenanceWork::IndexOptimization(settings) => index::optimize(store, wanted, settings).await,
        MaintenanceWork::CacheCleanup(settings) => cache::clean(store, settings).await,
        MaintenanceWork::ArchiveCleanup(policy) => archive::clean(store, wanted, policy).await,
        MaintenanceWork::OrphanCleanup(settings) => orphans::clean(store, wanted, settings).await,
        MaintenanceWork::HealthCheck(settings) => {
            Ok(health::check(store, wanted, settings, task.embedding.as_ref(), models).await)
        }
    }
}

fn report(name: &str, result: TaskResult, outcome: Outcome) -> TaskReport {
    let Outcome { items, bytes_freed, message, checks, failure: _ } = outcome;
    TaskReport { name: name.to_owned(), result, items, bytes_freed, message, error: None, checks }
}
