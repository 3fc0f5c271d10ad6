//! A schedule and its Jobs, as the API server would send them.

use std::sync::Arc;

use k8s_openapi::api::{batch::v1::Job, core::v1::Pod};
use lexigram_api::{
    contract::{CheckReport, Report, RunError, TaskReport, TaskResult},
    failure::FailureCategory,
    maintenance::HealthCheckName,
    resource::MaintenanceSchedule,
};
use serde_json::{Value, json};

use crate::controller::{
    job::tests::fixtures::{active, at, kube_job, pod, report},
    maintenance_schedule::{
        name::{RunName, work_spec_run},
        observe::Observation,
        runs::{Outcome, Run},
        settle::failed,
    },
};

/// Seconds between two runs of the schedule.
pub(in crate::controller) const INTERVAL: i64 = 600;

/// The schedule `docs/handbook`, every ten minutes, with these fields of its spec; null takes one away.
pub(in crate::controller) fn schedule(spec: Value) -> MaintenanceSchedule {
    let mut fields = json!({
        "intervalSeconds": INTERVAL,
        "tasks": [
            {"name": "health", "type": "HealthCheck"},
            {"name": "cache", "type": "CacheCleanup"},
            {"name": "again", "type": "Resync", "resync": {"ingestionJob": "guides"}},
        ],
    });
    fields.as_object_mut().unwrap().extend(spec.as_object().unwrap().clone());
    fields.as_object_mut().unwrap().retain(|_, value| !value.is_null());
    serde_json::from_value(json!({
        "apiVersion": "workers.lexigram.dev/v1alpha1",
        "kind": "MaintenanceSchedule",
        "metadata": {
            "name": "handbook",
            "namespace": "docs",
            "uid": "11111111-2222-3333-4444-555555555555",
            "generation": 1,
            "resourceVersion": "7",
            "creationTimestamp": at(0).to_string(),
        },
        "spec": fields,
    }))
    .unwrap()
}

/// As [`schedule`], with this value of the annotation that asks for a run.
pub(in crate::controller) fn asked(spec: Value, value: &str) -> MaintenanceSchedule {
    let mut object = schedule(spec);
    let annotations = object.metadata.annotations.get_or_insert_default();
    annotations.insert("workers.lexigram.dev/run".to_owned(), value.to_owned());
    object
}

pub(in crate::controller) fn interval(second: i64) -> RunName {
    RunName::Interval(at(second))
}

/// A Job of that run; `status` as the Job controller writes it.
pub(in crate::controller) fn job(name: RunName, status: Value) -> Job {
    let created = name.time().as_second() - at(0).as_second();
    let mut job = kube_job(&name.job_name("handbook"), created, false, status);
    let tasks = json!([
        {"name": "health", "type": "HealthCheck"},
        {"name": "cache", "type": "CacheCleanup"},
        {"name": "again", "type": "Resync"},
    ]);
    annotate(&mut job, "tasks", &tasks.to_string());
    job
}

pub(in crate::controller) fn annotate(job: &mut Job, key: &str, value: &str) {
    let annotations = job.metadata.annotations.get_or_insert_default();
    annotations.insert(format!("workers.lexigram.dev/{key}"), value.to_owned());
}

/// What is read of a Job and its pods, a while after it ended.
pub(in crate::controller) fn read(job: &Job, pods: &[Arc<Pod>]) -> Run {
    Run::read(job, pods, &work_spec_run("handbook", "11111111-2222-3333-4444-555555555555"), at(1_000_000)).unwrap()
}

pub(in crate::controller) fn running(name: RunName) -> Run {
    read(&job(name, active()), &[])
}

/// The Job controller's word that a Job has ended, this many seconds after the object's creation.
pub(in crate::controller) fn complete(second: i64) -> Value {
    let condition = json!({"type": "Complete", "status": "True", "lastTransitionTime": at(second).to_string()});
    json!({"startTime": at(second - 5).to_string(), "conditions": [condition]})
}

/// The pod of a run that has ended well, with what its worker reported of its tasks.
pub(in crate::controller) fn reported(name: RunName, maintenance: Vec<TaskReport>) -> Arc<Pod> {
    let run = work_spec_run("handbook", "11111111-2222-3333-4444-555555555555");
    let report = Report { run, maintenance, ..report("handbook-r1", 0, [0, 0, 0]) };
    let message = report.to_termination_message().unwrap();
    pod(&name.job_name("handbook"), 6, "Succeeded", json!({"terminated": {"exitCode": 0, "message": message}}))
}

/// A run that ended five seconds after it was due, and of which that is written down.
pub(in crate::controller) fn settled(name: RunName, tasks: Vec<TaskReport>) -> Run {
    let end = name.time().as_second() - at(0).as_second() + 5;
    let mut job = job(name, complete(end));
    annotate(&mut job, "outcome", &serde_json::to_string(&Outcome { tasks, error: None }).unwrap());
    read(&job, &[])
}

pub(in crate::controller) fn done(task: &str, items: i64) -> TaskReport {
    TaskReport {
        name: task.to_owned(),
        result: TaskResult::Succeeded,
        items,
        bytes_freed: 1024 * items,
        message: "done".to_owned(),
        error: None,
        checks: Vec::new(),
    }
}

pub(in crate::controller) fn broken(task: &str, category: FailureCategory) -> TaskReport {
    failed(task, RunError { category, reason: "StoreUnavailable".to_owned(), message: "no answer".to_owned() })
}

pub(in crate::controller) fn checked(checks: &[(HealthCheckName, bool)]) -> TaskReport {
    let checks = checks.iter().map(|(name, passed)| CheckReport {
        name: *name,
        passed: *passed,
        message: format!("{} was looked at", name.as_str()),
    });
    TaskReport { checks: checks.collect(), ..done("health", 2) }
}

pub(in crate::controller) fn seen(runs: Vec<Run>) -> Observation {
    Observation { runs, ..Default::default() }
}
