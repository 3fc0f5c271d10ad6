//! Which calls one pass makes, against an API server that knows exactly these: an unexpected call fails, and so does
//! a missing one.

use std::{sync::Arc, time::Instant};

use http::{Request, Response};
use http_body_util::BodyExt;
use k8s_openapi::api::{batch::v1::Job, core::v1::Pod};
use kube::{
    Client, Resource,
    client::Body,
    runtime::{reflector, watcher},
};
use lexigram_api::resource::IngestionJob;
use serde_json::{Value, json};
use tokio::sync::{OnceCell, watch as channel};
use tower_test::mock;

use super::fixtures::*;
use crate::{
    config::AiWorkers,
    controller::{
        Shared,
        events::Events,
        job::{Context, finals::Counted, pass},
        watch::Cache,
        worker_client::WorkerClient,
    },
    metrics::Metrics,
    queue::Queue,
};

const JOBS: &str = "/apis/batch/v1/namespaces/docs/jobs";
const CONFIG_MAPS: &str = "/api/v1/namespaces/docs/configmaps";
const CLAIMS: &str = "/api/v1/namespaces/docs/persistentvolumeclaims";
const OBJECTS: &str = "/apis/workers.lexigram.dev/v1alpha1/namespaces/docs/ingestionjobs";
const EVENTS: &str = "/apis/events.k8s.io/v1/namespaces/docs/events";

/// One call that is expected, and its answer.
struct Call {
    method: &'static str,
    path: String,
    answer: (u16, Value),
    /// A part of the body, by JSON pointer.
    sends: Vec<(&'static str, Value)>,
}

impl Call {
    fn new(method: &'static str, path: impl Into<String>) -> Self {
        Self { method, path: path.into(), answer: (200, json!({})), sends: Vec::new() }
    }

    fn refused(self, code: u16, reason: &str, message: &str) -> Self {
        let status = json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, "reason": reason, "message": message});
        Self { answer: (code, status), ..self }
    }

    fn not_found(self) -> Self {
        self.refused(404, "NotFound", "not found")
    }

    fn answers(self, answer: Value) -> Self {
        Self { answer: (200, answer), ..self }
    }

    fn sends(mut self, pointer: &'static str, value: Value) -> Self {
        self.sends.push((pointer, value));
        self
    }
}

fn get(path: impl Into<String>) -> Call {
    Call::new("GET", path).answers(json!({
        "apiVersion": "meta.k8s.io/v1", "kind": "PartialObjectMetadata", "metadata": {"name": "x"},
    }))
}

fn status_says(reason: &str) -> Call {
    Call::new("PATCH", format!("{OBJECTS}/handbook/status"))
        .answers(serde_json::to_value(job(json!({}))).unwrap())
        .sends("/metadata/resourceVersion", json!("7"))
        .sends("/status/conditions/0/reason", json!(reason))
}

fn event(reason: &str) -> Call {
    Call::new("POST", EVENTS).answers(json!({"metadata": {}, "eventTime": null})).sends("/reason", json!(reason))
}

fn owned_by(uid: &str) -> Value {
    json!({
        "apiVersion": "meta.k8s.io/v1", "kind": "PartialObjectMetadata",
        "metadata": {"name": "handbook-r1", "ownerReferences": [
            {"apiVersion": "workers.lexigram.dev/v1alpha1", "kind": "IngestionJob", "name": "handbook", "uid": uid, "controller": true},
        ]},
    })
}

const OUR_UID: &str = "11111111-2222-3333-4444-555555555555";

fn cache<K>(items: Vec<K>) -> Cache<K>
where
    K: Resource<DynamicType = ()> + Clone + 'static,
{
    let (store, mut writer) = reflector::store();
    writer.apply_watcher_event(&watcher::Event::Init);
    for item in items {
        writer.apply_watcher_event(&watcher::Event::InitApply(item));
    }
    writer.apply_watcher_event(&watcher::Event::InitDone);
    Cache::new(vec![store])
}

/// Runs one pass over `job` at second `now`; the calls must be exactly `expected`, in this order.
async fn passes(job: &IngestionJob, jobs: Vec<Job>, pods: Vec<Arc<Pod>>, now: i64, expected: Vec<Call>) -> bool {
    made(job, jobs, pods, now, expected).await.0
}

/// As [`passes`], with what was counted.
async fn made(
    job: &IngestionJob,
    jobs: Vec<Job>,
    pods: Vec<Arc<Pod>>,
    now: i64,
    expected: Vec<Call>,
) -> (bool, Arc<Metrics>) {
    let (service, mut handle) = mock::pair::<Request<Body>, Response<Body>>();
    let client = Client::new(service, "docs");
    let (moved, _) = channel::channel(());
    let (_config, config) = channel::channel(AiWorkers::default());
    let shared = Shared {
        client: client.clone(),
        settings: Arc::new(settings()),
        config,
        metrics: Arc::new(Metrics::default()),
        outbox: None,
    };
    let metrics = Arc::clone(&shared.metrics);
    let context = Context {
        shared,
        objects: cache(vec![job.clone()]),
        jobs: cache(jobs),
        pods: cache(pods.into_iter().map(Arc::unwrap_or_clone).collect()),
        queue: Arc::new(Queue::default()),
        moved,
        seeded: OnceCell::new(),
        events: Events::new(client),
        counted: Counted::default(),
        workers: WorkerClient::new().unwrap(),
    };
    let server = tokio::spawn(async move {
        for call in expected {
            let Some((request, send)) = handle.next_request().await else {
                panic!("missing call: {} {}", call.method, call.path)
            };
            let (parts, body) = request.into_parts();
            assert_eq!((parts.method.as_str(), parts.uri.path()), (call.method, call.path.as_str()));
            let body = body.collect().await.unwrap().to_bytes();
            for (pointer, value) in &call.sends {
                let body: Value = serde_json::from_slice(&body).unwrap();
                assert_eq!(body.pointer(pointer), Some(value), "{pointer} of {} {}", call.method, call.path);
            }
            let (code, answer) = call.answer;
            // what is created comes back as it was sent
            let answer =
                if call.method == "POST" && code == 200 { body.to_vec() } else { answer.to_string().into_bytes() };
            send.send_response(Response::builder().status(code).body(Body::from(answer)).unwrap());
        }
        let unexpected =
            handle.next_request().await.map(|(request, _)| format!("{} {}", request.method(), request.uri()));
        assert_eq!(unexpected, None, "unexpected call");
    });
    let result = pass(job, &context, Instant::now(), at(now)).await;
    drop(context);
    server.await.unwrap();
    (result.is_ok(), metrics)
}

#[tokio::test]
async fn a_new_job_gets_claim_work_spec_and_job_in_this_order() {
    let calls = vec![
        get(format!("{CLAIMS}/lexigram-store")).not_found(),
        Call::new("POST", CLAIMS).sends("/metadata/name", json!("lexigram-store")),
        Call::new("POST", CONFIG_MAPS).sends("/metadata/name", json!("handbook-r1")),
        Call::new("POST", JOBS)
            .sends("/metadata/name", json!("handbook-r1"))
            .sends("/metadata/ownerReferences/0/uid", json!(OUR_UID)),
        status_says("Started"),
        event("Started"),
    ];
    assert!(passes(&job(json!({})), vec![], vec![], 1, calls).await);
}

#[tokio::test]
async fn what_an_earlier_attempt_made_is_adopted() {
    let calls = vec![
        get(format!("{CLAIMS}/lexigram-store")),
        Call::new("POST", CONFIG_MAPS).refused(409, "AlreadyExists", "exists"),
        get(format!("{CONFIG_MAPS}/handbook-r1")).answers(owned_by(OUR_UID)),
        Call::new("POST", JOBS).refused(409, "AlreadyExists", "exists"),
        get(format!("{JOBS}/handbook-r1")).answers(owned_by(OUR_UID)),
        status_says("Started"),
        event("Started"),
    ];
    assert!(passes(&job(json!({})), vec![], vec![], 1, calls).await);
}

#[tokio::test]
async fn what_belongs_to_somebody_else_is_left_alone_and_told() {
    let calls = vec![
        get(format!("{CLAIMS}/lexigram-store")),
        Call::new("POST", CONFIG_MAPS).refused(409, "AlreadyExists", "exists"),
        get(format!("{CONFIG_MAPS}/handbook-r1")).answers(owned_by("99999999-0000-0000-0000-000000000000")),
        status_says("NameTaken").sends(
            "/status/conditions/0/message",
            json!("ConfigMap 'handbook-r1' exists and belongs to somebody else; delete or rename it, and the job goes on; it is tried again"),
        ),
        event("NameTaken"),
    ];
    assert!(!passes(&job(json!({})), vec![], vec![], 1, calls).await);
}

#[tokio::test]
async fn a_quota_that_is_exceeded_is_told() {
    let calls = vec![
        get(format!("{CLAIMS}/lexigram-store")).not_found(),
        Call::new("POST", CLAIMS).refused(
            403,
            "Forbidden",
            "persistentvolumeclaims \"lexigram-store\" is forbidden: exceeded quota: small",
        ),
        status_says("QuotaExceeded"),
        event("QuotaExceeded"),
    ];
    assert!(!passes(&job(json!({})), vec![], vec![], 1, calls).await);
}

#[tokio::test]
async fn a_missing_secret_is_told_and_nothing_is_made() {
    let http = json!({"http": {"urls": ["https://x.example/a"], "headersSecretRef": {"name": "token"}}});
    let calls = vec![
        get("/api/v1/namespaces/docs/secrets/token").not_found(),
        status_says("SecretNotFound").sends("/status/state", json!("Stalled")),
        event("SecretNotFound"),
    ];
    assert!(passes(&job(json!({"source": http})), vec![], vec![], 1, calls).await);
}

#[tokio::test]
async fn a_run_that_has_ended_is_counted_with_what_its_worker_did() {
    let jobs = vec![kube_job("handbook-r1", 1, false, complete(60))];
    let pods = vec![finished(&report("handbook-r1", 7, [0, 0, 0]))];
    let calls = vec![status_says("Completed"), event("Completed")];
    let (passed, metrics) = made(&job(json!({})), jobs, pods, 61, calls).await;
    let counted = metrics.encode().unwrap();
    for line in [
        r#"lexigram_runs_total{kind="IngestionJob",result="succeeded"} 1"#,
        r#"lexigram_items_total{kind="IngestionJob",result="done"} 7"#,
        r#"lexigram_chunks_total{kind="IngestionJob"} 28"#,
        r#"lexigram_active_workers{kind="IngestionJob"} 0"#,
    ] {
        assert!(passed && counted.contains(line), "{line} is not in\n{counted}");
    }
}

#[tokio::test]
async fn nothing_changed_means_no_call() {
    let mut object = job(json!({}));
    let at_work = || kube_job("handbook-r1", 1, false, active());
    let calls = vec![status_says("Running")];
    assert!(passes(&object, vec![at_work()], vec![running("handbook-r1")], 52, calls).await);
    let seen = seen(vec![run(&at_work(), &[running("handbook-r1")])]);
    let plan = crate::controller::job::plan::plan(&object, &seen, &AiWorkers::default(), at(52));
    object.status = Some(crate::controller::job::status::project(&object, &seen, &plan, None, at(52)));
    assert!(passes(&object, vec![at_work()], vec![running("handbook-r1")], 60, vec![]).await);
}

#[tokio::test]
async fn a_run_that_was_asked_for_lets_the_jobs_of_old_ones_go_with_their_work_specs() {
    let asked = |number: i64, status| {
        let mut child = kube_job(&format!("handbook-r{number}"), number, false, status);
        let request = ("workers.lexigram.dev/run".to_owned(), format!("2027-01-0{number}T00:00:00Z"));
        child.metadata.annotations.get_or_insert_default().extend([request]);
        child
    };
    let jobs = vec![asked(1, complete(60)), asked(2, complete(70)), asked(3, active())];
    let delete = |path: String| Call::new("DELETE", path).answers(json!({"kind": "Status", "status": "Success"}));
    let calls = vec![
        status_says("Running").sends("/status/runs/2/name", json!("handbook-r1")),
        get(format!("{CONFIG_MAPS}/handbook-r1")).answers(owned_by(OUR_UID)),
        delete(format!("{CONFIG_MAPS}/handbook-r1")),
        get(format!("{JOBS}/handbook-r1")).answers(owned_by(OUR_UID)),
        delete(format!("{JOBS}/handbook-r1")).sends("/propagationPolicy", json!("Background")),
    ];
    assert!(passes(&job(json!({})), jobs, vec![running("handbook-r3")], 80, calls).await);
}

#[tokio::test]
async fn suspend_suspends_the_job_and_resume_lets_it_go_on() {
    let patched =
        || Call::new("PATCH", format!("{JOBS}/handbook-r1")).answers(json!({"metadata": {"name": "handbook-r1"}}));
    let suspended = job(json!({"suspend": true}));
    let calls = vec![patched().sends("/spec/suspend", json!(true)), status_says("Suspended"), event("Suspended")];
    let at_work = kube_job("handbook-r1", 1, false, active());
    assert!(passes(&suspended, vec![at_work], vec![running("handbook-r1")], 20, calls).await);
    let calls = vec![patched().sends("/spec/suspend", json!(false)), status_says("Resumed"), event("Resumed")];
    assert!(passes(&job(json!({})), vec![kube_job("handbook-r1", 1, true, json!({}))], vec![], 40, calls).await);
}

#[tokio::test]
async fn an_expired_job_is_deleted_and_its_status_left_alone() {
    let mut object = job(json!({"ttlSecondsAfterFinished": 30}));
    object.status = Some(
        serde_json::from_value(json!({
            "completionTime": at(60).to_string(),
            "conditions": [{"type": "Complete", "status": "True", "reason": "Completed", "message": "", "lastTransitionTime": at(60).to_string()}],
        }))
        .unwrap(),
    );
    let calls = vec![
        Call::new("DELETE", format!("{OBJECTS}/handbook"))
            .sends("/preconditions/uid", json!(OUR_UID))
            .answers(json!({"kind": "Status", "apiVersion": "v1", "status": "Success"})),
    ];
    assert!(passes(&object, vec![], vec![], 100, calls).await);
}

fn conflict() -> Call {
    Call::new("PATCH", format!("{OBJECTS}/handbook/status")).refused(409, "Conflict", "the object has been modified")
}

fn fresh(generation: i64, status: Value) -> Call {
    let mut fresh = serde_json::to_value(job(json!({"suspend": true}))).unwrap();
    fresh["metadata"]["generation"] = json!(generation);
    fresh["metadata"]["resourceVersion"] = json!("8");
    fresh["status"] = status;
    Call::new("GET", format!("{OBJECTS}/handbook")).answers(fresh)
}

#[tokio::test]
async fn a_cache_that_is_behind_hides_no_transition() {
    let write = status_says("Suspended").sends("/metadata/resourceVersion", json!("8"));
    let write = Call { sends: write.sends.into_iter().skip(1).collect(), ..write };
    let calls = vec![conflict(), fresh(1, json!({"state": "Queued"})), write, event("Suspended")];
    assert!(passes(&job(json!({"suspend": true})), vec![], vec![], 1, calls).await);
}

#[tokio::test]
async fn an_edit_in_between_is_planned_for_anew() {
    let calls = vec![conflict(), fresh(2, json!({}))];
    assert!(!passes(&job(json!({"suspend": true})), vec![], vec![], 1, calls).await);
}

#[tokio::test]
async fn a_recorded_end_is_not_undone_by_a_cache_that_is_behind() {
    let complete = json!({"type": "Complete", "status": "True", "reason": "Completed", "message": "", "lastTransitionTime": at(60).to_string()});
    let calls = vec![conflict(), fresh(1, json!({"conditions": [complete]}))];
    assert!(!passes(&job(json!({"suspend": true})), vec![], vec![], 1, calls).await);
}
