//! What of a job a person should hear by the operator's webhook. No I/O.

use jiff::Timestamp;
use lexigram_api::resource::{ConditionType, JobStatus, State, condition, is_true};

use super::dead_letters::reported;
use crate::{
    controller::{
        job::{
            kind::{JobKind, status_of},
            observe::Observation,
            plan::Plan,
        },
        notice::{Notice, Told, subject},
    },
    notify::cloud_event::Story,
};

/// What a message tells of the job.
#[must_use]
pub fn story<K: JobKind>(job: &K) -> Option<Story<'_>> {
    let status = status_of(job)?;
    Some(Story {
        state: status.state.map(State::as_str),
        condition: condition(&status.conditions, ConditionType::Complete),
        run: status.latest_run.as_deref(),
        dead: status.dead_letters.clone()?,
    })
}

/// Names the message that is due, and says in a condition what has become of the one before: one message for a run after
/// which something waits for a person, and one for a job that failed as a whole.
pub fn tell<K: JobKind>(
    status: &mut JobStatus,
    job: &K,
    seen: &Observation,
    plan: &Plan,
    notice: Option<&Notice>,
    now: Timestamp,
) {
    // an end that was recorded before there was a webhook is no news
    let run = if matches!(plan, Plan::Finished { .. }) { None } else { newsworthy(status, seen) };
    let JobStatus { conditions, dead_letters: dead, .. } = status;
    let told = Told { conditions, dead, generation: job.meta().generation };
    told.tell(&subject(K::KIND, job), run.as_deref(), notice, now);
}

/// The run that a person should hear of.
fn newsworthy(status: &JobStatus, seen: &Observation) -> Option<String> {
    if is_true(&status.conditions, ConditionType::Failed) {
        return status.latest_run.clone();
    }
    let run = reported(seen)?;
    let waits = run.last_report().is_some_and(|report| report.counts.failures.notified > 0);
    waits.then(|| run.job.clone())
}
