//! Which message an object owes the operator's webhook, and how far it has come: both are told by its status. Hands
//! messages over, and never waits.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{Resource, ResourceExt};
use lexigram_api::resource::{ConditionType, DeadLetterStatus, Notification, set_condition};

use super::{Shared, job::status::shown};
use crate::notify::{
    cloud_event::{self, CloudEvent, Story, Subject},
    outbox::Delivery,
};

/// How far the message of that id has come.
pub type Notice = (String, Delivery);

/// The object that a message is about.
pub fn subject<K: Resource<DynamicType = ()>>(kind: &'static str, object: &K) -> Subject {
    Subject {
        kind,
        namespace: object.namespace().unwrap_or_default(),
        name: object.name_any(),
        uid: object.uid().unwrap_or_default(),
    }
}

/// The message that the status in the cluster names and that has not arrived yet: only what is written down is sent.
#[must_use]
pub fn pending(subject: &Subject, story: &Story<'_>) -> Option<CloudEvent> {
    let notification = story.dead.notification.as_ref()?;
    notification.delivered_time.is_none().then(|| CloudEvent::new(subject, &notification.id, story))
}

/// Has the pending message delivered; says how far it has come.
pub(super) fn post(shared: &Shared, subject: &Subject, story: &Story<'_>, now: Timestamp) -> Option<Notice> {
    let outbox = shared.outbox.as_ref()?;
    let Some(event) = pending(subject, story) else {
        story.dead.notification.as_ref().inspect(|notification| outbox.forget(&notification.id));
        return None;
    };
    Some((event.id.clone(), outbox.post(subject.kind, &event, now)))
}

/// The part of a status that tells of messages.
pub struct Told<'a> {
    /// Its conditions.
    pub conditions: &'a mut Vec<Condition>,
    /// What failed, and the newest message about it.
    pub dead: &'a mut Option<DeadLetterStatus>,
    /// The generation of the spec that it speaks of.
    pub generation: Option<i64>,
}

impl Told<'_> {
    /// Names the message that is due, one for the run `news`, and says in a condition what has become of the one before.
    pub fn tell(mut self, subject: &Subject, news: Option<&str>, notice: Option<&Notice>, now: Timestamp) {
        let id = news.map(|run| cloud_event::id(subject, run));
        let known = self.dead.as_ref().and_then(|dead| dead.notification.as_ref());
        if let Some(id) = id.filter(|id| known.is_none_or(|known| known.id != *id)) {
            self.dead.get_or_insert_default().notification = Some(Notification { id, delivered_time: None });
            return self.set(false, "WebhookPending", "a message is on its way to the webhook", now);
        }
        let notification = self.dead.as_mut().and_then(|dead| dead.notification.as_mut());
        let of_it = notice.zip(notification).filter(|((id, _), notification)| *id == notification.id);
        match of_it.map(|((_, delivery), notification)| (delivery, notification)) {
            // what the attempt before came to is still true
            None | Some((Delivery::UnderWay { .. }, _)) => {}
            Some((Delivery::Failing { message, .. }, _)) => {
                let message = format!("{message}; the message is sent again until it arrives");
                self.set(false, "WebhookFailing", &message, now);
            }
            Some((Delivery::Delivered { at }, notification)) => {
                notification.delivered_time = Some(shown(*at));
                self.set(true, "WebhookDelivered", "the webhook has taken the newest message", now);
            }
        }
    }

    fn set(&mut self, holds: bool, reason: &str, message: &str, now: Timestamp) {
        set_condition(self.conditions, ConditionType::Notified, holds, reason, message, self.generation, now);
    }
}

/// When a pass has to come back for the sake of a message.
pub(super) fn look(notice: Option<&Notice>, now: Timestamp) -> Option<Duration> {
    let at = match &notice?.1 {
        Delivery::UnderWay { look } => *look,
        Delivery::Failing { next, .. } => *next,
        Delivery::Delivered { .. } => return None,
    };
    Some(Duration::try_from(at.duration_since(now)).unwrap_or_default().max(Duration::from_secs(1)))
}
