//! The spec of a `MaintenanceSchedule` and the rules that the API server checks. No I/O.

use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{status::MaintenanceScheduleStatus, task::MaintenanceTask};
use crate::{
    failure::FailurePolicy,
    resource::{embedding::Embedding, store::Store, worker::WorkerOverrides},
};

/// What happens to a run that is due while another one is at work.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub enum OverlapPolicy {
    /// It is not started.
    #[default]
    Forbid,
    /// The one at work is stopped.
    Replace,
}

/// Which tasks are done on which store, and when.
#[derive(CustomResource, Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[kube(
    group = "workers.lexigram.dev",
    version = "v1alpha1",
    kind = "MaintenanceSchedule",
    plural = "maintenanceschedules",
    singular = "maintenanceschedule",
    shortname = "ms",
    category = "lexigram",
    namespaced,
    status = "MaintenanceScheduleStatus",
    derive = "PartialEq",
    doc = "Tasks that keep a store fast, small and known to be healthy, done on a cron schedule or at an interval.",
    printcolumn(name = "Schedule", type_ = "string", json_path = ".status.schedule", description = "When runs are due"),
    printcolumn(name = "Healthy", type_ = "string", json_path = ".status.conditions[?(@.type==\"Healthy\")].status", description = "What the newest health check found"),
    printcolumn(name = "Last", type_ = "date", json_path = ".status.lastScheduleTime", description = "Time since the newest run was due"),
    printcolumn(name = "Next", type_ = "string", json_path = ".status.nextScheduleTime", description = "When the next run is due"),
    printcolumn(name = "Items", type_ = "integer", json_path = ".status.items", description = "What the newest run has worked on"),
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].reason", description = "Whether the schedule is active, and why not", priority = 1),
    printcolumn(name = "Failed", type_ = "string", json_path = ".status.deadLetters.summary", description = "Tasks that failed, by what is done about them", priority = 1),
    printcolumn(name = "Reason", type_ = "string", json_path = ".status.conditions[?(@.type==\"Healthy\")].reason", description = "The first check that failed", priority = 1),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp", description = "Time since the object was created"),
    validation = Rule::new("[has(self.spec.schedule), has(self.spec.intervalSeconds)].filter(x, x).size() == 1")
        .message("spec: set exactly one of schedule (a cron expression such as '0 3 * * *') and intervalSeconds")
)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("!has(self.timeZone) || has(self.schedule)")
        .message("spec.timeZone: only a schedule has a time zone; remove it, or use spec.schedule"),
    validation = Rule::new("self.tasks.all(t, self.tasks.exists_one(u, u.name == t.name))")
        .message("spec.tasks: two tasks have one name; give each its own"),
    validation = Rule::new("self.failurePolicy.backoffBaseSeconds <= self.failurePolicy.backoffCapSeconds")
        .message("spec.failurePolicy.backoffBaseSeconds: must not exceed spec.failurePolicy.backoffCapSeconds"),
    validation = Rule::new("!has(self.failurePolicy.actions) || self.failurePolicy.actions.all(a, self.failurePolicy.actions.exists_one(b, a.category == b.category))")
        .message("spec.failurePolicy.actions: names a category twice; give each category one action")
)]
pub struct MaintenanceScheduleSpec {
    /// When runs are due, as cron has it: minute, hour, day of month, month, day of week, for instance "30 2 * * *", or one of @hourly, @daily, @weekly, @monthly, @yearly. Exactly one of schedule and intervalSeconds is set.
    #[schemars(length(min = 6, max = 128))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = Rule::new("self in ['@hourly', '@daily', '@midnight', '@weekly', '@monthly', '@yearly', '@annually'] || self.matches('^ *[^ @]+( +[^ ]+){4} *$')")
        .message("spec.schedule: must have the five fields minute, hour, day of month, month and day of week, for instance '30 2 * * *'"))]
    #[x_kube(validation = Rule::new("!self.contains('TZ=')")
        .message("spec.schedule: must not name a time zone; set spec.timeZone"))]
    pub schedule: Option<String>,
    /// Time zone of the schedule by its IANA name, for instance "Europe/Berlin"; UTC where absent.
    #[schemars(length(min = 1, max = 64), regex(pattern = r"^[A-Za-z0-9_+-]+(/[A-Za-z0-9_+-]+)*$"))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_zone: Option<String>,
    /// Seconds from one run's due time to the next one's; the first is due so long after the object's creation. Exactly one of schedule and intervalSeconds is set.
    #[schemars(range(min = 60, max = 31_536_000))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interval_seconds: Option<i32>,
    /// Starts no runs while true; one that is at work ends first.
    #[serde(default)]
    pub suspend: bool,
    /// What happens to a run that is due while another one is at work: Forbid (it is not started) or Replace (the one at work is stopped).
    #[serde(default)]
    pub concurrency_policy: OverlapPolicy,
    /// Seconds after its due time up to which a run that was missed is still started; without limit where absent. However many were missed, one run is started.
    #[schemars(range(min = 10, max = 31_536_000))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub starting_deadline_seconds: Option<i32>,
    /// Runs without a failed task that are kept, with their Jobs.
    #[schemars(range(min = 1, max = 10))]
    #[serde(default = "three")]
    pub successful_runs_history_limit: i32,
    /// Runs with a failed task that are kept, with their Jobs.
    #[schemars(range(min = 1, max = 10))]
    #[serde(default = "three")]
    pub failed_runs_history_limit: i32,
    /// The store that is maintained.
    #[serde(default)]
    pub store: Store,
    /// The model that health checks probe, and compare with what filled the collections; neither is done where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub embedding: Option<Embedding>,
    /// Collections by name or glob, for instance "docs-*"; all of the store where absent.
    #[schemars(length(max = 64), inner(length(min = 1, max = 200), regex(pattern = r"^[-a-z0-9.*?\[\]{},!]+$")))]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub collections: Vec<String>,
    /// What is done, in this order. A task that fails does not stop those after it.
    #[schemars(length(min = 1, max = 16))]
    pub tasks: Vec<MaintenanceTask>,
    /// What happens to tasks that fail.
    #[serde(default)]
    pub failure_policy: FailurePolicy,
    /// Overrides for the worker pods.
    #[serde(default)]
    pub worker: WorkerOverrides,
}

const fn three() -> i32 {
    3
}
