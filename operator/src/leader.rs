//! Leader election by a Lease: of several operators one works. Reads and writes that Lease.
//!
//! Two rules keep it to one. Every write carries the resource version that was read, so that of two processes that
//! reach for the lease at once only one gets it. And a holder counts as gone once its entry has not moved for the
//! lease's duration on the observer's own clock, so that the clocks of nodes need not agree; the holder gives up
//! earlier than that.

use std::time::{Duration, Instant};

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

use crate::names::OPERATOR;

/// How long others leave a lease alone whose entry does not move.
const DURATION: Duration = Duration::from_secs(15);
/// How long the holder tries to renew its lease before it gives up.
const RENEW_DEADLINE: Duration = Duration::from_secs(10);
/// How often the lease is renewed, or tried for.
const INTERVAL: Duration = Duration::from_secs(2);
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
    /// The version of the lease that was seen last, and since when.
    seen: Option<(String, Instant)>,
    /// When the lease was last made to last.
    renewed: Instant,
}

impl Candidate {
    /// A candidate for the lease `name` in `namespace`. `identity` tells this process from its rivals.
    #[must_use]
    pub fn new(client: Client, namespace: &str, name: &str, identity: &str) -> Self {
        Self {
            api: Api::namespaced(client, namespace),
            name: name.to_owned(),
            identity: identity.to_owned(),
            seen: None,
            renewed: Instant::now(),
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
            sleep(INTERVAL).await;
        }
    }

    /// Renews the lease that was won; returns when it is lost.
    pub async fn keep(&mut self) -> LeaderError {
        loop {
            sleep(INTERVAL).await;
            let left = RENEW_DEADLINE.saturating_sub(self.renewed.elapsed());
            let problem = match timeout(left, self.attempt()).await {
                Ok(Ok(Outcome::Held)) => continue,
                Ok(Ok(Outcome::Elsewhere(holder))) => return LeaderError::Taken(holder),
                Ok(Ok(Outcome::Contended)) => "it was changed by somebody else".to_owned(),
                Ok(Err(error)) => error.to_string(),
                Err(_elapsed) => "the API server does not answer".to_owned(),
            };
            if self.renewed.elapsed() >= RENEW_DEADLINE {
                return LeaderError::NotRenewed(problem);
            }
            tracing::warn!(problem, "the lease was not renewed; trying again");
        }
    }

    /// Gives the lease back, so that the next process need not wait for its end.
    pub async fn release(self) {
        let given_back = async {
            let Some(mut lease) = self.api.get_opt(&self.name).await? else { return Ok(()) };
            if holder(&lease) != Some(self.identity.as_str()) {
                return Ok(());
            }
            lease.spec.get_or_insert_default().holder_identity = None;
            self.api.replace(&self.name, &by_us(), &lease).await.map(|_| ())
        };
        match timeout(RELEASE_TIMEOUT, given_back).await {
            Ok(Ok(())) => tracing::info!("the lease was given back"),
            Ok(Err(error)) => tracing::warn!(%error, "the lease was not given back; it runs out by itself"),
            Err(_elapsed) => tracing::warn!("the lease was not given back in time; it runs out by itself"),
        }
    }

    async fn attempt(&mut self) -> Result<Outcome, kube::Error> {
        let begun = Instant::now();
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
                self.renewed = begun;
                Ok(Outcome::Held)
            }
            Err(kube::Error::Api(status)) if status.is_conflict() || status.is_already_exists() => {
                Ok(Outcome::Contended)
            }
            Err(error) => Err(error),
        }
    }

    /// How long this process has seen the lease as it is.
    fn unchanged_for(&mut self, lease: Option<&Lease>, now: Instant) -> Duration {
        let version = lease.and_then(ResourceExt::resource_version).unwrap_or_default();
        match &self.seen {
            Some((seen, since)) if *seen == version => now.duration_since(*since),
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
mod tests {
    use http::{Method, Request, Response, StatusCode};
    use http_body_util::BodyExt;
    use kube::client::Body;
    use rstest::rstest;
    use serde_json::{Value, json};
    use tower_test::mock::{self, Handle};

    use super::*;

    fn lease(holder: Option<&str>, version: &str) -> Value {
        json!({
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {"name": "operator", "namespace": "system", "resourceVersion": version},
            "spec": {"holderIdentity": holder, "leaseDurationSeconds": 15, "leaseTransitions": 3,
                     "acquireTime": "2026-01-01T00:00:00.000000Z", "renewTime": "2026-01-01T00:00:00.000000Z"},
        })
    }

    fn status(code: u16, reason: &str) -> Value {
        json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": reason, "message": reason, "code": code})
    }

    type Api = Handle<Request<Body>, Response<Body>>;

    fn candidate() -> (Candidate, Api) {
        let (service, handle) = mock::pair();
        (Candidate::new(Client::new(service, "system"), "system", "operator", "me"), handle)
    }

    /// Answers the next call, which must use this method; gives its body.
    async fn answer(api: &mut Api, method: Method, code: u16, body: &Value) -> Value {
        let (request, send) = api.next_request().await.unwrap();
        assert_eq!(request.method(), method);
        let sent = request.into_body().collect().await.unwrap().to_bytes();
        let body = Body::from(serde_json::to_vec(body).unwrap());
        send.send_response(Response::builder().status(StatusCode::from_u16(code).unwrap()).body(body).unwrap());
        serde_json::from_slice(&sent).unwrap_or_default()
    }

    #[rstest]
    #[case::nobody(None, 0, None)]
    #[case::given_back(Some(""), 0, None)]
    #[case::alive(Some("other"), 14, Some("other"))]
    #[case::gone(Some("other"), 15, None)]
    fn a_holder_counts_until_its_entry_stands_still(
        #[case] holder: Option<&str>,
        #[case] unchanged: u64,
        #[case] expected: Option<&str>,
    ) {
        let lease: Lease = serde_json::from_value(lease(holder, "1")).unwrap();
        assert_eq!(valid_holder(&lease, Duration::from_secs(unchanged)), expected);
    }

    #[tokio::test]
    async fn time_stands_still_only_while_the_version_does() {
        let (mut me, _api) = candidate();
        let lease = |version: &str| serde_json::from_value::<Lease>(lease(Some("other"), version)).unwrap();
        let start = Instant::now();
        let after = |seconds| start + Duration::from_secs(seconds);
        assert_eq!(me.unchanged_for(Some(&lease("1")), start), Duration::ZERO);
        assert_eq!(me.unchanged_for(Some(&lease("1")), after(9)), Duration::from_secs(9));
        assert_eq!(me.unchanged_for(Some(&lease("2")), after(12)), Duration::ZERO);
        assert_eq!(me.unchanged_for(Some(&lease("2")), after(20)), Duration::from_secs(8));
    }

    #[tokio::test]
    async fn a_lease_that_is_not_there_is_made() {
        let (mut me, mut api) = candidate();
        let server = async {
            answer(&mut api, Method::GET, 404, &status(404, "NotFound")).await;
            answer(&mut api, Method::POST, 201, &lease(Some("me"), "1")).await
        };
        let (outcome, sent) = tokio::join!(me.attempt(), server);
        assert_eq!(outcome.unwrap(), Outcome::Held);
        assert_eq!(sent["spec"]["holderIdentity"], "me");
    }

    #[tokio::test]
    async fn a_lease_that_was_given_back_is_taken_with_the_version_that_was_read() {
        let (mut me, mut api) = candidate();
        let server = async {
            answer(&mut api, Method::GET, 200, &lease(None, "7")).await;
            answer(&mut api, Method::PUT, 200, &lease(Some("me"), "8")).await
        };
        let (outcome, sent) = tokio::join!(me.attempt(), server);
        assert_eq!(outcome.unwrap(), Outcome::Held);
        assert_eq!(sent["metadata"]["resourceVersion"], "7");
        assert_eq!(sent["spec"]["leaseTransitions"], 4);
        assert_ne!(sent["spec"]["acquireTime"], "2026-01-01T00:00:00.000000Z");
    }

    #[tokio::test]
    async fn a_renewal_is_no_transition() {
        let (mut me, mut api) = candidate();
        let server = async {
            answer(&mut api, Method::GET, 200, &lease(Some("me"), "7")).await;
            answer(&mut api, Method::PUT, 200, &lease(Some("me"), "8")).await
        };
        let (outcome, sent) = tokio::join!(me.attempt(), server);
        assert_eq!(outcome.unwrap(), Outcome::Held);
        assert_eq!(sent["spec"]["leaseTransitions"], 3);
        assert_eq!(sent["spec"]["acquireTime"], "2026-01-01T00:00:00.000000Z");
        assert_ne!(sent["spec"]["renewTime"], "2026-01-01T00:00:00.000000Z");
    }

    #[tokio::test]
    async fn of_two_at_once_the_slower_has_lost() {
        let (mut me, mut api) = candidate();
        let server = async {
            answer(&mut api, Method::GET, 200, &lease(None, "7")).await;
            answer(&mut api, Method::PUT, 409, &status(409, "Conflict")).await;
            answer(&mut api, Method::GET, 200, &lease(Some("other"), "8")).await;
        };
        let attempts = async { (me.attempt().await.unwrap(), me.attempt().await.unwrap()) };
        let (outcomes, ()) = tokio::join!(attempts, server);
        assert_eq!(outcomes, (Outcome::Contended, Outcome::Elsewhere("other".to_owned())));
    }

    #[tokio::test]
    async fn only_ones_own_lease_is_given_back() {
        let (me, mut api) = candidate();
        let server = async {
            answer(&mut api, Method::GET, 200, &lease(Some("me"), "7")).await;
            answer(&mut api, Method::PUT, 200, &lease(None, "8")).await
        };
        let ((), sent) = tokio::join!(me.release(), server);
        assert!(sent["spec"].get("holderIdentity").is_none(), "{sent}");

        let (me, mut api) = candidate();
        let taken = lease(Some("other"), "9");
        let ((), _read) = tokio::join!(me.release(), answer(&mut api, Method::GET, 200, &taken));
        assert!(api.next_request().await.is_none(), "nothing is written");
    }
}
