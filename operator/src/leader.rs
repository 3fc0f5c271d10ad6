//! Leader election by a Lease: of several operators one works. Reads and writes that Lease.
//!
//! Two rules keep it to one. Every write carries the resource version that was read, so that of two processes that
//! reach for the lease at once only one gets it. And a holder counts as gone once its entry has not moved for the
//! lease's duration on the observer's own clock, so that the clocks of nodes need not agree; the holder gives up
//! earlier than that, and [`Leadership`] keeps whatever else it does from being written later.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::{
    api::coordination::v1::{Lease, LeaseSpec},
    apimachinery::pkg::apis::meta::v1::MicroTime,
};
use kube::{
    Api, Client, ResourceExt,
    api::{ObjectMeta, PostParams},
};
use thiserror::Error;
use tokio::time::{sleep, timeout};

use crate::{leadership::Leadership, names::OPERATOR};

/// How long others leave a lease alone whose entry does not move.
const DURATION: Duration = Duration::from_secs(15);
/// How long the holder tries to renew its lease before it gives up.
const RENEW_DEADLINE: Duration = Duration::from_secs(10);
/// How often the lease is renewed.
const INTERVAL: Duration = Duration::from_secs(2);
/// How often those that wait look whether the lease is free: one that was given back is soon taken.
const LOOK: Duration = Duration::from_secs(1);
/// How long giving the lease back may take.
const RELEASE_TIMEOUT: Duration = Duration::from_secs(5);

/// How a lease that was held is lost.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum LeaderError {
    /// Somebody else has it.
    #[error("the lease was lost: '{0}' holds it now")]
    Taken(String),
    /// Others may take it soon.
    #[error("the lease could not be renewed in time: {0}")]
    NotRenewed(String),
}

/// What came of an attempt to get or keep the lease.
#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    /// This process holds it.
    Held,
    /// Somebody else has written to it at the same time.
    Contended,
    /// Somebody else holds it.
    Elsewhere(String),
}

/// A process that wants the lease, or has it.
pub struct Candidate {
    api: Api<Lease>,
    name: String,
    identity: String,
    leadership: Leadership,
    /// The version of the lease that was seen last, and since when.
    seen: Option<(String, Duration)>,
}

impl Candidate {
    /// A candidate for the lease `name` in `namespace`. `identity` tells this process from its rivals; `leadership` is told
    /// until when the lease is its own.
    #[must_use]
    pub fn new(client: Client, leadership: Leadership, namespace: &str, name: &str, identity: &str) -> Self {
        Self {
            api: Api::namespaced(client, namespace),
            name: name.to_owned(),
            identity: identity.to_owned(),
            leadership,
            seen: None,
        }
    }

    /// Returns once this process holds the lease.
    pub async fn win(&mut self) {
        loop {
            match timeout(RENEW_DEADLINE, self.attempt()).await {
                Ok(Ok(Outcome::Held)) => return,
                Ok(Ok(Outcome::Contended)) => {}
                Ok(Ok(Outcome::Elsewhere(holder))) => tracing::debug!(holder, "somebody else holds the lease"),
                Ok(Err(error)) => tracing::warn!(%error, "the lease cannot be had; trying again"),
                Err(_elapsed) => tracing::warn!("the API server does not answer; trying again"),
            }
            sleep(LOOK).await;
        }
    }

    /// Renews the lease that was won; returns when it is lost.
    pub async fn keep(&mut self) -> LeaderError {
        let lost = self.renew().await;
        self.leadership.end();
        lost
    }

    async fn renew(&mut self) -> LeaderError {
        loop {
            sleep(INTERVAL).await;
            let problem = match timeout(self.leadership.left(), self.attempt()).await {
                Ok(Ok(Outcome::Held)) => continue,
                Ok(Ok(Outcome::Elsewhere(holder))) => return LeaderError::Taken(holder),
                Ok(Ok(Outcome::Contended)) => "it was changed by somebody else".to_owned(),
                Ok(Err(error)) => error.to_string(),
                Err(_elapsed) => "the API server does not answer".to_owned(),
            };
            if self.leadership.left().is_zero() {
                return LeaderError::NotRenewed(problem);
            }
            tracing::warn!(problem, "the lease was not renewed; trying again");
        }
    }

    /// Gives the lease back, so that the next process need not wait for its end.
    pub async fn release(self) {
        self.leadership.end();
        match timeout(RELEASE_TIMEOUT, self.give_back()).await {
            Ok(Ok(())) => tracing::info!("the lease was given back"),
            Ok(Err(error)) => tracing::warn!(%error, "the lease was not given back; it runs out by itself"),
            Err(_elapsed) => tracing::warn!("the lease was not given back in time; it runs out by itself"),
        }
    }

    async fn give_back(&self) -> Result<(), kube::Error> {
        loop {
            let Some(mut lease) = self.api.get_opt(&self.name).await? else { return Ok(()) };
            if holder(&lease) != Some(self.identity.as_str()) {
                return Ok(());
            }
            lease.spec.get_or_insert_default().holder_identity = None;
            match self.api.replace(&self.name, &by_us(), &lease).await {
                // a renewal that was on its way has come between
                Err(kube::Error::Api(status)) if status.is_conflict() => {}
                written => return written.map(drop),
            }
        }
    }

    async fn attempt(&mut self) -> Result<Outcome, kube::Error> {
        let begun = self.leadership.now();
        let found = self.api.get_opt(&self.name).await?;
        let unchanged = self.unchanged_for(found.as_ref(), begun);
        if let Some(holder) = found.as_ref().and_then(|lease| valid_holder(lease, unchanged))
            && holder != self.identity
        {
            return Ok(Outcome::Elsewhere(holder.to_owned()));
        }
        let new = found.is_none();
        let lease = held_by(&self.identity, found.unwrap_or_else(|| nobodys(&self.name)), Timestamp::now());
        let written = if new {
            self.api.create(&by_us(), &lease).await
        } else {
            self.api.replace(&self.name, &by_us(), &lease).await
        };
        match written {
            Ok(_) => {
                self.leadership.extend(begun + RENEW_DEADLINE);
                Ok(Outcome::Held)
            }
            Err(kube::Error::Api(status)) if status.is_conflict() || status.is_already_exists() => {
                Ok(Outcome::Contended)
            }
            Err(error) => Err(error),
        }
    }

    /// How long this process has seen the lease as it is.
    fn unchanged_for(&mut self, lease: Option<&Lease>, now: Duration) -> Duration {
        let version = lease.and_then(ResourceExt::resource_version).unwrap_or_default();
        match &self.seen {
            Some((seen, since)) if *seen == version => now.saturating_sub(*since),
            _ => {
                self.seen = Some((version, now));
                Duration::ZERO
            }
        }
    }
}

fn by_us() -> PostParams {
    PostParams { field_manager: Some(OPERATOR.to_owned()), ..Default::default() }
}

fn nobodys(name: &str) -> Lease {
    Lease { metadata: ObjectMeta { name: Some(name.to_owned()), ..Default::default() }, spec: None }
}

fn holder(lease: &Lease) -> Option<&str> {
    lease.spec.as_ref()?.holder_identity.as_deref().filter(|holder| !holder.is_empty())
}

/// The holder, unless it has left the lease `unchanged` for longer than it may.
fn valid_holder(lease: &Lease, unchanged: Duration) -> Option<&str> {
    let granted = lease.spec.as_ref()?.lease_duration_seconds.and_then(|seconds| u64::try_from(seconds).ok());
    let granted = granted.map_or(DURATION, Duration::from_secs);
    holder(lease).filter(|_| unchanged < granted)
}

/// The lease, taken or renewed.
fn held_by(identity: &str, mut lease: Lease, now: Timestamp) -> Lease {
    let before = lease.spec.take().unwrap_or_default();
    let renewal = before.holder_identity.as_deref() == Some(identity);
    let (acquired, transitions) = if renewal {
        (before.acquire_time, before.lease_transitions)
    } else {
        (Some(MicroTime(now)), Some(before.lease_transitions.map_or(0, |transitions| transitions.saturating_add(1))))
    };
    lease.spec = Some(LeaseSpec {
        holder_identity: Some(identity.to_owned()),
        lease_duration_seconds: i32::try_from(DURATION.as_secs()).ok(),
        acquire_time: acquired,
        renew_time: Some(MicroTime(now)),
        lease_transitions: transitions,
        ..before
    });
    lease
}

#[cfg(test)]
mod tests;
