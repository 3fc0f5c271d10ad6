//! The message: a [CloudEvent 1.0](https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/spec.md) in structured
//! JSON. No I/O.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use lexigram_api::resource::{DeadLetter, DeadLetterStatus};
use serde::Serialize;
use serde_json::{Value, json};

/// Dead letters that a message shows; the counts tell how many there are.
const EXAMPLES: usize = 5;
/// Type of the messages.
const TYPE: &str = "dev.lexigram.workers.deadletters.v1";

/// The object that a message is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subject {
    /// Its kind.
    pub kind: &'static str,
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its uid.
    pub uid: String,
}

/// What is told of the object.
#[derive(Clone, Debug)]
pub struct Story<'a> {
    /// What it is doing, in one word, if its kind has such words.
    pub state: Option<&'a str>,
    /// The condition that says how it fares.
    pub condition: Option<&'a Condition>,
    /// The run that the message is about.
    pub run: Option<&'a str>,
    /// What failed.
    pub dead: DeadLetterStatus,
}

/// One message.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CloudEvent {
    specversion: &'static str,
    /// The same in each delivery of the same notification, so that a receiver can tell that it has it already.
    pub id: String,
    /// Namespace and name of the object, for the log.
    #[serde(skip)]
    pub object: String,
    source: String,
    #[serde(rename = "type")]
    kind: &'static str,
    subject: String,
    time: Timestamp,
    datacontenttype: &'static str,
    data: Value,
}

/// The id of the notification that the object's run `run` calls for.
#[must_use]
pub fn id(subject: &Subject, run: &str) -> String {
    format!("{}.{run}", subject.uid)
}

impl CloudEvent {
    /// The message about what a status tells, under the id that it names.
    #[must_use]
    pub fn new(subject: &Subject, id: &str, story: &Story<'_>) -> Self {
        let Subject { kind, namespace, name, uid } = subject;
        let Story { state, condition: said, run, dead } = story;
        let examples: Vec<&DeadLetter> = dead.recent.iter().take(EXAMPLES).collect();
        Self {
            specversion: "1.0",
            id: id.to_owned(),
            object: format!("{namespace}/{name}"),
            source: format!("/apis/workers.lexigram.dev/v1alpha1/namespaces/{namespace}/{}", kind.to_lowercase()),
            kind: TYPE,
            subject: name.clone(),
            time: said.map_or(Timestamp::UNIX_EPOCH, |condition| condition.last_transition_time.0),
            datacontenttype: "application/json",
            data: json!({
                "kind": kind,
                "namespace": namespace,
                "name": name,
                "uid": uid,
                "state": state,
                "reason": said.map(|condition| &condition.reason),
                "message": said.map(|condition| &condition.message),
                "run": run,
                "total": dead.total,
                "retrying": dead.retrying,
                "archived": dead.archived,
                "notified": dead.notified,
                "byCategory": dead.by_category,
                "examples": examples,
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_has_what_the_specification_asks_for_and_the_counts() {
        let subject = Subject {
            kind: "IngestionJob",
            namespace: "team-a".to_owned(),
            name: "handbook".to_owned(),
            uid: "0f5c".to_owned(),
        };
        let dead = DeadLetterStatus { notified: 3, ..Default::default() };
        let story = Story { state: Some("Stalled"), condition: None, run: Some("handbook-r1"), dead };
        let event = CloudEvent::new(&subject, &id(&subject, "handbook-r1"), &story);
        let event = serde_json::to_value(&event).unwrap();
        assert_eq!(event["specversion"], "1.0");
        assert_eq!(event["id"], "0f5c.handbook-r1");
        assert_eq!(event["source"], "/apis/workers.lexigram.dev/v1alpha1/namespaces/team-a/ingestionjob");
        assert_eq!(event["type"], TYPE);
        assert_eq!(event["subject"], "handbook");
        assert_eq!(event["time"], "1970-01-01T00:00:00Z");
        assert_eq!(event["data"]["notified"], 3);
    }
}
