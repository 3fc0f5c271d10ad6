//! Starts runs of IngestionJobs again, by the annotation that a person would use. Reads and writes the API server.

use kube::{Api, Client, ResourceExt};
use lexigram_api::{
    contract::{RunError, TaskReport, TaskResult},
    failure::FailureCategory,
    resource::{IngestionJob, MaintenanceSchedule},
};
use serde_json::json;

use super::settle::{failed, report};
use crate::{
    controller::{ControllerError, apply, job::plan::has_ended},
    names::RUN,
};

/// Does the task of that name. `request` is what the annotation is given: the same for a run that is done again, so that
/// it starts nothing twice.
pub(super) async fn resync(
    client: &Client,
    object: &MaintenanceSchedule,
    task: &str,
    request: &str,
) -> Result<TaskReport, ControllerError> {
    let namespace = object.namespace().ok_or(ControllerError::Incomplete("namespace"))?;
    let target = object.spec.tasks.iter().find(|known| known.name == task).and_then(|task| task.resync.as_ref());
    let Some(name) = target.map(|target| target.ingestion_job.as_str()) else {
        return Ok(report(task, TaskResult::Skipped, "the task is no longer part of the schedule".to_owned()));
    };
    let jobs: Api<IngestionJob> = Api::namespaced(client.clone(), &namespace);
    let Some(job) = jobs.get_opt(name).await? else {
        let message = format!("there is no IngestionJob '{name}' in this namespace; create it, or remove the task");
        let error =
            RunError { category: FailureCategory::Configuration, reason: "IngestionJobNotFound".to_owned(), message };
        return Ok(failed(task, error));
    };
    if let Some(report) = verdict(&job, task, request) {
        return Ok(report);
    }
    let patch = json!({"metadata": {"resourceVersion": job.resource_version(), "annotations": {RUN: request}}});
    apply::merge(&jobs, name, patch).await?;
    Ok(started(task, name))
}

/// What comes of the task by what the IngestionJob says; nothing where a run is to be started.
fn verdict(job: &IngestionJob, task: &str, request: &str) -> Option<TaskReport> {
    let name = job.name_any();
    let asked = job.annotations().get(RUN);
    if asked.is_some_and(|asked| asked == request) {
        return Some(started(task, &name));
    }
    let met = job.status.as_ref().and_then(|status| status.job.last_run_request.as_ref());
    let skipped = |why: &str| Some(report(task, TaskResult::Skipped, format!("IngestionJob '{name}' {why}")));
    if job.metadata.deletion_timestamp.is_some() {
        return skipped("is being deleted");
    }
    if job.spec.job.suspend {
        return skipped("is suspended");
    }
    if !has_ended(job) || (asked.is_some() && asked != met) {
        return skipped("is at work, and looks through its source anyway");
    }
    None
}

fn started(task: &str, name: &str) -> TaskReport {
    TaskReport {
        items: 1,
        ..report(task, TaskResult::Succeeded, format!("a run of IngestionJob '{name}' was started"))
    }
}
