//! What is to be done about a job: a pure and total function of spec, observation, configuration and clock. No I/O.

use jiff::Timestamp;
use kube::ResourceExt;
use lexigram_api::{
    contract::{CategoryCount, FailureCounts, RunError, Selection},
    failure::FailureCategory,
    resource::{ConditionType, is_true},
};

pub use super::decision::{Demand, Halt, Launch, Plan, Start, Take};
use super::{
    kind::{JobKind, status_of},
    observe::Observation,
    recovery::{again, comeback, request::Wish, sweep},
    validate,
};
use crate::{
    config::AiWorkers,
    controller::runs::{Run, RunPhase},
    names::RunNumber,
};

/// Full runs that are made for want of a report before the job fails.
const MAX_FULL_RUNS: usize = 3;
/// How long the pods of a finished Job are waited for, in seconds: the two caches move apart by moments only.
pub(super) const REPORT_GRACE_SECONDS: i64 = 15;

/// What is to be done about `job`, were there a place for it.
#[must_use]
pub fn plan<K: JobKind>(job: &K, seen: &Observation, config: &AiWorkers, now: Timestamp) -> Plan {
    if job.meta().deletion_timestamp.is_some() {
        let at_work = [RunPhase::Active, RunPhase::Suspended { stopping: true }];
        return Plan::Deleting { stopping: seen.current().is_some_and(|run| at_work.contains(&run.phase)) };
    }
    if let Some(ended) = recorded_end(job).filter(|_| !is_reopened(job, seen)) {
        let ttl = job.options().ttl_seconds_after_finished;
        let expires = ttl.and_then(|ttl| ended.checked_add(jiff::SignedDuration::from_secs(ttl.into())).ok());
        if expires.is_some_and(|expires| expires <= now) {
            return Plan::Expired;
        }
        return match back(job, seen, now).map(|start| begin(job, seen, config, start)) {
            Some(plan @ (Plan::Start(_) | Plan::Blocked(_))) => plan,
            _ => Plan::Finished { expires },
        };
    }
    if let Err(invalid) = validate::options(job.options()).and_then(|()| job.validate()) {
        return Plan::Invalid(invalid);
    }
    let Some(run) = seen.current() else {
        // the first run looks through everything as it is
        let request =
            comeback::wanted(job, seen).ok().and_then(|open| open.into_iter().find(|it| it.wish == Wish::Run));
        return begin(job, seen, config, Start { request, ..create(seen.next_full(), Take::Everything) });
    };
    match &run.phase {
        RunPhase::Active if job.options().suspend => Plan::Suspended { halt: Some(halt(job, run)), stopping: true },
        RunPhase::Active => Plan::Running { number: run.number, trouble: run.trouble() },
        RunPhase::Suspended { stopping } if job.options().suspend => {
            let halt = job.options().queue_name.is_some().then(|| halt(job, run));
            Plan::Suspended { halt, stopping: *stopping }
        }
        RunPhase::Suspended { .. } if job.options().queue_name.is_some() => Plan::AwaitingAdmission,
        RunPhase::Suspended { .. } => {
            begin(job, seen, config, Start { number: run.number, how: Launch::Resume, request: None })
        }
        RunPhase::Failed { at, reason, message } => {
            failed(job, seen, config, now, run, &run.failure(reason, message), *at)
        }
        RunPhase::Succeeded { at } => after(job, seen, config, now, run, *at),
    }
}

/// Whether status says that the job has come to its end, or the object is going.
#[must_use]
pub fn has_ended<K: JobKind>(job: &K) -> bool {
    job.meta().deletion_timestamp.is_some() || recorded_end(job).is_some()
}

/// As [`has_ended`], unless a run was started since.
#[must_use]
pub fn is_over<K: JobKind>(job: &K, seen: &Observation) -> bool {
    has_ended(job) && !is_reopened(job, seen)
}

/// Whether a job that is over may go on after all, for which more has to be looked at.
#[must_use]
pub fn may_come_back<K: JobKind>(job: &K, seen: &Observation) -> bool {
    job.meta().deletion_timestamp.is_none()
        && (waits_for_change(job) || comeback::wanted(job, seen).is_ok_and(|open| !open.is_empty()))
}

/// Whether the job failed for want of a good Secret or ConfigMap.
#[must_use]
pub fn waits_for_change<K: JobKind>(job: &K) -> bool {
    let holds = |kind| status_of(job).is_some_and(|status| is_true(&status.conditions, kind));
    holds(ConditionType::Failed) && holds(ConditionType::Stalled)
}

/// When the job ended, if its status says that it did. As with a Kubernetes Job this is a fact and not a guess: what
/// happens to the children later does not make it undone.
fn recorded_end<K: JobKind>(job: &K) -> Option<Timestamp> {
    let status = status_of(job)?;
    let ended = [ConditionType::Complete, ConditionType::Failed].iter().any(|kind| is_true(&status.conditions, *kind));
    let at = status.completion_time.as_ref().map_or(Timestamp::MIN, |time| time.0);
    ended.then_some(at)
}

/// Whether there is a newer run than the one that the recorded end is that of. Told by their names, not by clocks.
fn is_reopened<K: JobKind>(job: &K, seen: &Observation) -> bool {
    let latest = status_of(job).and_then(|status| status.latest_run.as_deref());
    let (Some(latest), Some(newest)) = (latest, seen.runs.last()) else { return false };
    let follows = match (RunNumber::parse(latest), newest.number) {
        (Some(RunNumber::Full(latest)), RunNumber::Full(newest))
        | (Some(RunNumber::Retry(latest)), RunNumber::Retry(newest)) => newest > latest,
        // that retry may have gone since
        (Some(RunNumber::Retry(_)), RunNumber::Full(newest)) => {
            let known = seen.told.iter().filter_map(|told| told.full()).max();
            known.is_some_and(|known| newest > known)
        }
        _ => false,
    };
    newest.job != latest && (follows || seen.all().any(|run| run.job == latest))
}

fn halt<K: JobKind>(job: &K, run: &Run) -> Halt {
    match job.options().queue_name {
        Some(_) => Halt::Delete(run.job.clone()),
        None => Halt::Suspend(run.job.clone()),
    }
}

fn create(number: RunNumber, take: Take) -> Start {
    Start { number, how: Launch::Create(take), request: None }
}

/// Starts a run unless something stands against it.
fn begin<K: JobKind>(job: &K, seen: &Observation, config: &AiWorkers, start: Start) -> Plan {
    if job.options().suspend {
        return Plan::Suspended { halt: None, stopping: false };
    }
    if !config.enabled {
        return Plan::Disabled;
    }
    if let Some(obstacle) = &seen.obstacle {
        return Plan::Blocked(obstacle.clone());
    }
    let how = match start.how {
        Launch::Create(_) if config.stub => Launch::Create(Take::Nothing),
        how => how,
    };
    Plan::Start(Start { how, ..start })
}

/// The run with which a job comes back that has nothing to do by itself: a person asks, or what it names has changed.
fn back<K: JobKind>(job: &K, seen: &Observation, now: Timestamp) -> Option<Start> {
    let whole = seen
        .runs
        .last()
        .is_none_or(|run| matches!((&run.phase, run.number), (RunPhase::Failed { .. }, RunNumber::Full(_))));
    // nothing can be given up before there is a list of what failed
    let mut open = comeback::wanted(job, seen).unwrap_or_default().into_iter();
    if let Some(request) = open.find(|request| !(whole && request.wish == Wish::Archive)) {
        let start = match whole || request.wish == Wish::Run {
            true => create(seen.next_full(), Take::Everything),
            false => create(seen.next_retry(), request.take(now)),
        };
        return Some(Start { request: Some(request), ..start });
    }
    if !comeback::is_mended(seen) {
        return None;
    }
    let run = seen.runs.last()?;
    match &run.phase {
        RunPhase::Failed { reason, message, .. } => {
            let category = run.failure(reason, message).category;
            comeback::MENDED_OUTSIDE.contains(&category).then(|| repeat(seen, run, now))
        }
        RunPhase::Succeeded { .. } => {
            let tally = seen.tally()?;
            let mended = |entry: &CategoryCount| comeback::MENDED_OUTSIDE.contains(&entry.category);
            let stalls = tally.failures().notified > 0 && tally.dead.categories.iter().any(mended);
            let selection = Selection { categories: comeback::MENDED_OUTSIDE.to_vec(), ids: Vec::new() };
            stalls.then(|| create(seen.next_retry(), Take::Again(selection, now)))
        }
        RunPhase::Active | RunPhase::Suspended { .. } => None,
    }
}

/// The run that follows one that failed as a whole.
fn repeat(seen: &Observation, run: &Run, now: Timestamp) -> Start {
    let take = match (run.number, &run.request) {
        (RunNumber::Full(_), _) => {
            return Start { request: run.request.clone(), ..create(seen.next_full(), Take::Everything) };
        }
        (RunNumber::Retry(_), None) => Take::Due(now),
        (RunNumber::Retry(_), Some(request)) => request.take(now),
    };
    Start { request: run.request.clone(), ..create(seen.next_retry(), take) }
}

/// What follows a run that failed as a whole.
fn failed<K: JobKind>(
    job: &K,
    seen: &Observation,
    config: &AiWorkers,
    now: Timestamp,
    run: &Run,
    error: &RunError,
    ended: Timestamp,
) -> Plan {
    if let Some(start) = back(job, seen, now) {
        return begin(job, seen, config, start);
    }
    match again::next_attempt(seen, error, ended, &job.options().failure_policy, config) {
        None => Plan::Failed(error.clone()),
        Some(at) if at <= now => begin(job, seen, config, repeat(seen, run, now)),
        Some(_) if job.options().suspend => Plan::Suspended { halt: None, stopping: false },
        Some(at) => Plan::RunRetryPending { at, attempts: seen.failed_in_a_row(), error: error.clone() },
    }
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
    // the report of the run itself, and that of the full run before it: its pod may have gone since
    let reported = run.finisher().is_some_and(|end| end.report.is_some());
    let Some(tally) = seen.tally().filter(|_| reported) else {
        return unreported(job, seen, config, now, run, ended);
    };
    if let Some(start) = back(job, seen, now) {
        return begin(job, seen, config, start);
    }
    let FailureCounts { retrying, archived, notified } = tally.failures();
    if retrying > 0 {
        let first_backoff = job.options().failure_policy.backoff_base_seconds;
        let at = sweep::next_sweep(&tally, run, ended, first_backoff, config);
        return match at > now {
            false => begin(job, seen, config, create(seen.next_retry(), Take::Due(now))),
            true if job.options().suspend => Plan::Suspended { halt: None, stopping: false },
            true => Plan::RetryPending { at, retrying },
        };
    }
    match notified {
        0 => Plan::Completed { archived },
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
    if run.finisher().is_some_and(|end| end.report.is_none()) {
        return Plan::Failed(RunError {
            category: FailureCategory::Configuration,
            reason: "ReportUnreadable".to_owned(),
            message:
                "the worker ended well but left no report that this operator understands; give both images the same \
                      version, and check a worker of your own with `lexigram-worker contract check`"
                    .to_owned(),
        });
    }
    if now.duration_since(ended).as_secs() < REPORT_GRACE_SECONDS {
        return Plan::AwaitingReport;
    }
    let ended = |run: &&Run| {
        matches!((&run.phase, run.number), (RunPhase::Succeeded { .. }, RunNumber::Full(_)))
            && run.last_report().is_none()
    };
    if seen.since_asked().filter(ended).count() >= MAX_FULL_RUNS {
        return Plan::Failed(RunError {
            category: FailureCategory::Unknown,
            reason: "ReportLost".to_owned(),
            message: format!(
                "{MAX_FULL_RUNS} runs came to their end, but their pods were deleted before their reports could be read; \
                 create {} again, and what is stored will be skipped",
                job.name_any()
            ),
        });
    }
    begin(job, seen, config, create(seen.next_full(), Take::Everything))
}
