//! A job, its Kubernetes Jobs and pods, as the API server would send them.

use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::{
    api::{
        batch::v1::Job,
        core::v1::{Pod, ResourceRequirements},
    },
    apimachinery::pkg::api::resource::Quantity,
};
use lexigram_api::{
    contract::{CONTRACT_VERSION, Counts, DeadLetters, FailureCounts, ItemCounts, Phase, Progress, Report, RunError},
    failure::FailureCategory,
    resource::IngestionJob,
};
use serde_json::{Value, json};

use crate::{
    controller::{job::observe::Observation, runs::Run},
    names::ledger_run,
    settings::Settings,
};

/// The second at which the object was created; times in tests are seconds after it.
const EPOCH: i64 = 1_800_000_000;
/// The uid of the object that Jobs and pods belong to.
const UID: &str = "11111111-2222-3333-4444-555555555555";

pub(in crate::controller) fn at(second: i64) -> Timestamp {
    Timestamp::from_second(EPOCH + second).unwrap()
}

pub(in crate::controller) fn settings() -> Settings {
    let quantities = |list: &[(&str, &str)]| {
        Some(list.iter().map(|(name, quantity)| ((*name).to_owned(), Quantity((*quantity).to_owned()))).collect())
    };
    Settings {
        worker_image: "registry.example/lexigram-worker:1.0".to_owned(),
        worker_image_pull_policy: "IfNotPresent".to_owned(),
        worker_image_pull_secrets: vec!["pull".to_owned()],
        worker_resources: ResourceRequirements {
            requests: quantities(&[("cpu", "500m"), ("memory", "768Mi")]),
            limits: quantities(&[("memory", "2Gi")]),
            claims: None,
        },
        store_size: "10Gi".to_owned(),
        store_class: None,
        namespaces: Vec::new(),
        otlp_endpoint: None,
    }
}

/// The job `docs/handbook` with these fields of its spec.
pub(in crate::controller) fn job(spec: Value) -> IngestionJob {
    let mut fields = json!({"source": {"inline": [{"name": "a.md", "text": "# A"}]}});
    fields.as_object_mut().unwrap().extend(spec.as_object().unwrap().clone());
    serde_json::from_value(json!({
        "apiVersion": "workers.lexigram.dev/v1alpha1",
        "kind": "IngestionJob",
        "metadata": {
            "name": "handbook",
            "namespace": "docs",
            "uid": "11111111-2222-3333-4444-555555555555",
            "generation": 1,
            "resourceVersion": "7",
            "creationTimestamp": at(0).to_string(),
        },
        "spec": fields,
    }))
    .unwrap()
}

pub(in crate::controller) fn from_config_map() -> IngestionJob {
    job(json!({"source": {"configMap": {"name": "guides"}}}))
}

/// A Job of the object; `status` as the Job controller writes it.
pub(in crate::controller) fn kube_job(name: &str, created: i64, suspend: bool, status: Value) -> Job {
    serde_json::from_value(json!({
        "metadata": {
            "name": name,
            "namespace": "docs",
            "creationTimestamp": at(created).to_string(),
            "labels": {
                "app.kubernetes.io/managed-by": "lexigram-operator",
                "workers.lexigram.dev/owner-uid": "11111111-2222-3333-4444-555555555555",
            },
            "annotations": {"workers.lexigram.dev/owner-name": "handbook"},
        },
        "spec": {"suspend": suspend, "template": {}},
        "status": status,
    }))
    .unwrap()
}

pub(in crate::controller) fn active() -> Value {
    json!({"active": 1, "startTime": at(5).to_string()})
}

pub(in crate::controller) fn complete(second: i64) -> Value {
    json!({
        "startTime": at(5).to_string(),
        "conditions": [{"type": "Complete", "status": "True", "lastTransitionTime": at(second).to_string()}],
    })
}

pub(in crate::controller) fn failed(reason: &str, message: &str) -> Value {
    json!({
        "startTime": at(5).to_string(),
        "conditions": [{
            "type": "Failed", "status": "True", "reason": reason, "message": message,
            "lastTransitionTime": at(60).to_string(),
        }],
    })
}

/// A pod of that Job with this state of its container.
pub(in crate::controller) fn pod(job: &str, created: i64, phase: &str, state: Value) -> Arc<Pod> {
    let pod = json!({
        "metadata": {
            "name": format!("{job}-{created}"),
            "namespace": "docs",
            "creationTimestamp": at(created).to_string(),
            "labels": {
                "app.kubernetes.io/managed-by": "lexigram-operator",
                "workers.lexigram.dev/owner-uid": "11111111-2222-3333-4444-555555555555",
                "batch.kubernetes.io/job-name": job,
            },
        },
        "status": {
            "phase": phase,
            "containerStatuses": [{
                "name": "worker", "image": "registry.example/lexigram-worker:1.0", "imageID": "", "ready": false,
                "restartCount": 0, "state": state,
            }],
        },
    });
    Arc::new(serde_json::from_value(pod).unwrap())
}

pub(in crate::controller) fn running(job: &str) -> Arc<Pod> {
    pod(job, 6, "Running", json!({"running": {}}))
}

/// The Job whose run a report is of.
fn job_of(report: &Report) -> &str {
    report.run.split_once('.').unwrap().0
}

/// A pod that has ended well, with its report.
pub(in crate::controller) fn finished(report: &Report) -> Arc<Pod> {
    let message = report.to_termination_message().unwrap();
    pod(job_of(report), 6, "Succeeded", json!({"terminated": {"exitCode": 0, "message": message}}))
}

pub(in crate::controller) fn crashed(job: &str, exit_code: i32, reason: &str, message: &str) -> Arc<Pod> {
    let end = json!({"terminated": {"exitCode": exit_code, "reason": reason, "message": message}});
    pod(job, 6, "Failed", end)
}

/// A report of a run that has processed all its documents: `done` and what became of the failed ones.
pub(in crate::controller) fn report(run: &str, done: i32, [retrying, archived, notified]: [i32; 3]) -> Report {
    let failed = retrying + archived + notified;
    Report {
        contract_version: CONTRACT_VERSION.to_owned(),
        run: ledger_run(run, UID),
        error: None,
        counts: Counts {
            items: ItemCounts { total: done + failed, done, failed, skipped: 0, deleted: 0 },
            failures: FailureCounts { retrying, archived, notified },
            chunks: i64::from(done) * 4,
            tokens: i64::from(done) * 400,
            bytes: i64::from(done) * 2000,
            cached: 0,
        },
        dry_run: None,
        dead_letters: DeadLetters { actions: FailureCounts { retrying, archived, notified }, ..Default::default() },
        circuit: None,
        next_retry_time: (retrying > 0).then(|| at(90)),
        stages: Vec::new(),
        provider: None,
        maintenance: Vec::new(),
        recent_failures: Vec::new(),
    }
}

pub(in crate::controller) fn error_report(run: &str, category: FailureCategory, reason: &str, message: &str) -> Report {
    Report {
        error: Some(RunError { category, reason: reason.to_owned(), message: message.to_owned() }),
        ..report(run, 0, [0, 0, 0])
    }
}

/// The answer of a worker that has processed `done` of `total` documents 40 seconds after its start.
pub(in crate::controller) fn progress(run: &str, done: i32, total: i32) -> Progress {
    Progress {
        contract_version: CONTRACT_VERSION.to_owned(),
        run: ledger_run(run, UID),
        phase: Phase::Working,
        heartbeat: at(50),
        started: at(10),
        counts: Counts {
            items: ItemCounts { total, done, ..Default::default() },
            failures: FailureCounts::default(),
            chunks: 8,
            tokens: 800,
            bytes: 4000,
            cached: 0,
        },
        rate_limited_until: None,
        circuit: None,
        stages: Vec::new(),
        provider: None,
        recent_failures: Vec::new(),
    }
}

pub(in crate::controller) fn run(job: &Job, pods: &[Arc<Pod>]) -> Run {
    Run::read(job, pods).unwrap()
}

pub(in crate::controller) fn seen(runs: Vec<Run>) -> Observation {
    Observation::of(runs)
}

/// The full run has ended with this report at second 60.
pub(in crate::controller) fn ended(report: &Report) -> Run {
    run(&kube_job(job_of(report), 1, false, complete(60)), &[finished(report)])
}
