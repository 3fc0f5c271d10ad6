//! Events: one for each transition, with the reason and message of the conditions. Writes to the API server.

use k8s_openapi::api::core::v1::ObjectReference;
use kube::{
    Client,
    runtime::events::{Event, EventType, Recorder, Reporter},
};

use crate::names::OPERATOR;

/// Longest note of an event, in characters.
const NOTE_CHARS: usize = 1000;

/// Something that users should read of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transition {
    /// Whether somebody should act.
    pub warning: bool,
    /// One constant CamelCase word, the same as in conditions.
    pub reason: String,
    /// The same message as in conditions.
    pub message: String,
}

/// Publishes events of this operator.
#[derive(Clone)]
pub struct Events(Recorder);

impl Events {
    /// A publisher under the operator's name.
    #[must_use]
    pub fn new(client: Client) -> Self {
        Self(Recorder::new(client, Reporter { controller: OPERATOR.to_owned(), instance: None }))
    }

    /// Publishes an event. One that cannot be published is lost and noted in the log: conditions say the same.
    pub async fn publish(&self, about: &ObjectReference, transition: &Transition) {
        let event = Event {
            type_: if transition.warning { EventType::Warning } else { EventType::Normal },
            reason: transition.reason.clone(),
            note: Some(transition.message.chars().take(NOTE_CHARS).collect()),
            action: "Reconcile".to_owned(),
            secondary: None,
        };
        if let Err(error) = self.0.publish(&event, about).await {
            tracing::warn!(%error, reason = transition.reason, "an event could not be published");
        }
    }
}
