//! Everything that is known about a job: its runs with their pods, live progress, and what its spec names. All reads.

use futures::future;
use k8s_openapi::api::{batch::v1::Job, core::v1::Pod};
use kube::{Client, ResourceExt};

use super::{
    Context,
    counts::Tally,
    kind::JobKind,
    plan,
    references::{self, Reference},
};
use crate::{
    controller::{
        runs::{Run, RunPhase},
        shards,
    },
    names::{OWNER_UID, RunNumber},
};

/// Label that the Job controller gives to the pods of a Job.
const JOB_NAME: &str = "batch.kubernetes.io/job-name";

/// What was seen.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Observation {
    /// The newest full run and the retries that followed it, in this order.
    pub runs: Vec<Run>,
    /// Retries made so far, those before the newest full run included.
    pub retries: u32,
    /// What stands against a start.
    pub obstacle: Option<Obstacle>,
}

/// What stands against a start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Obstacle {
    /// The spec names something that the namespace lacks.
    Missing(Reference),
    /// It could not be found out whether something is there.
    Unknown {
        /// Reason of the error.
        reason: &'static str,
        /// Its message.
        message: String,
    },
}

impl Observation {
    /// Takes the runs that count: the newest full one and what came after it.
    #[must_use]
    pub fn of(mut runs: Vec<Run>) -> Self {
        let retries = runs.iter().filter_map(|run| match run.number {
            RunNumber::Retry(number) => Some(number),
            RunNumber::Full(_) => None,
        });
        let retries = retries.max().unwrap_or(0);
        runs.sort_by_key(|run| (run.created, run.number));
        let newest = runs.iter().rposition(|run| matches!(run.number, RunNumber::Full(_)));
        // without its full run a retry says nothing about the whole
        let runs = newest.map(|newest| runs.split_off(newest)).unwrap_or_default();
        Self { runs, retries, obstacle: None }
    }

    /// What the runs add up to, by their reports and the live progress of the newest; nothing if the full run has
    /// told nothing yet.
    #[must_use]
    pub fn tally(&self) -> Option<Tally> {
        let told = |run: &Run| run.progress.as_ref().map(Tally::from).or_else(|| run.last_report().map(Tally::from));
        let (full, retries) = self.runs.split_first()?;
        Some(retries.iter().filter_map(told).fold(told(full)?, |sum, retry| sum.then(&retry)))
    }
}

/// Reads everything that the plan for `job` depends on.
pub(super) async fn observe<K: JobKind>(context: &Context<K>, job: &K, namespace: &str) -> Observation {
    let mut seen = Observation::of(runs(context, job, namespace));
    if plan::is_over(job) {
        return seen;
    }
    match seen.runs.last_mut() {
        Some(run) if run.phase == RunPhase::Active => {
            let asked = run.addresses().into_iter().map(async |address| {
                let progress = context.workers.progress(address?).await;
                // an address may have been given to another pod since
                progress.filter(|progress| progress.run == run.job)
            });
            let running = future::join_all(asked).await;
            run.progress = shards::progress(running, &run.ended());
        }
        // only what may be started depends on it
        _ => seen.obstacle = obstacle(&context.shared.client, namespace, job).await,
    }
    seen
}

pub(super) fn runs<K: JobKind>(context: &Context<K>, job: &K, namespace: &str) -> Vec<Run> {
    let uid = job.uid().unwrap_or_default();
    let children: Vec<_> = context.jobs.find(namespace, |child: &Job| child.labels().get(OWNER_UID) == Some(&uid));
    if children.is_empty() {
        return Vec::new();
    }
    let pods = context.pods.find(namespace, |pod: &Pod| pod.labels().get(OWNER_UID) == Some(&uid));
    let pods_of = |name: &str| -> Vec<_> {
        pods.iter().filter(|pod| pod.labels().get(JOB_NAME).is_some_and(|job| job == name)).cloned().collect()
    };
    let alive = children.iter().filter(|child| child.metadata.deletion_timestamp.is_none());
    alive.filter_map(|child| Run::read(child, &pods_of(&child.name_any()))).collect()
}

async fn obstacle<K: JobKind>(client: &Client, namespace: &str, job: &K) -> Option<Obstacle> {
    let all = references::of_options(job.options()).into_iter().chain(job.references());
    for reference in all {
        match references::exists(client, namespace, &reference).await {
            Ok(true) => {}
            Ok(false) => return Some(Obstacle::Missing(reference)),
            Err(error) => return Some(Obstacle::Unknown { reason: error.reason(), message: error.to_string() }),
        }
    }
    None
}
