//! Maintenance on a cluster: runs on a cron and an interval, what they do to stores, and what is said of health.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a panic is how a test fails")]

mod health;
mod resync;
mod schedule;
mod store;

use std::collections::BTreeSet;

use k8s_openapi::api::batch::v1::Job;
use kube::{ResourceExt, api::ListParams};
use lexigram_api::resource::{MaintenanceRun, TaskStatus};
use lexigram_tests::Sandbox;
use serde_json::{Value, json};

/// A schedule that no test waits for: its runs are asked for.
fn on_demand(tasks: Value) -> Value {
    json!({"intervalSeconds": 31_536_000, "tasks": tasks})
}

/// Tasks that a store without collections takes a moment for, however full this machine's disk is.
fn tasks() -> Value {
    json!([
        {"name": "archive", "type": "ArchiveCleanup"},
        {"name": "health", "type": "HealthCheck", "healthCheck": {"minFreePercent": 0}},
    ])
}

/// What came of a task.
fn task<'a>(run: &'a MaintenanceRun, name: &str) -> &'a TaskStatus {
    run.tasks.iter().find(|task| task.name == name).unwrap_or_else(|| panic!("{name} is not in {run:?}"))
}

/// Names of the Kubernetes Jobs in the namespace.
async fn jobs(it: &Sandbox) -> BTreeSet<String> {
    let jobs = it.api::<Job>().list(&ListParams::default()).await.unwrap();
    jobs.iter().map(ResourceExt::name_any).collect()
}
