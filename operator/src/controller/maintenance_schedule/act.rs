//! Carries a plan out: what stops, what is written down, what is started, what goes. Writes to the API server.

use k8s_openapi::api::{
    batch::v1::{CronJob, Job},
    core::v1::ConfigMap,
};
use kube::{Api, ResourceExt};
use lexigram_api::resource::MaintenanceSchedule;

use super::{
    Context, KIND,
    build::{self, BuiltCron},
    name::cron_job_name,
    observe::Observation,
    plan::{Cron, Plan, Start},
    resync,
    settle::Settle,
};
use crate::{
    controller::{ControllerError, apply, job::act::claim, worker_pod::Owner},
    names::OUTCOME,
};

/// Makes in the cluster what the plan says.
pub(super) async fn act(
    context: &Context,
    object: &MaintenanceSchedule,
    owner: &Owner,
    seen: &Observation,
    wanted: Option<BuiltCron>,
    plan: &Plan,
) -> Result<(), ControllerError> {
    let jobs: Api<Job> = Api::namespaced(context.shared.client.clone(), &owner.namespace);
    cron(context, object, owner, seen, wanted, plan.cron).await?;
    for job in &plan.stop {
        apply::stop(&jobs, job).await?;
    }
    for settle in &plan.settle {
        write_down(context, object, seen, &jobs, settle).await?;
    }
    if let Some(wanted) = &plan.start {
        start(context, object, owner, wanted).await?;
    }
    for job in &plan.remove {
        apply::delete(&jobs, job, None).await?;
    }
    Ok(())
}

async fn cron(
    context: &Context,
    object: &MaintenanceSchedule,
    owner: &Owner,
    seen: &Observation,
    wanted: Option<BuiltCron>,
    plan: Cron,
) -> Result<(), ControllerError> {
    let client = &context.shared.client;
    let crons: Api<CronJob> = Api::namespaced(client.clone(), &owner.namespace);
    let name = cron_job_name(&owner.name);
    match plan {
        Cron::Suspend => return apply::set_suspend(&crons, &name, true).await,
        Cron::Delete => return apply::delete(&crons, &name, None).await,
        Cron::Keep if seen.cron.as_ref().is_none_or(|cron| cron.suspended) => return Ok(()),
        Cron::Keep | Cron::Create | Cron::Update => {}
    }
    let Some(BuiltCron { config_map, mut cron_job }) = wanted else { return Ok(()) };
    // also beside a CronJob that is as it should be: its runs need it
    prepare(context, object, owner, &config_map).await?;
    match plan {
        Cron::Create => apply::create(client, &cron_job, &owner.uid).await.map(|_| ()),
        Cron::Update => {
            cron_job.metadata.resource_version = seen.cron.as_ref().and_then(|cron| cron.resource_version.clone());
            apply::replace(&crons, &cron_job).await
        }
        Cron::Keep | Cron::Suspend | Cron::Delete => Ok(()),
    }
}

async fn start(
    context: &Context,
    object: &MaintenanceSchedule,
    owner: &Owner,
    start: &Start,
) -> Result<(), ControllerError> {
    let client = &context.shared.client;
    let built = build::run(object, owner, start, &context.shared.settings)?;
    prepare(context, object, owner, &built.config_map).await?;
    apply::create(client, &built.job, &owner.uid).await?;
    context.begun.note(&owner.uid, built.job.name_any());
    Ok(())
}

/// Makes what a run needs: the claim of its store, and its work spec.
async fn prepare(
    context: &Context,
    object: &MaintenanceSchedule,
    owner: &Owner,
    config_map: &ConfigMap,
) -> Result<(), ControllerError> {
    let client = &context.shared.client;
    if object.spec.store.embedded.is_some() {
        claim(client, &owner.namespace, &context.shared.settings).await?;
    }
    let maps: Api<ConfigMap> = Api::namespaced(client.clone(), &owner.namespace);
    if !apply::exists(&maps, &config_map.name_any()).await? {
        apply::create(client, config_map, &owner.uid).await?;
    }
    Ok(())
}

/// Does the operator's own tasks of a run that has ended, and writes down on its Job what came of it.
async fn write_down(
    context: &Context,
    object: &MaintenanceSchedule,
    seen: &Observation,
    jobs: &Api<Job>,
    settle: &Settle,
) -> Result<(), ControllerError> {
    let Some(run) = seen.runs.iter().find(|run| run.job == settle.job) else { return Ok(()) };
    let request = run.name.time().to_string();
    let mut outcome = settle.outcome.clone();
    for task in &settle.resyncs {
        outcome.tasks.push(resync::resync(&context.shared.client, object, task, &request).await?);
    }
    // in the order in which they are listed
    outcome.tasks.sort_by_key(|report| run.tasks.iter().position(|task| task.name == report.name));
    apply::annotate(jobs, &settle.job, OUTCOME, &serde_json::to_string(&outcome)?).await?;
    context.shared.metrics.run_ended(KIND, &run.ended(&outcome));
    for report in &outcome.tasks {
        if let Some(task) = run.tasks.iter().find(|task| task.name == report.name) {
            context.shared.metrics.task_ended(task.task_type.as_str(), report);
        }
    }
    Ok(())
}
