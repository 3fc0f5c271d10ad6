//! An API server that is none: it knows the calls that are expected, in their order, and answers as it was told. An
//! unexpected call fails, and so does a missing one.

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

pub const JOBS: &str = "/apis/batch/v1/namespaces/docs/jobs";
pub const CONFIG_MAPS: &str = "/api/v1/namespaces/docs/configmaps";
pub const CLAIMS: &str = "/api/v1/namespaces/docs/persistentvolumeclaims";
pub const OBJECTS: &str = "/apis/workers.lexigram.dev/v1alpha1/namespaces/docs/ingestionjobs";
pub const EVENTS: &str = "/apis/events.k8s.io/v1/namespaces/docs/events";

/// One call that is expected, and its answer.
pub struct Call {
    pub method: &'static str,
    pub path: String,
    pub answer: (u16, Value),
    /// A part of the body, by JSON pointer.
    pub sends: Vec<(&'static str, Value)>,
}

impl Call {
    pub fn new(method: &'static str, path: impl Into<String>) -> Self {
        Self { method, path: path.into(), answer: (200, json!({})), sends: Vec::new() }
    }

    pub fn refused(self, code: u16, reason: &str, message: &str) -> Self {
        let status = json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, "reason": reason, "message": message});
        Self { answer: (code, status), ..self }
    }

    pub fn not_found(self) -> Self {
        self.refused(404, "NotFound", "not found")
    }

    pub fn answers(self, answer: Value) -> Self {
        Self { answer: (200, answer), ..self }
    }

    pub fn sends(mut self, pointer: &'static str, value: Value) -> Self {
        self.sends.push((pointer, value));
        self
    }
}

pub fn get(path: impl Into<String>) -> Call {
    Call::new("GET", path).answers(json!({
        "apiVersion": "meta.k8s.io/v1", "kind": "PartialObjectMetadata", "metadata": {"name": "x"},
    }))
}

pub fn status_says(reason: &str) -> Call {
    Call::new("PATCH", format!("{OBJECTS}/handbook/status"))
        .answers(serde_json::to_value(job(json!({}))).unwrap())
        .sends("/metadata/resourceVersion", json!("7"))
        .sends("/status/conditions/0/reason", json!(reason))
}

pub fn event(reason: &str) -> Call {
    Call::new("POST", EVENTS).answers(json!({"metadata": {}, "eventTime": null})).sends("/reason", json!(reason))
}

pub fn owned_by(uid: &str) -> Value {
    json!({
        "apiVersion": "meta.k8s.io/v1", "kind": "PartialObjectMetadata",
        "metadata": {"name": "handbook-r1", "ownerReferences": [
            {"apiVersion": "workers.lexigram.dev/v1alpha1", "kind": "IngestionJob", "name": "handbook", "uid": uid, "controller": true},
        ]},
    })
}

pub const OUR_UID: &str = "11111111-2222-3333-4444-555555555555";

pub fn cache<K>(items: Vec<K>) -> Cache<K>
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
pub async fn passes(job: &IngestionJob, jobs: Vec<Job>, pods: Vec<Arc<Pod>>, now: i64, expected: Vec<Call>) -> bool {
    made(job, jobs, pods, now, expected).await.0
}

/// As [`passes`], with what was counted.
pub async fn made(
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
