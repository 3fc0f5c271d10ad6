//! The status of a job: a projection of what was observed and planned. No I/O.

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::ResourceExt;
use lexigram_api::{
    contract::{ItemCounts, Progress},
    resource::{ConditionType, IngestionJob, IngestionJobStatus, State, condition, set_condition},
};

use super::{
    observe::Observation,
    plan::Plan,
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
const EXPECTED: [&str; 9] = [
    "Queued",
    "AwaitingAdmission",
    "Started",
    "Resumed",
    "Suspended",
    "WorkersDisabled",
    "RetryPending",
    "RetryStarted",
    "Completed",
];

/// The status that `job` should have. `failed` is the error that stopped the plan from being carried out. What nothing
/// fresher is known of, a worker's last heartbeat for instance, stays as it is: for display only.
#[must_use]
pub fn project(
    job: &IngestionJob,
    seen: &Observation,
    plan: &Plan,
    failed: Option<&ControllerError>,
    now: Timestamp,
) -> IngestionJobStatus {
    let previous = job.status.clone().unwrap_or_default();
    let reporting = seen.tally().is_some() || is_reporting(&previous, plan);
    let Some(planned) = summary::of_plan(plan, reporting) else { return at_generation(previous, job) };
    let summary = failed.map_or(planned.clone(), |error| summary::of_error(error, planned.state));
    let ended = summary.holds.iter().any(|kind| matches!(kind, ConditionType::Complete | ConditionType::Failed));

    let mut status = IngestionJobStatus {
        state: Some(summary.state),
        collection: Some(job.spec.collection_or(&job.name_any()).to_owned()),
        start_time: previous.start_time.clone().or_else(|| started(seen).map(Time)),
        completion_time: ended.then_some(Time(now)),
        queue_position: None,
        next_retry_time: None,
        estimated_completion_time: None,
        ..previous.clone()
    };
    conditions(&mut status, &summary, job.metadata.generation, now);
    if let Plan::Queued { position } = plan {
        status.queue_position = Some(*position);
    }
    if let Plan::RetryPending { at, .. } = plan {
        status.next_retry_time = Some(Time(*at));
    }
    if let Some(tally) = seen.tally() {
        status.progress = Some(progress(&tally.counts.items));
        status.documents = Some(tally.counts.items);
        status.chunks_created = Some(tally.counts.chunks);
        status.tokens = Some(tally.counts.tokens);
        status.bytes = Some(tally.counts.bytes);
        status.failures = tally.recent;
    }
    if let Some(progress) = seen.runs.last().and_then(|run| run.progress.as_ref()) {
        status.last_heartbeat_time = Some(Time(to_second(progress.heartbeat)));
        status.estimated_completion_time = estimate(progress).map(Time);
    }
    let mut status = at_generation(status, job);
    // time alone is no change
    if status != previous {
        status.duration = status.start_time.as_ref().map(|start| duration(now.duration_since(start.0)));
    }
    status
}

/// What users should read of when `status` replaces the one that `job` has.
#[must_use]
pub fn transition(job: &IngestionJob, status: &IngestionJobStatus) -> Option<Transition> {
    let of = |status: &IngestionJobStatus| condition(&status.conditions, ConditionType::Complete).cloned();
    let before = job.status.as_ref().and_then(of).map(|condition| condition.reason);
    let after = of(status)?;
    if SILENT.contains(&after.reason.as_str()) || before.as_deref() == Some(after.reason.as_str()) {
        return None;
    }
    let warning = !EXPECTED.contains(&after.reason.as_str());
    Some(Transition { warning, reason: after.reason, message: after.message })
}

/// A worker that has reported once and is silent now is still at work.
fn is_reporting(previous: &IngestionJobStatus, plan: &Plan) -> bool {
    matches!(plan, Plan::Running { .. }) && previous.state == Some(State::Running)
}

fn at_generation(mut status: IngestionJobStatus, job: &IngestionJob) -> IngestionJobStatus {
    status.observed_generation = job.metadata.generation;
    for condition in &mut status.conditions {
        condition.observed_generation = job.metadata.generation;
    }
    status
}

fn conditions(status: &mut IngestionJobStatus, summary: &Summary, generation: Option<i64>, now: Timestamp) {
    for kind in CONDITIONS {
        let holds = summary.holds.contains(&kind);
        set_condition(&mut status.conditions, kind, holds, &summary.reason, &summary.message, generation, now);
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
fn to_second(time: Timestamp) -> Timestamp {
    Timestamp::from_second(time.as_second()).unwrap_or(time)
}

/// A duration as people say it: "45s", "3m12s", "2h05m", "4d03h".
fn duration(duration: SignedDuration) -> String {
    let seconds = duration.as_secs().max(0);
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds}s"),
        (0, 0, _) => format!("{minutes}m{:02}s", seconds % 60),
        (0, _, _) => format!("{hours}h{:02}m", minutes % 60),
        (_, _, _) => format!("{days}d{:02}h", hours % 24),
    }
}
