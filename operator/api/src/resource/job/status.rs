//! The part of a status that every kind of job has: a projection of what was observed, never an input. No I/O.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use super::{dead_letters::DeadLetterStatus, runs::RunRecord};

/// One word for a person; conditions are what programs read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[schemars(inline)]
pub enum State {
    /// Waits for a free place.
    Queued,
    /// A run was started; its worker does not report yet.
    Starting,
    /// Documents or texts are being worked through.
    Running,
    /// The run has ended; what failed waits for its retry.
    Recovering,
    /// Nothing runs because spec.suspend or the operator's configuration says so.
    Suspended,
    /// Something has to change outside: a missing Secret, a refused key, an invalid field.
    Stalled,
    /// Every document or text is done or archived.
    Complete,
    /// The job as a whole failed.
    Failed,
}

impl State {
    /// The word as it stands in status.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "Queued",
            Self::Starting => "Starting",
            Self::Running => "Running",
            Self::Recovering => "Recovering",
            Self::Suspended => "Suspended",
            Self::Stalled => "Stalled",
            Self::Complete => "Complete",
            Self::Failed => "Failed",
        }
    }
}

/// What the operator last saw of a job.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct JobStatus {
    /// Generation of the spec that this status speaks of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// One word for a person: Queued, Starting, Running, Recovering, Suspended, Stalled, Complete or Failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "State")]
    pub state: Option<State>,
    /// Complete, Failed, Suspended, Reconciling and Stalled; RequestAccepted where an annotation asks for another run, a retry or archiving; Notified where the operator's webhook is told.
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    #[schemars(length(max = 8))]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
    /// Documents or texts processed of all of the run, for instance "37/120".
    #[schemars(length(max = 32))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub progress: Option<String>,
    /// Tokens embedded by the run; vectors that the cache held cost none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens: Option<i64>,
    /// Place in the queue, from 1; absent when not queued.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queue_position: Option<i32>,
    /// When the first run started; where the annotation workers.lexigram.dev/run has asked for another one, when that did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_time: Option<Time>,
    /// When the job became complete or failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub completion_time: Option<Time>,
    /// Time from startTime to completion, or until the last change, for instance "3m12s".
    #[schemars(length(max = 32))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration: Option<String>,
    /// When a worker last made a step.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_heartbeat_time: Option<Time>,
    /// When the run will be through, at the pace so far.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub estimated_completion_time: Option<Time>,
    /// Name of the newest run: the Kubernetes Job that this status speaks of.
    #[schemars(length(max = 63))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latest_run: Option<String>,
    /// The newest full runs, newest first; retries are counted with the run that they belong to.
    #[schemars(length(max = 5))]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub runs: Vec<RunRecord>,
    /// The last value of the annotation workers.lexigram.dev/run that was acted on.
    #[schemars(length(max = 64))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_run_request: Option<String>,
    /// What failed, and what is done about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dead_letters: Option<DeadLetterStatus>,
}
