//! What is to be done about a schedule: a function of its spec, what was observed, the configuration and the clock.
//! No I/O.

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::batch::v1::CronJob;
use kube::ResourceExt;
use lexigram_api::resource::{MaintenanceSchedule, OverlapPolicy};

use super::{
    dead_letters::{self, FailedTask},
    due::Timing,
    history,
    name::RunName,
    observe::{CronSeen, Observation},
    request::{self, Wanted},
    runs::{Phase, Run},
    settle::{self, Settle},
    validate,
};
use crate::{
    config::AiWorkers,
    controller::job::{references::Obstacle, validate::Invalid},
    names::DIGEST,
};

/// How soon something is looked for again that is missing.
const RETRY_INTERVAL: SignedDuration = SignedDuration::from_secs(5);
/// How soon a report is looked for again.
const REPORT_INTERVAL: SignedDuration = SignedDuration::from_secs(1);

/// What is to be done.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Whether runs are started, and why not.
    pub readiness: Readiness,
    /// What becomes of the CronJob.
    pub cron: Cron,
    /// Jobs that are stopped, since a newer run takes their place.
    pub stop: Vec<String>,
    /// The run that is started.
    pub start: Option<Start>,
    /// Runs that have ended, and whose outcome is written down.
    pub settle: Vec<Settle>,
    /// Jobs of old runs, which go.
    pub remove: Vec<String>,
    /// When the next run is due.
    pub next_run: Option<Timestamp>,
    /// Tasks that failed, and what is done about them.
    pub failed: Vec<FailedTask>,
    /// When to look again, if nothing changes before.
    pub wake: Option<Timestamp>,
}

/// Whether runs are started.
#[derive(Clone, Debug, PartialEq)]
pub enum Readiness {
    /// They are.
    Active,
    /// The object is being deleted: its children go with it.
    Deleting,
    /// `spec.suspend` says no.
    Suspended,
    /// `ai_workers.enabled` is false.
    WorkersDisabled,
    /// `ai_workers.enable_maintenance` is false.
    MaintenanceDisabled,
    /// `ai_workers.stub` is true.
    Stub,
    /// The spec cannot be used.
    Invalid(Invalid),
    /// Something that the spec names does not exist, or cannot be looked for.
    Blocked(Obstacle),
}

/// What becomes of the CronJob.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cron {
    /// It is as it should be.
    Keep,
    /// It is created.
    Create,
    /// It is given its new spec.
    Update,
    /// It is suspended.
    Suspend,
    /// It goes, and the runs that it has started with it: the schedule is an interval now.
    Delete,
}

/// A run to be started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Start {
    /// Which one.
    pub name: RunName,
    /// Its tasks.
    pub tasks: Vec<String>,
    /// The value of the annotation that asks for it.
    pub asked: Option<String>,
}

/// What is to be done about `object`; `wanted` is the CronJob that its spec asks for.
#[must_use]
pub fn plan(
    object: &MaintenanceSchedule,
    wanted: Option<&CronJob>,
    seen: &Observation,
    config: &AiWorkers,
    now: Timestamp,
) -> Plan {
    let spec = &object.spec;
    let timing = validate::check(spec);
    let readiness = readiness(object, seen, config, timing.as_ref().err());
    let failed = dead_letters::failed(&seen.runs, spec, config.dlq_check_interval);
    let mut plan = Plan {
        cron: cron(&readiness, seen.cron.as_ref(), wanted),
        readiness,
        stop: Vec::new(),
        start: None,
        settle: seen.runs.iter().filter_map(settle::settle).collect(),
        remove: history::leftovers(&seen.runs, spec),
        next_run: None,
        failed,
        wake: None,
    };
    if plan.readiness == Readiness::Deleting {
        return Plan { cron: Cron::Keep, settle: Vec::new(), remove: Vec::new(), ..plan };
    }
    let mut wakes = Vec::new();
    if seen.runs.iter().any(|run| matches!(run.phase, Phase::Ended { said: None, .. })) {
        wakes.push(now + REPORT_INTERVAL);
    }
    if matches!(plan.readiness, Readiness::Blocked(_)) {
        wakes.push(now + RETRY_INTERVAL);
    }
    if let (Readiness::Active, Ok(timing)) = (&plan.readiness, &timing) {
        let last = last_scheduled(object, &seen.runs);
        plan.next_run = timing.next(last, now);
        // a run that has just ended is written down first: what is due may depend on it
        if plan.settle.is_empty() {
            begin(&mut plan, object, seen, timing, last, now);
        }
        wakes.extend(plan.next_run);
        wakes.extend(dead_letters::next_retry(&plan.failed).map(|(tick, _)| tick));
    }
    // what is due and has to wait is brought by the end of what it waits for
    plan.wake = wakes.into_iter().filter(|time| *time > now).min();
    plan
}

fn readiness(
    object: &MaintenanceSchedule,
    seen: &Observation,
    config: &AiWorkers,
    invalid: Option<&Invalid>,
) -> Readiness {
    if object.metadata.deletion_timestamp.is_some() {
        return Readiness::Deleting;
    }
    if let Some(invalid) = invalid {
        return Readiness::Invalid(invalid.clone());
    }
    match &seen.obstacle {
        _ if object.spec.suspend => Readiness::Suspended,
        _ if !config.enabled => Readiness::WorkersDisabled,
        _ if !config.enable_maintenance => Readiness::MaintenanceDisabled,
        _ if config.stub => Readiness::Stub,
        Some(obstacle) => Readiness::Blocked(obstacle.clone()),
        None => Readiness::Active,
    }
}

fn cron(readiness: &Readiness, seen: Option<&CronSeen>, wanted: Option<&CronJob>) -> Cron {
    let active = *readiness == Readiness::Active;
    let is_of = |seen: &CronSeen, wanted: &CronJob| seen.digest.as_ref() == wanted.annotations().get(DIGEST);
    match (wanted, seen) {
        (None, Some(_)) if !matches!(readiness, Readiness::Invalid(_)) => Cron::Delete,
        (Some(_), None) if active => Cron::Create,
        (Some(wanted), Some(seen)) if active && (seen.suspended || !is_of(seen, wanted)) => Cron::Update,
        (_, Some(seen)) if !active && !seen.suspended => Cron::Suspend,
        _ => Cron::Keep,
    }
}

/// The newest time at which the schedule itself has brought a run, or else the object's creation. The Jobs that exist
/// tell; status does for those that are gone.
fn last_scheduled(object: &MaintenanceSchedule, runs: &[Run]) -> Timestamp {
    let told = object.status.iter().flat_map(|status| &status.runs).filter_map(|run| RunName::parse(&run.job));
    let newest =
        runs.iter().map(|run| run.name).chain(told).filter(|name| name.is_scheduled()).map(RunName::time).max();
    newest.or_else(|| object.creation_timestamp().map(|time| time.0)).unwrap_or(Timestamp::MAX)
}

/// Starts what is due, one run at a time: what somebody asks for, what the interval brings, what is tried again.
fn begin(
    plan: &mut Plan,
    object: &MaintenanceSchedule,
    seen: &Observation,
    timing: &Timing,
    last: Timestamp,
    now: Timestamp,
) {
    let spec = &object.spec;
    let every = || spec.tasks.iter().map(|task| task.name.clone()).collect();
    let start = match request::wanted(object, &seen.runs) {
        Wanted::Open { value, time } => Some(Start { name: RunName::Asked(time), tasks: every(), asked: Some(value) }),
        Wanted::Nothing | Wanted::Bad(_) | Wanted::Met => None,
    };
    let deadline = spec.starting_deadline_seconds.map(|seconds| SignedDuration::from_secs(seconds.into()));
    let scheduled = || {
        let time = timing.due(last, deadline, now)?;
        Some(Start { name: RunName::Interval(time), tasks: every(), asked: None })
    };
    let retry = || {
        let (tick, tasks) = dead_letters::next_retry(&plan.failed).filter(|(tick, _)| *tick <= now)?;
        let tasks = tasks.into_iter().map(str::to_owned).collect();
        Some(Start { name: RunName::Retry(tick), tasks, asked: None })
    };
    let Some(start) = start.or_else(scheduled).or_else(retry) else { return };
    let active: Vec<String> = seen.runs.iter().filter(|run| run.is_active()).map(|run| run.job.clone()).collect();
    if active.is_empty() && seen.in_transit.is_empty() {
        plan.start = Some(start);
    } else if spec.concurrency_policy == OverlapPolicy::Replace && start.name.is_scheduled() {
        plan.stop = active;
    }
}
