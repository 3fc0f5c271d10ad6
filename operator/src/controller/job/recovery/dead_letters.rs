//! `status.deadLetters`, and the condition that tells of requests. No I/O.

use jiff::Timestamp;
use kube::ResourceExt;
use lexigram_api::{
    contract::RECENT_FAILURES,
    resource::{ConditionType, DeadLetter, DeadLetterStatus, JobStatus, set_condition},
};

use super::{
    comeback,
    request::{Request, Wish},
};
use crate::controller::{
    job::{kind::JobKind, observe::Observation, plan::Plan, status::shown},
    runs::Run,
};

/// Reason of the condition that tells of an annotation that cannot be understood.
pub const INVALID: &str = "InvalidRequest";

/// Fills in what failed, as far as it is known.
pub fn figures(status: &mut JobStatus, seen: &Observation, plan: &Plan) {
    let mut dead = status.dead_letters.take().unwrap_or_default();
    if let Some(tally) = seen.tally() {
        dead.count(&tally.dead.actions, &tally.dead.categories);
        dead.oldest_failure_time = tally.dead.oldest_failure_time.map(shown);
        dead.recent = tally.recent.iter().take(RECENT_FAILURES).map(DeadLetter::from).collect();
    }
    if let Some(run) = reported(seen) {
        dead.reported_run = Some(run.job.clone());
    }
    dead.next_retry_time = match plan {
        Plan::RetryPending { at, .. } | Plan::RunRetryPending { at, .. } => Some(shown(*at)),
        _ => None,
    };
    // before the first word of a worker there is nothing to tell
    let known = dead != DeadLetterStatus::default();
    status.dead_letters = known.then_some(dead);
}

/// The newest run that has come to its end and said so.
#[must_use]
pub fn reported(seen: &Observation) -> Option<&Run> {
    seen.runs.iter().rev().find(|run| run.finisher().is_some_and(|end| end.report.is_some()))
}

/// Remembers which requests were acted on, and says so in a condition while their annotations are there.
pub fn requests<K: JobKind>(status: &mut JobStatus, job: &K, seen: &Observation, now: Timestamp) {
    let newest = |wish| seen.all().rev().filter_map(|run| run.request.as_ref()).find(|request| request.wish == wish);
    for wish in Wish::ALL {
        let Some(Request { value, .. }) = newest(wish) else { continue };
        let last = match wish {
            Wish::Retry => &mut status.dead_letters.get_or_insert_default().last_retry_request,
            Wish::Archive => &mut status.dead_letters.get_or_insert_default().last_archive_request,
            Wish::Run => &mut status.last_run_request,
        };
        *last = Some(value.clone());
    }
    let asked = Wish::ALL.iter().any(|wish| job.annotations().contains_key(wish.key()));
    let kind = ConditionType::RequestAccepted;
    let generation = job.meta().generation;
    let (holds, reason, message) = match comeback::wanted(job, seen).as_deref() {
        Err(bad) => (false, INVALID, bad.to_string()),
        Ok([Request { wish, value, .. }, ..]) => {
            (false, "RequestPending", format!("{}: {value} is acted on when nothing else runs", wish.key()))
        }
        Ok([]) if asked => (true, "RequestDone", "what the annotations ask for has been begun".to_owned()),
        Ok([]) => return status.conditions.retain(|condition| condition.type_ != kind.as_str()),
    };
    set_condition(&mut status.conditions, kind, holds, reason, &message, generation, now);
}
