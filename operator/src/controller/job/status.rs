//! The status of a job: a projection of what was observed and planned. No I/O.

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use lexigram_api::{
    contract::{CircuitSubject, ItemCounts, OpenCircuit, Progress},
    duration::in_words,
    resource::{ConditionType, JobStatus, State, condition, set_condition},
};

use super::{
    history,
    kind::JobKind,
    observe::Observation,
    plan::Plan,
    recovery::{
        comeback, dead_letters,
        request::{Request, Wish},
    },
    summary::{self, Summary},
};
use crate::controller::{ControllerError, events::Transition};

/// Conditions, in the order in which they are shown.
const CONDITIONS: [ConditionType; 5] = [
    ConditionType::Complete,
    ConditionType::Failed,
    ConditionType::Suspended,
    ConditionType::Reconciling,
    ConditionType::Stalled,
];

/// Reasons of which no event tells: the one before has told it.
const SILENT: [&str; 3] = ["Running", "RetryRunning", "AwaitingReport"];

/// Reasons that need nobody's attention.
const EXPECTED: [&str; 11] = [
    "Queued",
    "AwaitingAdmission",
    "Started",
    "Resumed",
    "Suspended",
    "WorkersDisabled",
    "RetryPending",
    "RetryStarted",
    "ArchiveStarted",
    "StartedAgain",
    "Completed",
];

/// The status that `job` should have. `failed` is the error that stopped the plan from being carried out. What nothing
/// fresher is known of, a worker's last heartbeat for instance, stays as it is: for display only.
#[must_use]
pub fn project<K: JobKind>(
    object: &K,
    seen: &Observation,
    plan: &Plan,
    failed: Option<&ControllerError>,
    now: Timestamp,
) -> K::Status {
    let previous = object.status().cloned().unwrap_or_default();
    let generation = object.meta().generation;
    let mut status = previous.clone();
    let was = K::job_status(&previous);
    let reporting = seen.tally().is_some() || is_reporting(was, plan);
    let Some(planned) = summary::of_plan(plan, reporting, &K::WORDS) else {
        let told = K::job_status_mut(&mut status);
        dead_letters::requests(told, object, seen, now);
        at_generation(told, generation);
        return status;
    };
    let summary = failed.map_or(planned.clone(), |error| summary::of_error(error, planned.state));
    let summary = slowed(summary, seen, plan);
    let told = K::job_status_mut(&mut status);
    dead_letters::requests(told, object, seen, now);
    history::record(&mut told.runs, seen);
    let unseen = Observation::default();
    let mut of_this = seen;
    if begins_anew(object, was, seen, plan) {
        (told.start_time, told.progress, told.tokens, told.last_heartbeat_time) = (None, None, None, None);
        if matches!(plan, Plan::Start(_) | Plan::Queued { .. }) {
            of_this = &unseen;
        }
    }
    common(told, of_this, plan, &summary, generation, now);
    object.tell(&mut status, of_this);
    // time alone is no change
    if status != previous {
        let told = K::job_status_mut(&mut status);
        told.duration = told.start_time.as_ref().map(|start| in_words(now.duration_since(start.0)));
    }
    status
}

/// Whether a run that a person asked for begins: the times and the progress of those before are not its own.
fn begins_anew<K: JobKind>(object: &K, was: &JobStatus, seen: &Observation, plan: &Plan) -> bool {
    let is_new = |request: &Request| request.wish == Wish::Run && was.last_run_request.as_ref() != Some(&request.value);
    match plan {
        Plan::Start(start) => start.request.as_ref().is_some_and(is_new),
        Plan::Queued { .. } => comeback::wanted(object, seen).is_ok_and(|open| open.first().is_some_and(is_new)),
        _ => seen.runs.first().and_then(|run| run.request.as_ref()).is_some_and(is_new),
    }
}

/// A provider or store that is left alone for a while is no trouble, but users should see it.
fn slowed(summary: Summary, seen: &Observation, plan: &Plan) -> Summary {
    let run = seen.runs.last();
    let progress = run.and_then(|run| run.progress.as_ref());
    let circuit = match plan {
        Plan::Running { trouble: None, .. } => progress.and_then(|progress| progress.circuit.as_ref()),
        Plan::RetryPending { .. } => run.and_then(|run| run.last_report()?.circuit.as_ref()),
        _ => None,
    };
    if let Some(OpenCircuit { subject, message, until }) = circuit {
        let subject = match subject {
            CircuitSubject::EmbeddingProvider => "embedding provider",
            CircuitSubject::Store => "store",
        };
        return Summary {
            reason: "CircuitOpen".to_owned(),
            message: format!(
                "the {subject} failed at most attempts ({message}); it is left alone until one probe passes, the next at {}",
                to_second(*until)
            ),
            ..summary
        };
    }
    match (plan, progress.and_then(|progress| progress.rate_limited_until)) {
        (Plan::Running { trouble: None, .. }, Some(until)) => Summary {
            reason: "RateLimited".to_owned(),
            message: format!(
                "the embedding server has asked to slow down; it is asked again at {}, and no attempt is lost",
                to_second(until)
            ),
            ..summary
        },
        _ => summary,
    }
}

/// What every kind of job shows.
fn common(
    status: &mut JobStatus,
    seen: &Observation,
    plan: &Plan,
    summary: &Summary,
    generation: Option<i64>,
    now: Timestamp,
) {
    let ended = summary.holds.iter().any(|kind| matches!(kind, ConditionType::Complete | ConditionType::Failed));
    status.state = Some(summary.state);
    status.start_time = status.start_time.take().or_else(|| started(seen).map(Time));
    status.completion_time = ended.then_some(Time(now));
    status.queue_position = match plan {
        Plan::Queued { position } => Some(*position),
        _ => None,
    };
    status.latest_run = seen.runs.last().map(|run| run.job.clone()).or_else(|| status.latest_run.take());
    dead_letters::figures(status, seen, plan);
    status.estimated_completion_time = None;
    for kind in CONDITIONS {
        let holds = summary.holds.contains(&kind);
        set_condition(&mut status.conditions, kind, holds, &summary.reason, &summary.message, generation, now);
    }
    if let Some(tally) = seen.tally() {
        status.progress = Some(progress(&tally.counts.items));
        status.tokens = Some(tally.counts.tokens);
    }
    if let Some(progress) = seen.runs.last().and_then(|run| run.progress.as_ref()) {
        status.last_heartbeat_time = Some(shown(progress.heartbeat));
        status.estimated_completion_time = estimate(progress).map(Time);
    }
    at_generation(status, generation);
}

/// What users should read of when a status replaces the one before: one event a transition, however many items it is of.
#[must_use]
pub fn transitions(before: Option<&JobStatus>, after: &JobStatus) -> Vec<Transition> {
    let of = |status: &JobStatus, kind| condition(&status.conditions, kind).cloned();
    let was = |kind| before.and_then(|status| of(status, kind));
    let job = of(after, ConditionType::Complete).filter(|after| {
        let same = was(ConditionType::Complete).is_some_and(|before| before.reason == after.reason);
        !same && !SILENT.contains(&after.reason.as_str())
    });
    let request = of(after, ConditionType::RequestAccepted).filter(|after| {
        let same = was(ConditionType::RequestAccepted).is_some_and(|before| before.message == after.message);
        !same && after.reason == dead_letters::INVALID
    });
    let told = job.into_iter().chain(request);
    told.map(|Condition { reason, message, .. }| {
        let warning = !EXPECTED.contains(&reason.as_str());
        Transition { warning, reason, message }
    })
    .collect()
}

/// A worker that has reported once and is silent now is still at work.
fn is_reporting(previous: &JobStatus, plan: &Plan) -> bool {
    matches!(plan, Plan::Running { .. }) && previous.state == Some(State::Running)
}

fn at_generation(status: &mut JobStatus, generation: Option<i64>) {
    status.observed_generation = generation;
    for condition in &mut status.conditions {
        condition.observed_generation = generation;
    }
}

fn started(seen: &Observation) -> Option<Timestamp> {
    seen.runs.iter().filter_map(|run| run.started).min()
}

fn progress(documents: &ItemCounts) -> String {
    format!("{}/{}", documents.processed(), documents.total)
}

/// When the run is through at the pace so far; not before anything is.
fn estimate(progress: &Progress) -> Option<Timestamp> {
    let (processed, total) = (i64::from(progress.counts.items.processed()), i64::from(progress.counts.items.total));
    if processed <= 0 || processed >= total {
        return None;
    }
    let elapsed = progress.heartbeat.duration_since(progress.started).as_secs().max(0);
    let whole = elapsed.checked_mul(total)? / processed;
    progress.started.checked_add(SignedDuration::from_secs(whole)).ok().map(to_second)
}

/// Times are kept to the second, as the API server does.
pub(in crate::controller) fn to_second(time: Timestamp) -> Timestamp {
    Timestamp::from_second(time.as_second()).unwrap_or(time)
}

/// A time as the API server gives it back, without a fraction of a second: else each look would find a change.
pub(in crate::controller) fn shown(time: Timestamp) -> Time {
    Time(to_second(time))
}
