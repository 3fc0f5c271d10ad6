//! What a Kubernetes Job of ours and its pods say, in our words. No I/O.

use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::api::{
    batch::v1::{Job, JobCondition},
    core::v1::Pod,
};
use kube::ResourceExt;
use lexigram_api::{
    contract::{Counts, Progress, Report, RunError},
    failure::FailureCategory,
    resource::RunResult,
};

use super::{
    job::recovery::request::{self, Request, Wish},
    outcome::Cause,
    pods::{self, Ended, Trouble, Worker, Workers},
    shards,
};
use crate::{
    metrics::EndedRun,
    names::{EXHAUSTED, OWNER_UID, REFERENCES, RunNumber, ledger_run},
};

/// Reason of a run that was active longer than it may: the Job controller's own word.
pub const DEADLINE: &str = "DeadlineExceeded";
/// Annotation of the pods of an Indexed Job.
const COMPLETION_INDEX: &str = "batch.kubernetes.io/job-completion-index";

/// One run of an object: a Kubernetes Job.
#[derive(Clone, Debug, PartialEq)]
pub struct Run {
    /// Name of the Kubernetes Job.
    pub job: String,
    /// What it is called in the ledger, in progress and in reports.
    pub ledger_run: String,
    /// Which run it is.
    pub number: RunNumber,
    /// The request that it meets, if a person asked for it.
    pub request: Option<Request>,
    /// Runs before this one in which memory ran out.
    pub exhausted_before: u32,
    /// A digest of what the object named when the run was created.
    pub references: Option<String>,
    /// When the Job was created.
    pub created: Timestamp,
    /// When it was last started.
    pub started: Option<Timestamp>,
    /// How far it has come.
    pub phase: RunPhase,
    /// Its pods, by the part of the work that is theirs: one part, unless `spec.parallelism` says more.
    pub shards: Vec<Workers>,
    /// All of them as one.
    pub workers: Workers,
    /// What its worker says of itself right now.
    pub progress: Option<Progress>,
}

/// How far a run has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RunPhase {
    /// Pods run, or will.
    Active,
    /// The Job is suspended; `stopping` while pods are still there.
    Suspended {
        /// Whether pods are still there.
        stopping: bool,
    },
    /// The Job is complete.
    Succeeded {
        /// Since when.
        at: Timestamp,
    },
    /// The Job has failed.
    Failed {
        /// Since when.
        at: Timestamp,
        /// Reason of the Job's condition.
        reason: String,
        /// Its message.
        message: String,
    },
}

impl Run {
    /// Reads a Job and its pods; nothing if the Job's name is not one that we give.
    #[must_use]
    pub fn read(job: &Job, pods: &[Arc<Pod>]) -> Option<Self> {
        let name = job.name_any();
        let status = job.status.as_ref();
        let ledger_run = ledger_run(&name, job.labels().get(OWNER_UID).map_or("", String::as_str));
        let annotations = job.annotations();
        let parts = job.spec.as_ref().and_then(|spec| spec.completions).unwrap_or(1);
        let parts = shards::by_index(pods, |pod| index(pod), usize::try_from(parts).unwrap_or(1));
        let parts: Vec<Workers> = parts.iter().map(|pods| pods::survey(pods, &ledger_run)).collect();
        Some(Self {
            number: RunNumber::parse(&name)?,
            request: Wish::ALL.into_iter().find_map(|wish| request::read(wish, annotations).ok()?),
            exhausted_before: annotations.get(EXHAUSTED).and_then(|count| count.parse().ok()).unwrap_or(0),
            references: annotations.get(REFERENCES).cloned(),
            created: job.creation_timestamp().map_or(Timestamp::MIN, |time| time.0),
            started: status.and_then(|status| status.start_time.as_ref()).map(|time| time.0),
            phase: phase(job),
            workers: shards::join(&parts),
            shards: parts,
            progress: None,
            job: name,
            ledger_run,
        })
    }

    /// Addresses of the workers that run, one a part; none for one that has no address yet.
    #[must_use]
    pub fn addresses(&self) -> Vec<Option<&str>> {
        let running = self.shards.iter().filter_map(|workers| match &workers.current {
            Worker::Running(address) => Some(address.as_deref()),
            Worker::Absent | Worker::Waiting(_) | Worker::Ended => None,
        });
        running.collect()
    }

    /// What the parts that are through have reported.
    #[must_use]
    pub fn ended(&self) -> Vec<&Report> {
        let through = self.shards.iter().filter(|workers| workers.current == Worker::Ended);
        through.filter_map(|workers| workers.last_end.as_ref()?.report.as_ref()).collect()
    }

    /// The run as metrics count it, if it has ended: all its parts, and all its processes.
    #[must_use]
    pub fn ended_run(&self) -> Option<EndedRun> {
        let (result, at) = match &self.phase {
            RunPhase::Active | RunPhase::Suspended { .. } => return None,
            RunPhase::Succeeded { at } => (RunResult::Succeeded, *at),
            RunPhase::Failed { at, .. } => (RunResult::Failed, *at),
        };
        let mut counts = Counts::default();
        // a part counts for the whole run, whichever of its processes tells
        for report in self.shards.iter().filter_map(|workers| workers.last_end.as_ref()?.report.as_ref()) {
            counts += &report.counts;
        }
        let seconds = self.started.map(|started| at.duration_since(started).as_secs_f64().max(0.0));
        Some(EndedRun { result, seconds, counts, provider: self.workers.provider.clone() })
    }

    /// How many of its workers run.
    #[must_use]
    pub fn at_work(&self) -> usize {
        self.shards.iter().filter(|workers| matches!(workers.current, Worker::Running(_))).count()
    }

    /// The newest word of a worker that has ended, were it interrupted or not.
    #[must_use]
    pub fn last_report(&self) -> Option<&Report> {
        self.workers.last_end.as_ref()?.report.as_ref()
    }

    /// How the worker that brought the run to its end has ended, once its pod says so.
    #[must_use]
    pub fn finisher(&self) -> Option<&Ended> {
        let end = self.workers.last_end.as_ref()?;
        (self.workers.current == Worker::Ended && end.cause == Cause::Exited(0)).then_some(end)
    }

    /// Whether the run, or a document or text of it, ran out of memory.
    #[must_use]
    pub fn is_exhausted(&self) -> bool {
        let exhausted = |category: FailureCategory| category == FailureCategory::ResourceExhausted;
        let said = self.last_report().is_some_and(|report| {
            report.error.as_ref().is_some_and(|error| exhausted(error.category))
                || report.recent_failures.iter().any(|failure| exhausted(failure.category))
        });
        said || self.workers.out_of_memory
    }

    /// What keeps an active run from going on, or did so a moment ago.
    #[must_use]
    pub fn trouble(&self) -> Option<Trouble> {
        trouble(&self.workers)
    }

    /// Why the run failed, given its Job's condition.
    #[must_use]
    pub fn failure(&self, reason: &str, message: &str) -> RunError {
        if reason == DEADLINE {
            return RunError {
                category: FailureCategory::Timeout,
                reason: DEADLINE.to_owned(),
                message:
                    "the run was active longer than spec.activeDeadlineSeconds and was stopped; what it stored stays"
                        .to_owned(),
            };
        }
        failure(&self.workers, reason, message)
    }
}

/// What keeps the workers of an active run from going on, or did so a moment ago.
pub(super) fn trouble(workers: &Workers) -> Option<Trouble> {
    match (&workers.current, &workers.last_end) {
        (Worker::Waiting(Some(trouble)), _) => Some(trouble.clone()),
        (Worker::Absent | Worker::Waiting(None) | Worker::Ended, Some(end)) if end.cause != Cause::Exited(0) => {
            Some(Trouble {
                reason: end.cause.reason(),
                message: format!("{}; the next worker goes on where this one stopped", story(workers)),
                needs_help: false,
            })
        }
        _ => None,
    }
}

/// Why the run of these workers failed, given its Job's condition.
pub(super) fn failure(workers: &Workers, reason: &str, message: &str) -> RunError {
    let end = workers.last_end.as_ref();
    if let Some(error) = end.and_then(|end| end.report.as_ref()?.error.clone()) {
        return error;
    }
    let category = end.map_or(FailureCategory::Unknown, |end| end.cause.category());
    let reason = if reason == "BackoffLimitExceeded" { reason } else { "WorkerFailed" };
    RunError { category, reason: reason.to_owned(), message: format!("{}; {message}", story(workers)) }
}

fn story(workers: &Workers) -> String {
    match &workers.last_end {
        None => "the worker left no trace".to_owned(),
        Some(end) => {
            let said = end.report.as_ref().and_then(|report| report.error.as_ref());
            let said = said.map(|error| format!(" ({})", error.message)).unwrap_or_default();
            format!("the worker {}{said}", end.cause.story())
        }
    }
}

/// The part of the work that is a pod's, as the Job controller says.
fn index(pod: &Pod) -> Option<usize> {
    pod.annotations().get(COMPLETION_INDEX)?.parse().ok()
}

/// How far a Job has come.
pub(super) fn phase(job: &Job) -> RunPhase {
    let status = job.status.as_ref();
    let conditions = status.and_then(|status| status.conditions.as_deref()).unwrap_or_default();
    let holds = |kind: &str| conditions.iter().find(|condition| condition.type_ == kind && condition.status == "True");
    let at = |condition: &JobCondition| condition.last_transition_time.as_ref().map_or(Timestamp::MIN, |time| time.0);
    if let Some(condition) = holds("Complete") {
        return RunPhase::Succeeded { at: at(condition) };
    }
    if let Some(condition) = holds("Failed") {
        return RunPhase::Failed {
            at: at(condition),
            reason: condition.reason.clone().unwrap_or_default(),
            message: condition.message.clone().unwrap_or_default(),
        };
    }
    if job.spec.as_ref().and_then(|spec| spec.suspend) == Some(true) {
        let pods = status.map_or(0, |status| status.active.unwrap_or(0) + status.terminating.unwrap_or(0));
        return RunPhase::Suspended { stopping: pods > 0 };
    }
    RunPhase::Active
}
