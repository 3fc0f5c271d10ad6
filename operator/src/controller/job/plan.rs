//! What is to be done about a job: a pure and total function of spec, observation, configuration and clock. No I/O.

use jiff::Timestamp;
use kube::ResourceExt;
use lexigram_api::{
    contract::RunError,
    failure::FailureCategory,
    resource::{ConditionType, is_true},
};

use super::{
    kind::{JobKind, status_of},
    observe::{Observation, Obstacle},
    validate::{self, Invalid},
};
use crate::{
    config::AiWorkers,
    controller::{
        pods::Trouble,
        runs::{Run, RunPhase},
    },
    names::RunNumber,
};

/// Full runs that are made for want of a report before the job fails.
const MAX_FULL_RUNS: u32 = 3;
/// How long the pods of a finished Job are waited for, in seconds: the two caches move apart by moments only.
const REPORT_GRACE_SECONDS: i64 = 15;

/// What is to be done.
#[derive(Clone, Debug, PartialEq)]
pub enum Plan {
    /// The object is being deleted: its children go with it.
    Deleting {
        /// Whether a worker is still there.
        stopping: bool,
    },
    /// `ttlSecondsAfterFinished` has passed: the object goes.
    Expired,
    /// The job has ended, and says so: nothing is done, and nothing is done again if its Jobs go.
    Finished {
        /// When the object goes.
        expires: Option<Timestamp>,
    },
    /// The spec cannot be used.
    Invalid(Invalid),
    /// `suspend` is set: what runs is stopped.
    Suspended {
        /// How the run is stopped, if it is not yet.
        halt: Option<Halt>,
        /// Whether workers are still there.
        stopping: bool,
    },
    /// The operator is told to start nothing.
    Disabled,
    /// Something that the spec names does not exist, or cannot be looked for.
    Blocked(Obstacle),
    /// The job waits for a place.
    Queued {
        /// Its position; 1 is next.
        position: i32,
    },
    /// A run is started, or resumed.
    Start(Start),
    /// The run waits until Kueue admits it.
    AwaitingAdmission,
    /// A run is at work.
    Running {
        /// Which one.
        number: RunNumber,
        /// What keeps it from going on.
        trouble: Option<Trouble>,
    },
    /// A run has ended a moment ago; its report is not there yet.
    AwaitingReport,
    /// Failed items wait for their retry.
    RetryPending {
        /// When it is started.
        at: Timestamp,
        /// How many there are.
        retrying: i32,
    },
    /// Failed items wait for a person.
    DeadLetters {
        /// How many there are.
        notified: i32,
    },
    /// Every item is done or archived.
    Completed {
        /// Archived ones.
        archived: i32,
    },
    /// The job as a whole failed.
    Failed(RunError),
}

/// How a run is stopped so that it can go on later.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Halt {
    /// Its Job is suspended.
    Suspend(String),
    /// Its Job is deleted: Kueue owns its `suspend` field, and the next Job goes on where this one stopped.
    Delete(String),
}

/// A run to be started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Start {
    /// Which one.
    pub number: RunNumber,
    /// How.
    pub how: Launch,
}

/// How a run is started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Launch {
    /// A Job is created.
    Create(Take),
    /// A suspended Job goes on.
    Resume,
}

/// Which items a run takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Take {
    /// All of them.
    Everything,
    /// Failed ones that were due at that time.
    Due(Timestamp),
    /// None: `ai_workers.stub`.
    Nothing,
}

/// What a plan asks of the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Demand {
    /// A place, if there is one.
    Request,
    /// The place that it has.
    Hold,
    /// Nothing.
    None,
}

impl Plan {
    /// What the plan asks of the queue. Kueue's jobs ask it for nothing.
    #[must_use]
    pub fn demand(&self, kueue: bool) -> Demand {
        match self {
            _ if kueue => Demand::None,
            Self::Start(_) | Self::Queued { .. } => Demand::Request,
            // a job that goes away, or is being stopped, is at work until its workers have ended
            Self::Deleting { stopping: true } | Self::Running { .. } | Self::Suspended { stopping: true, .. } => {
                Demand::Hold
            }
            Self::Deleting { stopping: false }
            | Self::Expired
            | Self::Finished { .. }
            | Self::Invalid(_)
            | Self::Suspended { stopping: false, .. }
            | Self::Disabled
            | Self::Blocked(_)
            | Self::AwaitingAdmission
            | Self::AwaitingReport
            | Self::RetryPending { .. }
            | Self::DeadLetters { .. }
            | Self::Completed { .. }
            | Self::Failed(_) => Demand::None,
        }
    }
}

/// What is to be done about `job`, were there a place for it.
#[must_use]
pub fn plan<K: JobKind>(job: &K, seen: &Observation, config: &AiWorkers, now: Timestamp) -> Plan {
    if job.meta().deletion_timestamp.is_some() {
        let at_work = [RunPhase::Active, RunPhase::Suspended { stopping: true }];
        return Plan::Deleting { stopping: seen.runs.last().is_some_and(|run| at_work.contains(&run.phase)) };
    }
    if let Some(ended) = recorded_end(job) {
        let ttl = job.options().ttl_seconds_after_finished;
        let expires = ttl.and_then(|ttl| ended.checked_add(jiff::SignedDuration::from_secs(ttl.into())).ok());
        return if expires.is_some_and(|expires| expires <= now) { Plan::Expired } else { Plan::Finished { expires } };
    }
    if let Err(invalid) = validate::options(job.options()).and_then(|()| job.validate()) {
        return Plan::Invalid(invalid);
    }
    let Some(run) = seen.runs.last() else {
        return start(job, seen, config, RunNumber::Full(1), Launch::Create(Take::Everything));
    };
    match &run.phase {
        RunPhase::Active if job.options().suspend => Plan::Suspended { halt: Some(halt(job, run)), stopping: true },
        RunPhase::Active => Plan::Running { number: run.number, trouble: run.trouble() },
        RunPhase::Suspended { stopping } if job.options().suspend => {
            let halt = job.options().queue_name.is_some().then(|| halt(job, run));
            Plan::Suspended { halt, stopping: *stopping }
        }
        RunPhase::Suspended { .. } if job.options().queue_name.is_some() => Plan::AwaitingAdmission,
        RunPhase::Suspended { .. } => start(job, seen, config, run.number, Launch::Resume),
        RunPhase::Failed { reason, message, .. } => Plan::Failed(run.failure(reason, message)),
        RunPhase::Succeeded { at } => after(job, seen, config, now, run, *at),
    }
}

/// Whether nothing is left to be done for the job but to go.
#[must_use]
pub fn is_over<K: JobKind>(job: &K) -> bool {
    job.meta().deletion_timestamp.is_some() || recorded_end(job).is_some()
}

/// When the job ended, if its status says that it did. As with a Kubernetes Job this is a fact and not a guess: what
/// happens to the children later does not make it undone.
fn recorded_end<K: JobKind>(job: &K) -> Option<Timestamp> {
    let status = status_of(job)?;
    let ended = [ConditionType::Complete, ConditionType::Failed].iter().any(|kind| is_true(&status.conditions, *kind));
    let at = status.completion_time.as_ref().map_or(Timestamp::MIN, |time| time.0);
    ended.then_some(at)
}

fn halt<K: JobKind>(job: &K, run: &Run) -> Halt {
    match job.options().queue_name {
        Some(_) => Halt::Delete(run.job.clone()),
        None => Halt::Suspend(run.job.clone()),
    }
}

/// Starts a run unless something stands against it.
fn start<K: JobKind>(job: &K, seen: &Observation, config: &AiWorkers, number: RunNumber, how: Launch) -> Plan {
    if job.options().suspend {
        return Plan::Suspended { halt: None, stopping: false };
    }
    if !config.enabled {
        return Plan::Disabled;
    }
    if let Some(obstacle) = &seen.obstacle {
        return Plan::Blocked(obstacle.clone());
    }
    let how = match how {
        Launch::Create(_) if config.stub => Launch::Create(Take::Nothing),
        how => how,
    };
    Plan::Start(Start { number, how })
}

/// What follows a run that came to its end.
fn after<K: JobKind>(
    job: &K,
    seen: &Observation,
    config: &AiWorkers,
    now: Timestamp,
    run: &Run,
    ended: Timestamp,
) -> Plan {
    let reported = run.finisher().is_some_and(|end| end.report.is_some());
    let Some(tally) = seen.tally().filter(|_| reported) else {
        return unreported(job, seen, config, now, run, ended);
    };
    if tally.counts.failures.retrying > 0 {
        // a report that does not say when: the policy's first wait does
        let wait = jiff::SignedDuration::from_secs(job.options().failure_policy.backoff_base_seconds.into());
        let due = tally.next_retry.or_else(|| ended.checked_add(wait).ok()).unwrap_or(ended);
        let at = sweep_at(due, config.dlq_check_interval);
        if at > now {
            return if job.options().suspend {
                Plan::Suspended { halt: None, stopping: false }
            } else {
                Plan::RetryPending { at, retrying: tally.counts.failures.retrying }
            };
        }
        return start(job, seen, config, RunNumber::Retry(seen.retries + 1), Launch::Create(Take::Due(now)));
    }
    match tally.counts.failures.notified {
        0 => Plan::Completed { archived: tally.counts.failures.archived },
        notified => Plan::DeadLetters { notified },
    }
}

/// A run whose report is lost is made again: what is unchanged is skipped, and the new report is a true one.
fn unreported<K: JobKind>(
    job: &K,
    seen: &Observation,
    config: &AiWorkers,
    now: Timestamp,
    run: &Run,
    ended: Timestamp,
) -> Plan {
    if run.finisher().is_some() {
        return Plan::Failed(RunError {
            category: FailureCategory::Configuration,
            reason: "ReportUnreadable".to_owned(),
            message: "the worker ended well but left no report that this operator understands; give both images the same version"
                .to_owned(),
        });
    }
    if now.duration_since(ended).as_secs() < REPORT_GRACE_SECONDS {
        return Plan::AwaitingReport;
    }
    let number = seen.runs.iter().filter(|run| matches!(run.number, RunNumber::Full(_))).map(|run| run.number).max();
    match number {
        Some(RunNumber::Full(number)) if number >= MAX_FULL_RUNS => Plan::Failed(RunError {
            category: FailureCategory::Unknown,
            reason: "ReportLost".to_owned(),
            message: format!(
                "{MAX_FULL_RUNS} runs came to their end, but their pods were deleted before their reports could be read; \
                 create {} again, and what is stored will be skipped",
                job.name_any()
            ),
        }),
        Some(RunNumber::Full(number)) => {
            start(job, seen, config, RunNumber::Full(number + 1), Launch::Create(Take::Everything))
        }
        Some(RunNumber::Retry(_)) | None => {
            start(job, seen, config, RunNumber::Full(1), Launch::Create(Take::Everything))
        }
    }
}

/// The first tick of the sweep's clock at which an item that is due then has become so.
#[must_use]
pub fn sweep_at(due: Timestamp, interval_seconds: u32) -> Timestamp {
    let interval = i64::from(interval_seconds.max(1));
    let second = due.as_second() + i64::from(due.subsec_nanosecond() > 0);
    let tick = second.div_euclid(interval) + i64::from(second.rem_euclid(interval) > 0);
    Timestamp::from_second(tick * interval).unwrap_or(due)
}
