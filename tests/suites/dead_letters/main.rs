//! Dead letters on a cluster: what failed comes back by itself, exactly once, and a person sees why.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a panic is how a test fails")]

mod archived;
mod by_hand;
mod notified;
mod once;
mod recovered;

use std::collections::BTreeSet;

use k8s_openapi::api::batch::v1::Job as Run;
use kube::{ResourceExt, api::ListParams};
use lexigram_api::resource::{DeadLetterStatus, IngestionJob};
use lexigram_tests::{Job, Sandbox};
use serde_json::{Value, json};

/// The shortest sweeps that there are.
fn hurry() -> Value {
    json!({"ai_workers": {"dlq_check_interval": 5}})
}

/// A second from one attempt to the next, whatever the attempt.
fn policy(max_attempts: i32) -> Value {
    json!({"maxAttempts": max_attempts, "backoffBaseSeconds": 1, "backoffCapSeconds": 1})
}

fn dead_letters<K: Job>(job: &K) -> DeadLetterStatus {
    job.job_status().and_then(|status| status.dead_letters.clone()).unwrap_or_default()
}

/// Documents of a job: all, done, failed.
fn documents(job: &IngestionJob) -> [i32; 3] {
    let documents = job.status.as_ref().unwrap().documents.clone().unwrap();
    [documents.total, documents.done, documents.failed]
}

/// Names of the Kubernetes Jobs in the namespace.
async fn runs(it: &Sandbox) -> BTreeSet<String> {
    let runs = it.api::<Run>().list(&ListParams::default()).await.unwrap();
    runs.iter().map(ResourceExt::name_any).collect()
}
