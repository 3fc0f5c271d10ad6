//! What the release may do, what its pods look like, and where secrets are not. See docs/security.md.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a panic is how a test fails")]

mod canary;
mod isolation;
mod pods;
mod rbac;
mod secrets;

use k8s_openapi::api::core::v1::Pod;
use kube::runtime::watcher::Config;
use lexigram_tests::{Sandbox, WORKERS, until};
use serde_json::{Value, json};

/// Applies a schedule, asks for a run of it, and waits until that is over, however it ends.
async fn maintain(it: &Sandbox, name: &str, mut spec: Value) {
    spec["intervalSeconds"] = json!(31_536_000);
    it.schedules().apply(name, spec).await;
    it.run_now(name, 0).await;
}

/// The worker of a run, once it answers.
async fn running_worker(it: &Sandbox, run: &str) -> Pod {
    let workers = Config::default().labels(&format!("{WORKERS}={run}"));
    until(it.api(), workers, &format!("a worker of {run} is ready"), |pods: &[&Pod]| {
        pods.iter().find(|pod| ready(pod).unwrap_or_default()).map(|pod| (*pod).clone())
    })
    .await
}

fn ready(pod: &Pod) -> Option<bool> {
    let conditions = pod.status.as_ref()?.conditions.as_ref()?;
    Some(conditions.iter().any(|condition| condition.type_ == "Ready" && condition.status == "True"))
}
