//! Which message a job owes the operator's webhook, and how far it has come: both are told by its status. No I/O.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::ResourceExt;
use lexigram_api::resource::{ConditionType, JobStatus, Notification, is_true, set_condition};

use super::dead_letters::reported;
use crate::{
    controller::job::{
        kind::{JobKind, status_of},
        observe::Observation,
        plan::Plan,
        status::to_second,
    },
    notify::{
        cloud_event::{self, CloudEvent, Subject},
        outbox::Delivery,
    },
};

/// The message that the status in the cluster names and that has not arrived yet: only what is written down is sent.
#[must_use]
pub fn pending<K: JobKind>(job: &K) -> Option<CloudEvent> {
    let status = status_of(job)?;
    let notification = status.dead_letters.as_ref()?.notification.as_ref()?;
    notification.delivered_time.is_none().then(|| CloudEvent::new(&subject(job), &notification.id, status))
}

/// Names the message that is due, and says in a condition what has become of the one before: one message for a run after
/// which something waits for a person, and one for a job that failed as a whole.
pub fn tell<K: JobKind>(
    status: &mut JobStatus,
    job: &K,
    seen: &Observation,
    plan: &Plan,
    delivery: Option<&(String, Delivery)>,
    now: Timestamp,
) {
    // an end that was recorded before there was a webhook is no news
    let run = if matches!(plan, Plan::Finished { .. }) { None } else { newsworthy(status, seen) };
    let id = run.map(|run| cloud_event::id(&subject(job), &run));
    let known = status.dead_letters.as_ref().and_then(|dead| dead.notification.as_ref());
    if let Some(id) = id.filter(|id| known.is_none_or(|known| known.id != *id)) {
        status.dead_letters.get_or_insert_default().notification = Some(Notification { id, delivered_time: None });
        return set(status, job, false, "WebhookPending", "a message is on its way to the webhook", now);
    }
    let dead = status.dead_letters.as_mut();
    let notification = dead.and_then(|dead| dead.notification.as_mut());
    let of_it = delivery.zip(notification).filter(|((id, _), notification)| *id == notification.id);
    match of_it.map(|((_, delivery), notification)| (delivery, notification)) {
        // what the attempt before came to is still true
        None | Some((Delivery::UnderWay { .. }, _)) => {}
        Some((Delivery::Failing { message, .. }, _)) => {
            let message = format!("{message}; the message is sent again until it arrives");
            set(status, job, false, "WebhookFailing", &message, now);
        }
        Some((Delivery::Delivered { at }, notification)) => {
            notification.delivered_time = Some(Time(to_second(*at)));
            set(status, job, true, "WebhookDelivered", "the webhook has taken the newest message", now);
        }
    }
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

fn set<K: JobKind>(status: &mut JobStatus, job: &K, holds: bool, reason: &str, message: &str, now: Timestamp) {
    let generation = job.meta().generation;
    set_condition(&mut status.conditions, ConditionType::Notified, holds, reason, message, generation, now);
}

fn subject<K: JobKind>(job: &K) -> Subject {
    Subject {
        kind: K::KIND,
        namespace: job.namespace().unwrap_or_default(),
        name: job.name_any(),
        uid: job.uid().unwrap_or_default(),
    }
}
