//! Notifications: what a person is told over a webhook, besides events and conditions.
//!
//! Status is the outbox: it names the notification that is due in the same write that counts what failed, and the time of
//! delivery once the receiver has acknowledged it. A process that dies in between sends again, under the same id.
//!
//! - [`cloud_event`]: the message
//! - [`webhook`]: one delivery over HTTP
//! - [`outbox`]: deliveries in the background, tried again with backoff

pub mod cloud_event;
pub mod outbox;
pub mod webhook;
