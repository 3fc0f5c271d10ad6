//! What the pods of a run say, in our words: waiting and why, running, ended and how. No I/O.

use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{ContainerStateTerminated, ContainerStatus, Pod};
use lexigram_api::contract::{ProviderRequests, Report};

use super::outcome::{Cause, Hindrance};

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
    /// When its container ended, if it had begun.
    pub at: Option<Timestamp>,
    /// Its report, if it left one that can be read.
    pub report: Option<Report>,
}

impl Ended {
    fn of_run(mut self, run: &str) -> Self {
        // a worker that could not read its work spec does not know its name
        self.report = self.report.filter(|report| report.run.is_empty() || report.run == run);
        self
    }
}

/// What all pods of a run say together.
#[derive(Clone, Debug, PartialEq)]
pub struct Workers {
    /// The newest pod.
    pub current: Worker,
    /// The newest pod that has ended.
    pub last_end: Option<Ended>,
    /// Whether any of them ran out of memory.
    pub out_of_memory: bool,
    /// How those that have ended asked their embedding server, all together.
    pub provider: ProviderRequests,
}

/// Looks at the pods of one run, which the ledger knows by the name `run`: a report of another run counts for nothing.
#[must_use]
pub fn survey(pods: &[Arc<Pod>], run: &str) -> Workers {
    let mut pods: Vec<&Pod> = pods.iter().map(AsRef::as_ref).collect();
    pods.sort_by_key(|pod| {
        let created = pod.metadata.creation_timestamp.as_ref().map_or(Timestamp::MIN, |time| time.0);
        (created, pod.metadata.name.clone())
    });
    let ends: Vec<Ended> = pods.iter().filter_map(|pod| ended(pod)).map(|end| end.of_run(run)).collect();
    let mut provider = ProviderRequests::default();
    for requests in ends.iter().filter_map(|end| end.report.as_ref()?.provider.as_ref()) {
        provider += requests;
    }
    Workers {
        current: pods.last().map_or(Worker::Absent, |pod| current(pod)),
        out_of_memory: ends.iter().any(|end| end.cause == Cause::OutOfMemory),
        last_end: ends.into_iter().next_back(),
        provider,
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
    (condition.reason.as_deref() == Some("Unschedulable")).then(|| {
        let said = condition.message.as_deref().unwrap_or("no reason given");
        Hindrance::Unschedulable.trouble(format!("no node takes the worker: {said}"))
    })
}

fn container_trouble(pod: &Pod) -> Option<Trouble> {
    let status = container(pod)?;
    let waiting = status.state.as_ref()?.waiting.as_ref()?;
    let said = waiting.message.as_deref().unwrap_or("no reason given");
    let hindrance = Hindrance::of_waiting(waiting.reason.as_deref()?)?;
    Some(hindrance.trouble(match hindrance {
        Hindrance::ImagePull => format!("the worker's image {} cannot be pulled: {said}", status.image),
        Hindrance::CreateContainer | Hindrance::Unschedulable => {
            format!("the worker's container cannot be created: {said}")
        }
    }))
}

fn ended(pod: &Pod) -> Option<Ended> {
    let status = pod.status.as_ref()?;
    let terminated = container(pod).and_then(|container| container.state.as_ref()?.terminated.as_ref());
    let failed = status.phase.as_deref() == Some("Failed");
    if terminated.is_none() && !failed {
        return None;
    }
    let disruption = status
        .conditions
        .iter()
        .flatten()
        .find(|condition| condition.type_ == "DisruptionTarget" && condition.status == "True");
    let message = disruption.and_then(|condition| condition.message.clone()).or_else(|| status.message.clone());
    let cause = Cause::of(
        status.reason.as_deref(),
        disruption.and_then(|condition| condition.reason.as_deref()),
        terminated.map(|end| (end.exit_code, end.reason.as_deref())),
        message.unwrap_or_else(|| "no reason given".to_owned()),
    );
    let at = terminated.and_then(|end| Some(end.finished_at.as_ref()?.0));
    Some(Ended { cause, at, report: terminated.and_then(report) })
}

/// Whoever wrote it: one with a fault counts for nothing, since its words would stand in a status.
fn report(end: &ContainerStateTerminated) -> Option<Report> {
    let report: Report = serde_json::from_str(end.message.as_deref()?).ok()?;
    report.faults().is_empty().then_some(report)
}
