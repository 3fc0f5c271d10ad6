//! The status of a schedule: a projection of what was observed and planned. No I/O.

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use lexigram_api::{
    contract::TaskResult,
    duration::in_words,
    failure::FailureAction,
    resource::{
        ConditionStatus, ConditionType, MaintenanceSchedule, MaintenanceScheduleSpec, MaintenanceScheduleStatus,
        condition, set_condition,
    },
};

use super::{
    dead_letters,
    health::health,
    history,
    observe::Observation,
    plan::{Plan, Readiness},
    request::{Wanted, wanted},
    runs::{Outcome, Phase, Run},
};
use crate::{
    controller::{
        ControllerError,
        events::Transition,
        job::{recovery::dead_letters::INVALID, status::to_second},
        notice::{Notice, Told},
        pods::Trouble,
    },
    names::RUN,
    notify::cloud_event::{Story, Subject},
};

/// Names of Jobs that status tells of.
const MAX_ACTIVE: usize = 16;

/// The conditions `Ready`, `Reconciling` and `Stalled` in words.
struct Summary {
    ready: bool,
    reconciling: bool,
    stalled: bool,
    reason: String,
    message: String,
}

/// The status that `object` should have. `failed` is the error that stopped the plan from being carried out.
#[must_use]
pub fn project(
    object: &MaintenanceSchedule,
    seen: &Observation,
    plan: &Plan,
    failed: Option<&ControllerError>,
    now: Timestamp,
) -> MaintenanceScheduleStatus {
    let spec = &object.spec;
    let mut status = object.status.clone().unwrap_or_default();
    let generation = object.metadata.generation;
    status.observed_generation = generation;
    status.schedule = Some(words(spec));
    status.next_schedule_time = plan.next_run.map(Time);
    status.active =
        seen.runs.iter().filter(|run| run.is_active()).map(|run| run.job.clone()).take(MAX_ACTIVE).collect();
    status.runs = history::told(&seen.runs, &status.runs, spec);
    status.last_schedule_time = newest(status.last_schedule_time.take(), seen.runs.iter().map(|run| run.name.time()));
    let succeeded = |run: &Run| {
        let (at, outcome) = run.settled()?;
        (outcome.result() == TaskResult::Succeeded).then_some(to_second(at))
    };
    status.last_success_time = newest(status.last_success_time.take(), seen.runs.iter().filter_map(succeeded));
    let last = seen.runs.iter().rev().find_map(|run| Some((run, run.settled()?.1)));
    if let Some((_, outcome)) = last {
        status.items = Some(items(outcome));
    }
    let before = status.dead_letters.take();
    status.dead_letters = dead_letters::status(&plan.failed, last.map(|(run, _)| run), before);
    if let Some(request) = seen.runs.iter().rev().find_map(|run| run.asked.as_ref()) {
        status.last_run_request = Some(request.clone());
    }
    let summary = failed.map_or_else(|| summary(plan, seen), of_error);
    let parts = [
        (ConditionType::Ready, summary.ready),
        (ConditionType::Reconciling, summary.reconciling),
        (ConditionType::Stalled, summary.stalled),
    ];
    for (kind, holds) in parts {
        set_condition(&mut status.conditions, kind, holds, &summary.reason, &summary.message, generation, now);
    }
    tell_health(&mut status, object, seen, now);
    tell_request(&mut status, object, seen, now);
    status
}

/// When runs are due, in words.
fn words(spec: &MaintenanceScheduleSpec) -> String {
    match (&spec.schedule, &spec.time_zone) {
        (Some(schedule), Some(zone)) => format!("{schedule} {zone}"),
        (Some(schedule), None) => schedule.clone(),
        (None, _) => {
            let seconds = spec.interval_seconds.unwrap_or_default();
            format!("every {}", in_words(SignedDuration::from_secs(seconds.into())))
        }
    }
}

fn newest(before: Option<Time>, times: impl Iterator<Item = Timestamp>) -> Option<Time> {
    times.chain(before.map(|time| time.0)).max().map(Time)
}

fn items(outcome: &Outcome) -> i64 {
    outcome.tasks.iter().fold(0, |sum, task| sum.saturating_add(task.items))
}

fn of_error(error: &ControllerError) -> Summary {
    Summary {
        ready: false,
        reconciling: true,
        stalled: false,
        reason: error.reason().to_owned(),
        message: format!("{error}; it is tried again"),
    }
}

fn summary(plan: &Plan, seen: &Observation) -> Summary {
    let not_ready = |stalled: bool, reason: &str, message: String| Summary {
        ready: false,
        reconciling: false,
        stalled,
        reason: reason.to_owned(),
        message,
    };
    match &plan.readiness {
        Readiness::Deleting => not_ready(false, "Deleting", "the schedule is being deleted".to_owned()),
        Readiness::Suspended => not_ready(
            false,
            "Suspended",
            "spec.suspend is true; set it to false, and runs are started when they are due".to_owned(),
        ),
        Readiness::WorkersDisabled => not_ready(
            false,
            "WorkersDisabled",
            "ai_workers.enabled is false in the operator's configuration: nothing is started until it is true".to_owned(),
        ),
        Readiness::MaintenanceDisabled => not_ready(
            false,
            "MaintenanceDisabled",
            "ai_workers.enable_maintenance is false in the operator's configuration: no schedule is active until it is true"
                .to_owned(),
        ),
        Readiness::Stub => not_ready(
            false,
            "Stub",
            "ai_workers.stub is true in the operator's configuration: there are no schedules in that mode".to_owned(),
        ),
        Readiness::Invalid(invalid) => not_ready(true, "InvalidSpec", invalid.to_string()),
        Readiness::Blocked(obstacle) => not_ready(true, obstacle.reason(), obstacle.to_string()),
        Readiness::Active => active(seen),
    }
}

fn active(seen: &Observation) -> Summary {
    let ready = Summary {
        ready: true,
        reconciling: false,
        stalled: false,
        reason: "Scheduled".to_owned(),
        message: "runs are started when they are due".to_owned(),
    };
    let trouble = seen.runs.iter().rev().find_map(|run| match &run.phase {
        Phase::Active(trouble) => Some((run, trouble.as_ref())),
        Phase::Ended { .. } | Phase::Settled { .. } => None,
    });
    match trouble {
        None => ready,
        Some((run, None)) => Summary {
            reconciling: true,
            reason: "Running".to_owned(),
            message: format!("{} is at work", run.job),
            ..ready
        },
        Some((run, Some(Trouble { reason, message, needs_help }))) => Summary {
            reconciling: !needs_help,
            stalled: *needs_help,
            reason: (*reason).to_owned(),
            message: format!("{}: {message}", run.job),
            ..ready
        },
    }
}

fn tell_health(
    status: &mut MaintenanceScheduleStatus,
    object: &MaintenanceSchedule,
    seen: &Observation,
    now: Timestamp,
) {
    let kind = ConditionType::Healthy;
    let generation = object.metadata.generation;
    if let Some(health) = health(&seen.runs) {
        set_condition(&mut status.conditions, kind, health.status, health.reason, &health.message, generation, now);
        status.checks = health.checks;
    } else if condition(&status.conditions, kind).is_none() {
        let message = "no run with a task of type HealthCheck is over yet";
        set_condition(&mut status.conditions, kind, ConditionStatus::Unknown, "NotChecked", message, generation, now);
    }
}

fn tell_request(
    status: &mut MaintenanceScheduleStatus,
    object: &MaintenanceSchedule,
    seen: &Observation,
    now: Timestamp,
) {
    let kind = ConditionType::RequestAccepted;
    let (holds, reason, message) = match wanted(object, &seen.runs) {
        Wanted::Nothing => return status.conditions.retain(|condition| condition.type_ != kind.as_str()),
        Wanted::Bad(bad) => (false, INVALID, bad.to_string()),
        Wanted::Open { value, .. } => (
            false,
            "RequestPending",
            format!("{RUN}: {value} is acted on when the schedule is active and nothing else runs"),
        ),
        Wanted::Met => (true, "RequestDone", "the run that the annotation asks for has been started".to_owned()),
    };
    set_condition(&mut status.conditions, kind, holds, reason, &message, object.metadata.generation, now);
}

/// What a message for the webhook tells of the schedule.
#[must_use]
pub fn story(object: &MaintenanceSchedule) -> Option<Story<'_>> {
    let status = object.status.as_ref()?;
    let dead = status.dead_letters.clone()?;
    let run = status.runs.iter().find(|run| Some(&run.job) == dead.reported_run.as_ref());
    Some(Story {
        state: None,
        condition: condition(&status.conditions, ConditionType::Ready),
        run: run.map(|run| run.job.as_str()),
        dead,
    })
}

/// Names the message for the webhook that is due, and says in a condition what has become of the one before: one message
/// for a run after which a task waits for a person.
pub fn notify(status: &mut MaintenanceScheduleStatus, subject: &Subject, posted: Option<&Notice>, now: Timestamp) {
    let MaintenanceScheduleStatus { conditions, dead_letters: dead, observed_generation: generation, .. } = status;
    let waits = dead.as_ref().filter(|dead| dead.notified > 0);
    let news = waits.and_then(|dead| dead.reported_run.clone());
    Told { conditions, dead, generation: *generation }.tell(subject, news.as_deref(), posted, now);
}

/// What users should read of: another state of the schedule, another state of health, tasks that failed.
#[must_use]
pub fn transitions(before: Option<&MaintenanceScheduleStatus>, now: &MaintenanceScheduleStatus) -> Vec<Transition> {
    let mut told = Vec::new();
    for kind in [ConditionType::Ready, ConditionType::Healthy, ConditionType::RequestAccepted] {
        let Some(new) = condition(&now.conditions, kind) else { continue };
        let old = before.and_then(|before| condition(&before.conditions, kind));
        if old.is_some_and(|old| old.status == new.status && old.reason == new.reason) || is_silent(&new.reason) {
            continue;
        }
        let expected = ["Scheduled", "Suspended", "WorkersDisabled", "MaintenanceDisabled", "Stub", "ChecksPassed"];
        told.push(Transition {
            warning: !expected.contains(&new.reason.as_str()),
            reason: new.reason.clone(),
            message: new.message.clone(),
        });
    }
    let reported = |status: &MaintenanceScheduleStatus| status.dead_letters.as_ref()?.reported_run.clone();
    let news = reported(now).filter(|run| before.and_then(reported).as_ref() != Some(run));
    if let Some((run, dead)) = news.zip(now.dead_letters.as_ref()).filter(|(_, dead)| dead.total > 0) {
        let said = dead.recent.iter().map(|task| {
            let follows = match (task.action, task.next_retry_time) {
                (FailureAction::Retry, Some(time)) => format!("it is tried again at {time}"),
                (FailureAction::Retry, None) => "it is tried again".to_owned(),
                (FailureAction::Archive, _) => "it is given up until the next run".to_owned(),
                (FailureAction::Notify, _) => "it needs a person".to_owned(),
            };
            format!("{} ({}): {}; {follows}", task.id, task.reason, task.message)
        });
        let message = format!("tasks failed in {run}: {}", said.collect::<Vec<_>>().join("; "));
        told.push(Transition { warning: true, reason: "TasksFailed".to_owned(), message });
    }
    told
}

/// Reasons of which no event tells.
fn is_silent(reason: &str) -> bool {
    ["Running", "RequestPending", "RequestDone", "NotChecked", "Deleting"].contains(&reason)
}
