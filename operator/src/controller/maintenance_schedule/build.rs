//! What a schedule needs in the cluster: work spec, ConfigMap, Job, CronJob. Pure builders, no I/O.

use std::collections::BTreeMap;

use k8s_openapi::{
    api::{
        batch::v1::{CronJob, CronJobSpec, Job, JobTemplateSpec},
        core::v1::ConfigMap,
    },
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use lexigram_api::{
    contract::{CONTRACT_VERSION, MaintainTask, MaintenanceStep, MaintenanceWork, Task, WorkSpec},
    maintenance::TaskType,
    resource::{MaintenanceSchedule, MaintenanceTask, OverlapPolicy},
};

use super::{
    name::{config_map_name, cron_job_name, work_spec_run},
    plan::Start,
    runs::TaskName,
};
use crate::{
    controller::{
        job::{build, provider, store},
        worker_pod::{self, Owner, Work},
    },
    names::{DIGEST, RUN, TASKS, short_hash},
    settings::Settings,
};

/// Seconds that a run may be active beyond what its tasks may take: for a place on a node, for the image.
const START_SECONDS: i32 = 900;
/// Bytes of the digests in names and annotations.
const DIGEST_BYTES: usize = 5;

/// A run's work spec in its ConfigMap, and the Job that follows it.
#[derive(Clone, Debug, PartialEq)]
pub struct Built {
    /// The work spec; runs of the same tasks share it.
    pub config_map: ConfigMap,
    /// The Job.
    pub job: Job,
}

/// The work spec of the runs of a CronJob, and that.
#[derive(Clone, Debug, PartialEq)]
pub struct BuiltCron {
    /// The work spec.
    pub config_map: ConfigMap,
    /// The CronJob.
    pub cron_job: CronJob,
}

/// The run that the operator starts.
///
/// # Errors
/// Only if the JSON serialiser fails, which the types give it no cause for.
pub fn run(
    object: &MaintenanceSchedule,
    owner: &Owner,
    start: &Start,
    settings: &Settings,
) -> Result<Built, serde_json::Error> {
    let tasks = object.spec.tasks.iter().filter(|task| start.tasks.contains(&task.name));
    let mut built = build(object, owner, &start.name.job_name(&owner.name), &tasks.collect::<Vec<_>>(), settings)?;
    let annotations = built.job.metadata.annotations.get_or_insert_default();
    annotations.extend(start.asked.iter().map(|value| (RUN.to_owned(), value.clone())));
    Ok(built)
}

/// The CronJob of a schedule by cron, with a digest of its spec, and the work spec of its runs; nothing for an interval.
///
/// # Errors
/// Only if the JSON serialiser fails, which the types give it no cause for.
pub fn cron(
    object: &MaintenanceSchedule,
    owner: &Owner,
    settings: &Settings,
) -> Result<Option<BuiltCron>, serde_json::Error> {
    let spec = &object.spec;
    let Some(schedule) = &spec.schedule else { return Ok(None) };
    let name = cron_job_name(&owner.name);
    let Built { config_map, job } = build(object, owner, &name, &spec.tasks.iter().collect::<Vec<_>>(), settings)?;
    let Job { metadata, spec: job_spec, .. } = job;
    // the operator removes old runs by what came of them; this is for the time when it is away
    let kept = spec.successful_runs_history_limit + spec.failed_runs_history_limit;
    let cron_spec = CronJobSpec {
        schedule: schedule.clone(),
        time_zone: Some(spec.time_zone.clone().unwrap_or_else(|| "Etc/UTC".to_owned())),
        concurrency_policy: Some(
            match spec.concurrency_policy {
                OverlapPolicy::Forbid => "Forbid",
                OverlapPolicy::Replace => "Replace",
            }
            .to_owned(),
        ),
        starting_deadline_seconds: spec.starting_deadline_seconds.map(i64::from),
        successful_jobs_history_limit: Some(kept),
        failed_jobs_history_limit: Some(kept),
        suspend: Some(false),
        job_template: JobTemplateSpec {
            metadata: Some(ObjectMeta {
                labels: metadata.labels,
                annotations: metadata.annotations,
                ..Default::default()
            }),
            spec: job_spec,
        },
    };
    let mut metadata = owner.metadata(&name);
    let digest = short_hash(&serde_json::to_string(&cron_spec)?, DIGEST_BYTES);
    metadata.annotations.get_or_insert_default().insert(DIGEST.to_owned(), digest);
    Ok(Some(BuiltCron { config_map, cron_job: CronJob { metadata, spec: Some(cron_spec), status: None } }))
}

fn build(
    object: &MaintenanceSchedule,
    owner: &Owner,
    job_name: &str,
    tasks: &[&MaintenanceTask],
    settings: &Settings,
) -> Result<Built, serde_json::Error> {
    let spec = &object.spec;
    let work_spec = WorkSpec {
        contract_version: CONTRACT_VERSION.to_owned(),
        run: work_spec_run(&owner.name, &owner.uid),
        task: Task::Maintain(Box::new(MaintainTask {
            store: store::root(&spec.store),
            collections: spec.collections.clone(),
            embedding: spec.embedding.as_ref().map(|embedding| provider::embedding(embedding, 1)),
            tasks: tasks.iter().filter_map(|task| step(task)).collect(),
            rules: spec.failure_policy.rules.clone(),
        })),
    };
    let digest = short_hash(&serde_json::to_string(&work_spec)?, DIGEST_BYTES);
    let config_map_name = config_map_name(&owner.name, &digest);
    let mut mounts = spec.embedding.as_ref().map(provider::mounts).unwrap_or_default();
    mounts.extend(store::mounts(&spec.store));
    let seconds = tasks.iter().fold(START_SECONDS, |sum, task| sum.saturating_add(task.timeout_seconds));
    let work = Work {
        name: job_name,
        work_spec: &config_map_name,
        overrides: &spec.worker,
        resources: spec.worker.resources.clone().unwrap_or_else(|| settings.worker_resources.clone()),
        store: spec.store.embedded.is_some(),
        mounts,
        shards: 1,
        deadline_seconds: Some(seconds),
        queue_name: None,
        // runs of a CronJob begin without the operator
        traceparent: None,
    };
    let mut job = worker_pod::job(owner, &work, settings);
    let annotations: &mut BTreeMap<_, _> = job.metadata.annotations.get_or_insert_default();
    let names = tasks.iter().map(|task| TaskName { name: task.name.clone(), task_type: task.task_type });
    annotations.insert(TASKS.to_owned(), serde_json::to_string(&names.collect::<Vec<_>>())?);
    Ok(Built { config_map: build::config_map(owner, &config_map_name, &work_spec)?, job })
}

/// What the worker is told of a task; nothing of those that are the operator's own.
fn step(task: &MaintenanceTask) -> Option<MaintenanceStep> {
    let work = match task.task_type {
        TaskType::IndexOptimization => {
            MaintenanceWork::IndexOptimization(task.index_optimization.clone().unwrap_or_default())
        }
        TaskType::CacheCleanup => MaintenanceWork::CacheCleanup(task.cache_cleanup.clone().unwrap_or_default()),
        TaskType::ArchiveCleanup => MaintenanceWork::ArchiveCleanup(task.archive_cleanup.clone().unwrap_or_default()),
        TaskType::OrphanCleanup => MaintenanceWork::OrphanCleanup(task.orphan_cleanup.clone().unwrap_or_default()),
        TaskType::HealthCheck => MaintenanceWork::HealthCheck(task.health_check.clone().unwrap_or_default()),
        TaskType::Resync => return None,
    };
    Some(MaintenanceStep { name: task.name.clone(), timeout_seconds: task.timeout_seconds, work })
}
