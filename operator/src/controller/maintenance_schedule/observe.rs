//! Everything that is known about a schedule: its Jobs with their pods, its CronJob, and what its spec names. All reads.

use jiff::Timestamp;
use k8s_openapi::api::{
    batch::v1::{CronJob, Job},
    core::v1::Pod,
};
use kube::ResourceExt;
use lexigram_api::resource::MaintenanceSchedule;

use super::{Context, name, runs::Run};
use crate::{
    controller::{
        job::{
            observe::JOB_NAME,
            references::{self, Obstacle},
        },
        worker_pod::Owner,
    },
    names::{DIGEST, OWNER_UID},
};

/// What was seen.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Observation {
    /// Its runs, in the order in which they were started.
    pub runs: Vec<Run>,
    /// Jobs that are being deleted, and one that was created and is not in the cache yet: their pods may be at work.
    pub in_transit: Vec<String>,
    /// Its CronJob.
    pub cron: Option<CronSeen>,
    /// What stands against a run.
    pub obstacle: Option<Obstacle>,
}

/// A CronJob as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CronSeen {
    /// Whether it is suspended.
    pub suspended: bool,
    /// The digest of what it was made from.
    pub digest: Option<String>,
    /// Which version of it is there.
    pub resource_version: Option<String>,
}

/// Reads everything that the plan for `object` depends on.
pub(super) async fn observe(
    context: &Context,
    object: &MaintenanceSchedule,
    owner: &Owner,
    now: Timestamp,
) -> Observation {
    let mut seen = of_caches(context, owner, now);
    let named = references::of_store(&object.spec.store).into_iter();
    let named = named.chain(object.spec.embedding.iter().flat_map(references::of_embedding));
    seen.obstacle = references::look(&context.shared.client, &owner.namespace, named).await.err();
    seen
}

fn of_caches(context: &Context, owner: &Owner, now: Timestamp) -> Observation {
    let ours = |labels: &std::collections::BTreeMap<String, String>| labels.get(OWNER_UID) == Some(&owner.uid);
    let jobs = context.jobs.find(&owner.namespace, |job: &Job| ours(job.labels()));
    let pods = context.pods.find(&owner.namespace, |pod: &Pod| ours(pod.labels()));
    let cron_name = name::cron_job_name(&owner.name);
    let cron =
        context.crons.find(&owner.namespace, |cron: &CronJob| ours(cron.labels()) && cron.name_any() == cron_name);
    let work_spec_run = name::work_spec_run(&owner.name, &owner.uid);
    let (stopping, alive): (Vec<_>, Vec<_>) = jobs.iter().partition(|job| job.metadata.deletion_timestamp.is_some());
    let mut runs: Vec<Run> = alive
        .iter()
        .filter_map(|job| {
            let of_job = |pod: &&std::sync::Arc<Pod>| pod.labels().get(JOB_NAME) == Some(&job.name_any());
            let pods: Vec<_> = pods.iter().filter(of_job).cloned().collect();
            Run::read(job, &pods, &work_spec_run, now)
        })
        .collect();
    runs.sort_by_key(|run| (run.created, run.name));
    let mut in_transit: Vec<String> = stopping.iter().map(|job| job.name_any()).collect();
    in_transit.extend(context.begun.unseen(&owner.uid, |name| jobs.iter().any(|job| job.name_any() == name)));
    Observation {
        runs,
        in_transit,
        cron: cron.first().map(|cron| CronSeen {
            suspended: cron.spec.as_ref().and_then(|spec| spec.suspend) == Some(true),
            digest: cron.annotations().get(DIGEST).cloned(),
            resource_version: cron.resource_version(),
        }),
        ..Default::default()
    }
}
