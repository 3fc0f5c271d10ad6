//! Deliveries in the background. Asks a server over HTTP, in tasks of its own: whoever posts a message never waits.
//!
//! What is not delivered yet is posted again by each reconcile of its object, and those come back when the outbox says.
//! So nothing is lost with this process, and a receiver that is down costs a request per object and backoff.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use jiff::{SignedDuration, Timestamp};
use lexigram_api::backoff::backoff;
use tokio::sync::Semaphore;

use super::{cloud_event::CloudEvent, webhook::Webhook};
use crate::metrics::Metrics;

/// Deliveries at once.
const CONCURRENCY: usize = 8;
/// Messages that are remembered; more wait with their objects.
const MOST: usize = 10_000;
/// Time after which a message is looked at again that is on its way.
const SOON: SignedDuration = SignedDuration::from_secs(1);
/// Time after which a message is forgotten that failed and is not posted again.
const FORGOTTEN: SignedDuration = SignedDuration::from_mins(15);
/// Wait before the second attempt; doubled for each one after that, up to [`LONGEST`].
const FIRST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_mins(5);

/// How far a message has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// It is on its way, or waits for a place.
    UnderWay {
        /// When to ask again.
        look: Timestamp,
    },
    /// It did not arrive.
    Failing {
        /// Why.
        message: String,
        /// When it is tried again.
        next: Timestamp,
    },
    /// The receiver has it.
    Delivered {
        /// Since when.
        at: Timestamp,
    },
}

#[derive(Clone, Debug, Default)]
struct Entry {
    attempts: u32,
    last: Option<Delivery>,
}

/// The messages of this process.
#[derive(Debug)]
pub struct Outbox {
    webhook: Webhook,
    metrics: Arc<Metrics>,
    entries: Mutex<HashMap<String, Entry>>,
    permits: Arc<Semaphore>,
}

impl Outbox {
    /// An outbox with nothing in it.
    #[must_use]
    pub fn new(webhook: Webhook, metrics: Arc<Metrics>) -> Arc<Self> {
        let permits = Arc::new(Semaphore::new(CONCURRENCY));
        Arc::new(Self { webhook, metrics, entries: Mutex::default(), permits })
    }

    /// Sees to it that a message is delivered, and says how far it has come.
    pub fn post(self: &Arc<Self>, kind: &'static str, event: &CloudEvent, now: Timestamp) -> Delivery {
        let under_way = Delivery::UnderWay { look: now + SOON };
        let mut entries = self.entries();
        if entries.len() >= MOST && !entries.contains_key(&event.id) {
            // of those that nobody has asked about for long, the objects have gone
            entries.retain(
                |_, entry| !matches!(&entry.last, Some(Delivery::Failing { next, .. }) if *next + FORGOTTEN < now),
            );
            if entries.len() >= MOST {
                return under_way;
            }
        }
        let entry = entries.entry(event.id.clone()).or_default();
        match &entry.last {
            Some(Delivery::Failing { next, .. }) if *next <= now => {}
            Some(known) => return known.clone(),
            None => {}
        }
        let Ok(permit) = Arc::clone(&self.permits).try_acquire_owned() else { return under_way };
        entry.attempts += 1;
        let attempts = entry.attempts;
        entry.last = Some(under_way.clone());
        let (outbox, event) = (Arc::clone(self), event.clone());
        tokio::spawn(async move {
            let result = outbox.webhook.deliver(&event).await;
            drop(permit);
            outbox.metrics.notified(kind, result.is_ok());
            let ended = Timestamp::now();
            let outcome = match result {
                Ok(()) => Delivery::Delivered { at: ended },
                Err(error) => {
                    let CloudEvent { id, object, .. } = &event;
                    // what the id is made of
                    let (uid, run) = id.split_once('.').unwrap_or_default();
                    tracing::warn!(kind, object, uid, run, id, attempts, %error, "a notification was not delivered");
                    let wait = SignedDuration::try_from(backoff(attempts, FIRST, LONGEST)).unwrap_or(SOON);
                    Delivery::Failing { message: error.to_string(), next: ended + wait }
                }
            };
            // an object that has gone takes its message with it
            if let Some(entry) = outbox.entries().get_mut(&event.id) {
                entry.last = Some(outcome);
            }
        });
        under_way
    }

    /// Forgets a message: it was delivered and status says so, or nobody wants it any more.
    pub fn forget(&self, id: &str) {
        self.entries().remove(id);
    }

    fn entries(&self) -> MutexGuard<'_, HashMap<String, Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::VecDeque, fs, net::SocketAddr};

    use axum::{
        Router,
        extract::State,
        http::{HeaderMap, StatusCode},
        routing::post,
    };
    use lexigram_api::resource::DeadLetterStatus;
    use tokio::{net::TcpListener, sync::mpsc};

    use super::*;
    use crate::notify::{
        cloud_event::{Story, Subject},
        webhook::WebhookSettings,
    };

    /// A receiver that gives these answers, one after the other, and hands over what it was sent.
    async fn receiver(answers: &[u16]) -> (SocketAddr, mpsc::UnboundedReceiver<(HeaderMap, String)>) {
        type Shared = Arc<(Mutex<VecDeque<u16>>, mpsc::UnboundedSender<(HeaderMap, String)>)>;
        async fn answer(State(shared): State<Shared>, headers: HeaderMap, body: String) -> StatusCode {
            shared.1.send((headers, body)).unwrap();
            StatusCode::from_u16(shared.0.lock().unwrap().pop_front().unwrap()).unwrap()
        }
        let (sender, messages) = mpsc::unbounded_channel();
        let shared: Shared = Arc::new((Mutex::new(answers.iter().copied().collect()), sender));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(
            async move { axum::serve(listener, Router::new().route("/", post(answer)).with_state(shared)).await },
        );
        (address, messages)
    }

    fn event() -> CloudEvent {
        let subject =
            Subject { kind: "IngestionJob", namespace: "docs".to_owned(), name: "x".to_owned(), uid: "u".to_owned() };
        let story = Story { state: None, condition: None, run: None, dead: DeadLetterStatus::default() };
        CloudEvent::new(&subject, "u.x-r1", &story)
    }

    fn outbox(folder: &std::path::Path) -> Arc<Outbox> {
        let settings = WebhookSettings { folder: folder.to_owned(), timeout: Duration::from_secs(5) };
        Outbox::new(Webhook::new(settings).unwrap(), Arc::new(Metrics::default()))
    }

    /// Posts again, as reconciles do, at times that the outbox asks for, until it says something that fits.
    async fn until(
        outbox: &Arc<Outbox>,
        mut now: Timestamp,
        wanted: impl Fn(&Delivery) -> bool,
    ) -> (Delivery, Timestamp) {
        loop {
            let delivery = outbox.post("IngestionJob", &event(), now);
            if wanted(&delivery) {
                return (delivery, now);
            }
            if let Delivery::Failing { next, .. } = delivery {
                now = next;
            }
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn a_message_is_sent_again_under_its_id_until_it_is_taken_and_then_no_more() {
        let (address, mut messages) = receiver(&[500, 503, 204]).await;
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("url"), format!("http://{address}/\n")).unwrap();
        fs::write(folder.path().join("authorization"), "Bearer secret\n").unwrap();
        let outbox = outbox(folder.path());
        let now = Timestamp::now();
        let (failing, _) = until(&outbox, now, |delivery| matches!(delivery, Delivery::Failing { .. })).await;
        assert!(matches!(&failing, Delivery::Failing { message, .. } if message.contains("500")), "{failing:?}");
        let (delivered, now) = until(&outbox, now, |delivery| matches!(delivery, Delivery::Delivered { .. })).await;
        assert_eq!(outbox.post("IngestionJob", &event(), now), delivered);

        let mut received = Vec::new();
        while let Ok((headers, body)) = messages.try_recv() {
            assert_eq!(headers["authorization"], "Bearer secret");
            assert_eq!(headers["content-type"], "application/cloudevents+json; charset=utf-8");
            received.push(serde_json::from_str::<serde_json::Value>(&body).unwrap());
        }
        assert_eq!(received.len(), 3);
        assert!(received.iter().all(|event| event["id"] == "u.x-r1"), "{received:?}");
        let metrics = outbox.metrics.encode().unwrap();
        assert!(
            metrics.contains(r#"lexigram_notifications_total{kind="IngestionJob",outcome="failed"} 2"#),
            "{metrics}"
        );
    }

    #[tokio::test]
    async fn a_webhook_that_is_not_set_up_says_what_is_missing_and_is_found_once_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let outbox = outbox(folder.path());
        let now = Timestamp::now();
        let (failing, now) = until(&outbox, now, |delivery| matches!(delivery, Delivery::Failing { .. })).await;
        assert!(matches!(&failing, Delivery::Failing { message, .. } if message.contains("key url of")), "{failing:?}");
        let (address, _messages) = receiver(&[200]).await;
        fs::write(folder.path().join("url"), format!("http://{address}/")).unwrap();
        until(&outbox, now, |delivery| matches!(delivery, Delivery::Delivered { .. })).await;
    }
}
