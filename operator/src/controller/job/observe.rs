//! Everything that is known about a job: its runs with their pods, live progress, and what its spec names. All reads.

use futures::future;
use k8s_openapi::api::{batch::v1::Job, core::v1::Pod};
use kube::ResourceExt;

use super::{
    Context,
    counts::Tally,
    history,
    kind::{JobKind, status_of},
    plan,
    recovery::request::Request,
    references::{self, Obstacle},
};
use crate::{
    controller::{
        runs::{Run, RunPhase},
        shards,
    },
    names::{OWNER_UID, RunNumber},
};

/// Label that the Job controller gives to the pods of a Job.
pub const JOB_NAME: &str = "batch.kubernetes.io/job-name";

/// What was seen.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Observation {
    /// Runs before those that count, oldest first.
    pub earlier: Vec<Run>,
    /// The newest full run and the retries that followed it, in this order.
    pub runs: Vec<Run>,
    /// Runs that have ended by what status says: their numbers are not given again, even if their Jobs have gone.
    pub told: Vec<RunNumber>,
    /// What stands against a start.
    pub obstacle: Option<Obstacle>,
    /// A digest of what the spec names, where that was looked at.
    pub references: Option<String>,
}

impl Observation {
    /// Takes the runs that count: the newest full one and what came after it.
    #[must_use]
    pub fn of(mut runs: Vec<Run>) -> Self {
        runs.sort_by_key(|run| (run.created, run.number));
        let newest = runs.iter().rposition(|run| matches!(run.number, RunNumber::Full(_)));
        // without its full run a retry says nothing about the whole
        let counting = newest.map(|newest| runs.split_off(newest)).unwrap_or_default();
        Self { earlier: runs, runs: counting, ..Default::default() }
    }

    /// Every run that there is, oldest first.
    pub fn all(&self) -> impl DoubleEndedIterator<Item = &Run> {
        self.earlier.iter().chain(&self.runs)
    }

    /// The run that tells what is to be done. A retry whose full run has gone says nothing about the whole, but it is
    /// waited for.
    #[must_use]
    pub fn current(&self) -> Option<&Run> {
        let at_work = |run: &&Run| matches!(run.phase, RunPhase::Active | RunPhase::Suspended { .. });
        self.runs.last().or_else(|| self.earlier.iter().rfind(at_work))
    }

    /// The number after that of any full run.
    #[must_use]
    pub fn next_full(&self) -> RunNumber {
        RunNumber::Full(self.numbers().filter_map(RunNumber::full).max().unwrap_or(0) + 1)
    }

    /// The number after that of any retry.
    #[must_use]
    pub fn next_retry(&self) -> RunNumber {
        RunNumber::Retry(self.numbers().filter_map(RunNumber::retry).max().unwrap_or(0) + 1)
    }

    fn numbers(&self) -> impl Iterator<Item = RunNumber> {
        self.all().map(|run| run.number).chain(self.told.iter().copied())
    }

    /// The runs since a person last asked for one, newest first. A run that is made again carries the same request.
    pub fn since_asked(&self) -> impl Iterator<Item = &Run> {
        let mut asked: Option<&Request> = None;
        self.all().rev().take_while(move |run| {
            let same = asked.is_none_or(|asked| run.request.as_ref() == Some(asked));
            asked = asked.or(run.request.as_ref());
            same
        })
    }

    /// Runs that have failed since the last one that came to its end, and since a person last asked for one.
    #[must_use]
    pub fn failed_in_a_row(&self) -> u32 {
        let failed = |run: &&Run| matches!(run.phase, RunPhase::Failed { .. });
        u32::try_from(self.since_asked().take_while(failed).count()).unwrap_or(u32::MAX)
    }

    /// Runs in which memory ran out, those among them whose Jobs have gone.
    #[must_use]
    pub fn exhausted(&self) -> u32 {
        self.all().fold(0, |before, run| before.max(run.exhausted_before) + u32::from(run.is_exhausted()))
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
    seen.told = status_of(job).map(history::ended).unwrap_or_default();
    if plan::is_over(job, &seen) && !plan::may_come_back(job, &seen) {
        return seen;
    }
    match seen.runs.last_mut() {
        Some(run) if run.phase == RunPhase::Active => {
            let asked = run.addresses().into_iter().map(async |address| {
                let progress = context.workers.progress(address?).await;
                // an address may have been given to another pod since
                progress.filter(|progress| progress.run == run.ledger_run)
            });
            let running = future::join_all(asked).await;
            run.progress = shards::progress(running, &run.ended());
        }
        // only what may be started depends on it
        _ => {
            let named = references::of_options(job.options()).into_iter().chain(job.references());
            match references::look(&context.shared.client, namespace, named).await {
                Ok(digest) => seen.references = digest,
                Err(obstacle) => seen.obstacle = Some(obstacle),
            }
        }
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
