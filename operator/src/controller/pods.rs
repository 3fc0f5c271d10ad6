//! What the pods of a run say, in our words: waiting and why, running, ended and how. No I/O.

use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{ContainerStateTerminated, ContainerStatus, Pod};
use lexigram_api::contract::{ExitCode, Report};

/// Name of the worker's container.
pub const CONTAINER: &str = "worker";

/// What keeps a worker from running.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// One constant CamelCase word.
    pub reason: &'static str,
    /// What happens, and what to do.
    pub message: String,
    /// Whether something has to change outside before work can go on.
    pub needs_help: bool,
}

/// The newest worker of a run.
#[derive(Clone, Debug, PartialEq)]
pub enum Worker {
    /// There is no pod, or none that has begun.
    Absent,
    /// A pod waits.
    Waiting(Option<Trouble>),
    /// A pod runs; its address, once it has one.
    Running(Option<String>),
    /// The newest pod has ended.
    Ended,
}

/// How a worker ended.
#[derive(Clone, Debug, PartialEq)]
pub struct Ended {
    /// What ended it.
    pub cause: Cause,
    /// Its report, if it left one that can be read.
    pub report: Option<Report>,
}

/// What ended a worker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cause {
    /// The process ended with that exit code.
    Exited(i32),
    /// It was told to stop, by a deletion or a drain, and has kept what it had done.
    Interrupted,
    /// The kernel killed it because it used more memory than its limit.
    OutOfMemory,
    /// The node put it out; the message says why.
    Evicted(String),
    /// The pod failed in another way: its reason and message.
    Other(String),
}

impl Cause {
    /// The cause as one constant CamelCase word.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::Exited(_) => "WorkerFailed",
            Self::Interrupted => "WorkerInterrupted",
            Self::OutOfMemory => "OOMKilled",
            Self::Evicted(_) => "Evicted",
            Self::Other(_) => "PodFailed",
        }
    }

    /// The cause as half a sentence that follows "the worker".
    #[must_use]
    pub fn story(&self) -> String {
        match self {
            Self::Exited(code) => format!("ended with exit code {code}"),
            Self::Interrupted => "was told to stop, and kept what it had done".to_owned(),
            Self::OutOfMemory => {
                "was killed because it used more memory than its limit (OOMKilled); raise spec.worker.resources.limits.memory"
                    .to_owned()
            }
            Self::Evicted(message) => format!("was evicted from its node: {message}"),
            Self::Other(message) => format!("failed: {message}"),
        }
    }
}

/// What all pods of a run say together.
#[derive(Clone, Debug, PartialEq)]
pub struct Workers {
    /// The newest pod.
    pub current: Worker,
    /// The newest pod that has ended.
    pub last_end: Option<Ended>,
}

/// Looks at the pods of one run.
#[must_use]
pub fn survey(pods: &[Arc<Pod>]) -> Workers {
    let mut pods: Vec<&Pod> = pods.iter().map(AsRef::as_ref).collect();
    pods.sort_by_key(|pod| {
        let created = pod.metadata.creation_timestamp.as_ref().map_or(Timestamp::MIN, |time| time.0);
        (created, pod.metadata.name.clone())
    });
    Workers {
        current: pods.last().map_or(Worker::Absent, |pod| current(pod)),
        last_end: pods.iter().rev().find_map(|pod| ended(pod)),
    }
}

fn current(pod: &Pod) -> Worker {
    if ended(pod).is_some() {
        return Worker::Ended;
    }
    let running = container(pod).and_then(|status| status.state.as_ref()).is_some_and(|state| state.running.is_some());
    if running {
        return Worker::Running(pod.status.as_ref().and_then(|status| status.pod_ip.clone()));
    }
    Worker::Waiting(scheduling_trouble(pod).or_else(|| container_trouble(pod)))
}

fn container(pod: &Pod) -> Option<&ContainerStatus> {
    let statuses = pod.status.as_ref()?.container_statuses.as_ref()?;
    statuses.iter().find(|status| status.name == CONTAINER)
}

fn scheduling_trouble(pod: &Pod) -> Option<Trouble> {
    let conditions = pod.status.as_ref()?.conditions.as_ref()?;
    let condition =
        conditions.iter().find(|condition| condition.type_ == "PodScheduled" && condition.status == "False")?;
    (condition.reason.as_deref() == Some("Unschedulable")).then(|| Trouble {
        reason: "Unschedulable",
        message: format!("no node takes the worker: {}", condition.message.as_deref().unwrap_or("no reason given")),
        needs_help: false,
    })
}

fn container_trouble(pod: &Pod) -> Option<Trouble> {
    let status = container(pod)?;
    let waiting = status.state.as_ref()?.waiting.as_ref()?;
    let said = waiting.message.as_deref().unwrap_or("no reason given");
    let (reason, message) = match waiting.reason.as_deref()? {
        "ErrImagePull" | "ImagePullBackOff" | "InvalidImageName" | "ErrImageNeverPull" => {
            ("ImagePullFailed", format!("the worker's image {} cannot be pulled: {said}", status.image))
        }
        "CreateContainerConfigError" | "CreateContainerError" | "RunContainerError" => {
            ("CreateContainerFailed", format!("the worker's container cannot be created: {said}"))
        }
        _ => return None,
    };
    Some(Trouble { reason, message, needs_help: true })
}

fn ended(pod: &Pod) -> Option<Ended> {
    let status = pod.status.as_ref()?;
    let terminated = container(pod).and_then(|container| container.state.as_ref()?.terminated.as_ref());
    let failed = status.phase.as_deref() == Some("Failed");
    if terminated.is_none() && !failed {
        return None;
    }
    let said = |text: &Option<String>| text.clone().unwrap_or_else(|| "no reason given".to_owned());
    let cause = match (status.reason.as_deref(), terminated) {
        (Some("Evicted"), _) => Cause::Evicted(said(&status.message)),
        (_, Some(end)) if end.reason.as_deref() == Some("OOMKilled") => Cause::OutOfMemory,
        (_, Some(end)) if end.exit_code == i32::from(ExitCode::Interrupted.code()) => Cause::Interrupted,
        (_, Some(end)) => Cause::Exited(end.exit_code),
        (Some(reason), None) => Cause::Other(format!("{reason}: {}", said(&status.message))),
        (None, None) => Cause::Other(said(&status.message)),
    };
    Some(Ended { cause, report: terminated.and_then(report) })
}

fn report(end: &ContainerStateTerminated) -> Option<Report> {
    serde_json::from_str(end.message.as_deref()?).ok()
}
