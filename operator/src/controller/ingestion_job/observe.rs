//! Everything that is known about a job: its runs with their pods, live progress, and what its spec names. All reads.

use std::fmt;

use k8s_openapi::api::{
    batch::v1::Job,
    core::v1::{ConfigMap, PersistentVolumeClaim, Pod, Secret},
};
use kube::{Api, Client, ResourceExt};
use lexigram_api::resource::{IngestionJob, Source};

use super::{Context, counts::Tally, plan};
use crate::{
    controller::{
        ControllerError, apply,
        pods::Worker,
        runs::{Run, RunPhase},
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
    Missing(Missing),
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

/// Something that the spec names and the namespace lacks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missing {
    /// What kind of thing.
    pub kind: ReferenceKind,
    /// Its name.
    pub name: String,
}

/// What a spec can name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReferenceKind {
    /// `spec.source.configMap`.
    ConfigMap,
    /// `spec.source.persistentVolumeClaim`.
    Claim,
    /// `spec.source.http.headersSecretRef`.
    Secret,
}

impl Missing {
    /// The lack in one constant word.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        match self.kind {
            ReferenceKind::ConfigMap => "ConfigMapNotFound",
            ReferenceKind::Claim => "PersistentVolumeClaimNotFound",
            ReferenceKind::Secret => "SecretNotFound",
        }
    }
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (field, kind) = match self.kind {
            ReferenceKind::ConfigMap => ("spec.source.configMap.name", "ConfigMap"),
            ReferenceKind::Claim => ("spec.source.persistentVolumeClaim.claimName", "PersistentVolumeClaim"),
            ReferenceKind::Secret => ("spec.source.http.headersSecretRef.name", "Secret"),
        };
        write!(
            f,
            "{field}: there is no {kind} '{}' in this namespace; create it, and the job starts by itself",
            self.name
        )
    }
}

/// Reads everything that the plan for `job` depends on.
pub(super) async fn observe(context: &Context, job: &IngestionJob, namespace: &str) -> Observation {
    let mut seen = Observation::of(runs(context, job, namespace));
    if plan::is_over(job) {
        return seen;
    }
    match seen.runs.last_mut() {
        Some(run) if run.phase == RunPhase::Active => {
            if let Worker::Running(Some(address)) = &run.workers.current {
                let progress = context.workers.progress(address).await;
                // an address may have been given to another pod since
                run.progress = progress.filter(|progress| progress.run == run.job);
            }
        }
        // only what may be started depends on it
        _ => seen.obstacle = obstacle(&context.shared.client, namespace, &job.spec.source).await,
    }
    seen
}

pub(super) fn runs(context: &Context, job: &IngestionJob, namespace: &str) -> Vec<Run> {
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

async fn obstacle(client: &Client, namespace: &str, source: &Source) -> Option<Obstacle> {
    match missing(client, namespace, source).await {
        Ok(missing) => missing.map(Obstacle::Missing),
        Err(error) => Some(Obstacle::Unknown { reason: error.reason(), message: error.to_string() }),
    }
}

/// The first thing that the source names and the namespace lacks. Reads metadata only, never what a Secret holds.
async fn missing(client: &Client, namespace: &str, source: &Source) -> Result<Option<Missing>, ControllerError> {
    if let Some(map) = &source.config_map {
        let found = apply::exists(&Api::<ConfigMap>::namespaced(client.clone(), namespace), &map.name).await?;
        return Ok((!found).then(|| Missing { kind: ReferenceKind::ConfigMap, name: map.name.clone() }));
    }
    if let Some(claim) = &source.persistent_volume_claim {
        let name = &claim.claim_name;
        let found = apply::exists(&Api::<PersistentVolumeClaim>::namespaced(client.clone(), namespace), name).await?;
        return Ok((!found).then(|| Missing { kind: ReferenceKind::Claim, name: name.clone() }));
    }
    if let Some(secret) = source.http.as_ref().and_then(|http| http.headers_secret_ref.as_ref()) {
        let found = apply::exists(&Api::<Secret>::namespaced(client.clone(), namespace), &secret.name).await?;
        return Ok((!found).then(|| Missing { kind: ReferenceKind::Secret, name: secret.name.clone() }));
    }
    Ok(None)
}
