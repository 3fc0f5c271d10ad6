//! What the Kubernetes Jobs of a schedule say, in our words. No I/O.
//!
//! A Job is the record of its run: once that has ended and its report was read, an annotation of the Job keeps what came
//! of each task. Pods may go after that.

use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::api::{batch::v1::Job, core::v1::Pod};
use kube::ResourceExt;
use lexigram_api::{
    contract::{Counts, ProviderRequests, RunError, TaskReport, TaskResult},
    failure::FailureCategory,
    maintenance::TaskType,
    resource::RunResult,
};
use serde::{Deserialize, Serialize};

use super::name::RunName;
use crate::{
    controller::{
        pods::{self, Trouble, Worker},
        runs::{self, RunPhase},
    },
    metrics::EndedRun,
    names::{OUTCOME, RUN, TASKS},
};

/// How long the pods of a finished Job are waited for, in seconds: the two caches move apart by moments only.
const REPORT_GRACE_SECONDS: i64 = 15;

/// A task by name and type.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskName {
    /// Its name.
    pub name: String,
    /// Its type.
    #[serde(rename = "type")]
    pub task_type: TaskType,
}

/// What came of a run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// Of each of its tasks.
    pub tasks: Vec<TaskReport>,
    /// Why it failed as a whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<RunError>,
}

impl Outcome {
    /// All of it in one word.
    #[must_use]
    pub fn result(&self) -> TaskResult {
        let is = |result| move |task: &TaskReport| task.result == result;
        if self.error.is_some() || self.tasks.iter().any(is(TaskResult::Failed)) {
            return TaskResult::Failed;
        }
        let skipped = !self.tasks.is_empty() && self.tasks.iter().all(is(TaskResult::Skipped));
        if skipped { TaskResult::Skipped } else { TaskResult::Succeeded }
    }

    /// The tasks that failed.
    pub fn failed(&self) -> impl Iterator<Item = &TaskReport> {
        self.tasks.iter().filter(|task| task.result == TaskResult::Failed)
    }
}

/// One run of a schedule: a Kubernetes Job.
#[derive(Clone, Debug, PartialEq)]
pub struct Run {
    /// Name of the Kubernetes Job.
    pub job: String,
    /// Which run it is.
    pub name: RunName,
    /// The value of the annotation by which somebody asked for it.
    pub asked: Option<String>,
    /// Its tasks.
    pub tasks: Vec<TaskName>,
    /// When the Job was created.
    pub created: Timestamp,
    /// When it was started.
    pub started: Option<Timestamp>,
    /// How far it has come.
    pub phase: Phase,
}

/// How far a run has come.
#[derive(Clone, Debug, PartialEq)]
pub enum Phase {
    /// Its worker is at work, or will be.
    Active(Option<Trouble>),
    /// Its Job has ended, and the outcome is not written down yet.
    Ended {
        /// Since when.
        at: Timestamp,
        /// What the worker has said of its tasks, or why there is none; nothing where its report is not there yet.
        said: Option<Result<Vec<TaskReport>, RunError>>,
    },
    /// It is over.
    Settled {
        /// Since when.
        at: Timestamp,
        /// What came of it.
        outcome: Outcome,
    },
}

impl Run {
    /// Reads a Job and its pods, whose work spec has that run's name; nothing if the Job's name is not one that we give.
    #[must_use]
    pub fn read(job: &Job, pods: &[Arc<Pod>], work_spec_run: &str, now: Timestamp) -> Option<Self> {
        let annotations = job.annotations();
        Some(Self {
            name: RunName::parse(&job.name_any())?,
            job: job.name_any(),
            asked: annotations.get(RUN).cloned(),
            tasks: annotations.get(TASKS).and_then(|json| serde_json::from_str(json).ok()).unwrap_or_default(),
            created: job.creation_timestamp().map_or(Timestamp::MIN, |time| time.0),
            started: job.status.as_ref().and_then(|status| status.start_time.as_ref()).map(|time| time.0),
            phase: phase(job, pods, work_spec_run, now),
        })
    }

    /// Whether its Job is at work.
    #[must_use]
    pub const fn is_active(&self) -> bool {
        matches!(self.phase, Phase::Active(_))
    }

    /// The run as metrics count it, given what came of it.
    #[must_use]
    pub fn ended(&self, outcome: &Outcome) -> EndedRun {
        let failed = outcome.result() == TaskResult::Failed;
        let seconds = match (&self.phase, self.started) {
            (Phase::Ended { at, .. }, Some(started)) => Some(at.duration_since(started).as_secs_f64().max(0.0)),
            _ => None,
        };
        EndedRun {
            result: if failed { RunResult::Failed } else { RunResult::Succeeded },
            seconds,
            counts: Counts::default(),
            provider: ProviderRequests::default(),
        }
    }

    /// When it ended and what came of it, once that is written down.
    #[must_use]
    pub const fn settled(&self) -> Option<(Timestamp, &Outcome)> {
        match &self.phase {
            Phase::Settled { at, outcome } => Some((*at, outcome)),
            Phase::Active(_) | Phase::Ended { .. } => None,
        }
    }
}

fn phase(job: &Job, pods: &[Arc<Pod>], work_spec_run: &str, now: Timestamp) -> Phase {
    let workers = pods::survey(pods, work_spec_run);
    let end = workers.last_end.as_ref();
    let (at, said) = match runs::phase(job) {
        RunPhase::Active | RunPhase::Suspended { .. } => return Phase::Active(runs::trouble(&workers)),
        RunPhase::Failed { at, reason, .. } if reason == runs::DEADLINE => {
            let message = "the run was active longer than all its tasks may take together, and was stopped".to_owned();
            (at, Some(Err(RunError { category: FailureCategory::Timeout, reason, message })))
        }
        RunPhase::Failed { at, reason, message } => (at, Some(Err(runs::failure(&workers, &reason, &message)))),
        RunPhase::Succeeded { at } => {
            let report = end.filter(|_| workers.current == Worker::Ended).and_then(|end| end.report.as_ref());
            let said = report.map(|report| match &report.error {
                None => Ok(report.maintenance.clone()),
                Some(error) => Err(error.clone()),
            });
            let late = now.duration_since(at).as_secs() >= REPORT_GRACE_SECONDS;
            (at, said.or_else(|| late.then(|| Err(lost()))))
        }
    };
    match job.annotations().get(OUTCOME).and_then(|json| serde_json::from_str(json).ok()) {
        Some(outcome) => Phase::Settled { at, outcome },
        None => Phase::Ended { at, said },
    }
}

fn lost() -> RunError {
    RunError {
        category: FailureCategory::Unknown,
        reason: "ReportLost".to_owned(),
        message: "the run came to its end, but left no report that this operator can read".to_owned(),
    }
}
