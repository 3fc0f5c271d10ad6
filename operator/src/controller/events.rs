//! Events: one for each transition, with the reason and message of the conditions. Writes to the API server.

use k8s_openapi::api::core::v1::ObjectReference;
use kube::{
    Client,
    runtime::events::{Event, EventType, Recorder, Reporter},
};

use crate::names::OPERATOR;

/// Longest note of an event that the API server takes, in bytes.
const NOTE_BYTES: usize = 1024;

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
            note: Some(note(&transition.message)),
            action: "Reconcile".to_owned(),
            secondary: None,
        };
        if let Err(error) = self.0.publish(&event, about).await {
            tracing::warn!(%error, reason = transition.reason, "an event could not be published");
        }
    }
}

/// A message as `kubectl describe` shows it well: in one line, and as much of it as an event may hold.
fn note(message: &str) -> String {
    let line = message.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.len() <= NOTE_BYTES {
        return line;
    }
    let end = line.floor_char_boundary(NOTE_BYTES - '…'.len_utf8());
    format!("{}…", &line[..end])
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::as_it_is("3 documents failed", "3 documents failed")]
    #[case::in_one_line("the server said:\n\t\"busy\"\r\n", "the server said: \"busy\"")]
    #[case::as_long_as_it_may(&"x".repeat(1024), &"x".repeat(1024))]
    #[case::too_long(&"x".repeat(1025), &format!("{}…", "x".repeat(1021)))]
    // 4 bytes each: 255 of them and the sign are 1023
    #[case::too_long_in_bytes_alone(&"\u{1F600}".repeat(300), &format!("{}…", "\u{1F600}".repeat(255)))]
    fn notes(#[case] message: &str, #[case] expected: &str) {
        assert_eq!(note(message), expected);
    }
}
