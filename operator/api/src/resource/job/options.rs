//! The part of a spec that every kind of job has, with the rules that the API server checks. No I/O.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use crate::{
    failure::FailurePolicy,
    resource::{embedding::Embedding, store::Store, worker::WorkerOverrides},
};

/// How a job runs. Once created only `suspend`, `parallelism`, `priority` and `ttlSecondsAfterFinished` can change.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("!has(self.store.embedded) || self.parallelism == 1")
        .message("spec.parallelism: the embedded store takes one writer; set parallelism to 1, or use spec.store.postgres"),
    validation = Rule::new("!has(self.store.postgres) || self.store.postgres.maxConnections >= 2 * self.parallelism")
        .message("spec.parallelism: each worker needs two connections to Postgres; lower it, or raise spec.store.postgres.maxConnections"),
    validation = Rule::new("self.failurePolicy.backoffBaseSeconds <= self.failurePolicy.backoffCapSeconds")
        .message("spec.failurePolicy.backoffBaseSeconds: must not exceed spec.failurePolicy.backoffCapSeconds"),
    validation = Rule::new("!has(self.failurePolicy.actions) || self.failurePolicy.actions.all(a, self.failurePolicy.actions.exists_one(b, a.category == b.category))")
        .message("spec.failurePolicy.actions: names a category twice; give each category one action"),
    validation = Rule::new("self.embedding == oldSelf.embedding")
        .message("spec.embedding is immutable: delete the object and create it again; what is stored stays"),
    validation = Rule::new("self.store == oldSelf.store")
        .message("spec.store is immutable: delete the object and create it again; what is stored stays"),
    validation = Rule::new("has(self.queueName) == has(oldSelf.queueName) && (!has(self.queueName) || self.queueName == oldSelf.queueName)")
        .message("spec.queueName is immutable: delete the object and create it again; what is stored stays"),
    validation = Rule::new("has(self.activeDeadlineSeconds) == has(oldSelf.activeDeadlineSeconds) && (!has(self.activeDeadlineSeconds) || self.activeDeadlineSeconds == oldSelf.activeDeadlineSeconds)")
        .message("spec.activeDeadlineSeconds is immutable: delete the object and create it again; what is stored stays"),
    validation = Rule::new("self.failurePolicy == oldSelf.failurePolicy")
        .message("spec.failurePolicy is immutable: delete the object and create it again; what is stored stays"),
    validation = Rule::new("self.worker == oldSelf.worker")
        .message("spec.worker is immutable: delete the object and create it again; what is stored stays")
)]
pub struct JobOptions {
    /// Which model turns text into vectors.
    #[serde(default)]
    pub embedding: Embedding,
    /// Where vectors and the ledger are kept.
    #[serde(default)]
    pub store: Store,
    /// Worker pods that share the work: each has its part of the documents or rows. The embedded store takes one. A change holds from the next run on.
    #[schemars(range(min = 1, max = 1000))]
    #[serde(default = "one")]
    pub parallelism: i32,
    /// Queued jobs with a higher priority start first; among equals the older one.
    #[schemars(range(min = -1_000_000, max = 1_000_000))]
    #[serde(default)]
    pub priority: i32,
    /// Kueue LocalQueue: the Job is created suspended with this queue's label, and Kueue admits it.
    #[schemars(length(min = 1, max = 63), regex(pattern = r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$"))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queue_name: Option<String>,
    /// Stops the work and starts none while true; false goes on where it stopped.
    #[serde(default)]
    pub suspend: bool,
    /// Seconds that one run may be active before it is stopped and the job fails with reason DeadlineExceeded.
    #[schemars(range(min = 1, max = 31_536_000))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub active_deadline_seconds: Option<i32>,
    /// Seconds after completion or failure after which this object is deleted; never where absent. What it stored stays.
    #[schemars(range(min = 0, max = 31_536_000))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl_seconds_after_finished: Option<i32>,
    /// What happens to documents or texts that fail.
    #[serde(default)]
    pub failure_policy: FailurePolicy,
    /// Overrides for the worker pods.
    #[serde(default)]
    pub worker: WorkerOverrides,
}

const fn one() -> i32 {
    1
}
