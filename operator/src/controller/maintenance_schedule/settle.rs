//! What came of a run, put together from its worker's report and the operator's own tasks. No I/O.

use lexigram_api::{
    contract::{RunError, TaskReport, TaskResult, cut_to_bytes},
    failure::FailureCategory,
    maintenance::TaskType,
};

use super::runs::{Outcome, Phase, Run};

/// Longest message of a run or task that is kept, in bytes of JSON.
const MESSAGE_BYTES: usize = 256;

/// A run whose outcome can be written down.
#[derive(Clone, Debug, PartialEq)]
pub struct Settle {
    /// Its Job.
    pub job: String,
    /// The outcome as far as its worker goes.
    pub outcome: Outcome,
    /// The tasks that are the operator's own, and are done now: names of `Resync`s.
    pub resyncs: Vec<String>,
}

/// What can be written down of a run that has ended.
#[must_use]
pub fn settle(run: &Run) -> Option<Settle> {
    let Phase::Ended { said: Some(said), .. } = &run.phase else { return None };
    let (own, workers): (Vec<_>, Vec<_>) = run.tasks.iter().partition(|task| task.task_type == TaskType::Resync);
    let (reports, error) = match said {
        Ok(reports) => (reports.as_slice(), None),
        Err(error) => (&[][..], Some(error)),
    };
    let tasks = workers.iter().map(|task| {
        let report = reports.iter().find(|report| report.name == task.name).cloned();
        shortened(report.unwrap_or_else(|| failed(&task.name, error.cloned().unwrap_or_else(unreported))))
    });
    Some(Settle {
        job: run.job.clone(),
        outcome: Outcome {
            tasks: tasks.collect(),
            error: error.map(|error| RunError { message: short(&error.message), ..error.clone() }),
        },
        resyncs: own.iter().map(|task| task.name.clone()).collect(),
    })
}

/// A task that failed.
#[must_use]
pub fn failed(name: &str, error: RunError) -> TaskReport {
    TaskReport { error: Some(error), ..report(name, TaskResult::Failed, String::new()) }
}

/// A task that worked on nothing.
#[must_use]
pub fn report(name: &str, result: TaskResult, message: String) -> TaskReport {
    TaskReport { name: name.to_owned(), result, items: 0, bytes_freed: 0, message, error: None, checks: Vec::new() }
}

fn unreported() -> RunError {
    RunError {
        category: FailureCategory::Configuration,
        reason: "TaskNotReported".to_owned(),
        message: "the worker said nothing of this task; give operator and worker image the same version".to_owned(),
    }
}

fn short(message: &str) -> String {
    cut_to_bytes(message, MESSAGE_BYTES)
}

fn shortened(mut task: TaskReport) -> TaskReport {
    let errors = task.error.iter_mut().map(|error| &mut error.message);
    for text in errors.chain(task.checks.iter_mut().map(|check| &mut check.message)).chain([&mut task.message]) {
        *text = short(text);
    }
    task
}
