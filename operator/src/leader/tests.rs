//! What is written to the lease, and when. Tests.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

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
    (Candidate::new(Client::new(service, "system"), Leadership::default(), "system", "operator", "me"), handle)
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
    let start = Duration::from_secs(100);
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
async fn whoever_holds_the_lease_leads_for_less_time_than_it_lasts() {
    let (seconds, (service, mut api)) = (Arc::new(AtomicU64::new(100)), mock::pair());
    let clock = Arc::clone(&seconds);
    let leadership = Leadership::by(move || Duration::from_secs(clock.load(Ordering::Relaxed)));
    let mut me = Candidate::new(Client::new(service, "system"), leadership.clone(), "system", "operator", "me");
    let server = async {
        answer(&mut api, Method::GET, 404, &status(404, "NotFound")).await;
        // an answer that is long in coming adds nothing
        seconds.store(104, Ordering::Relaxed);
        answer(&mut api, Method::POST, 201, &lease(Some("me"), "1")).await;
    };
    let (outcome, ()) = tokio::join!(me.attempt(), server);
    assert_eq!(outcome.unwrap(), Outcome::Held);
    assert_eq!(leadership.left(), Duration::from_secs(6));
    assert!(RENEW_DEADLINE < DURATION);
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

#[tokio::test]
async fn a_renewal_on_its_way_does_not_keep_the_lease_from_being_given_back() {
    let (me, mut api) = candidate();
    me.leadership.extend(me.leadership.now() + DURATION);
    let leadership = me.leadership.clone();
    let server = async {
        answer(&mut api, Method::GET, 200, &lease(Some("me"), "7")).await;
        answer(&mut api, Method::PUT, 409, &status(409, "Conflict")).await;
        answer(&mut api, Method::GET, 200, &lease(Some("me"), "8")).await;
        answer(&mut api, Method::PUT, 200, &lease(None, "9")).await
    };
    let ((), sent) = tokio::join!(me.release(), server);
    assert_eq!(sent["metadata"]["resourceVersion"], "8");
    assert!(sent["spec"].get("holderIdentity").is_none(), "{sent}");
    assert_eq!(leadership.left(), Duration::ZERO, "nothing is written after it");
}
