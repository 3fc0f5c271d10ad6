//! A simulated API server, and the workers of the Jobs that it holds. Everything is in memory.

use std::{collections::BTreeMap, sync::Arc};

use k8s_openapi::{
    api::{
        batch::v1::{Job, JobCondition, JobStatus},
        core::v1::Pod,
    },
    apimachinery::pkg::apis::meta::v1::Time,
};
use lexigram_api::{
    contract::{Task, WorkSpec},
    failure::FailureCategory,
    resource::{IngestionJob, IngestionJobStatus},
};
use serde_json::json;

use super::{
    super::fixtures::{at, crashed, finished, job},
    ledger::{Fate, ITEMS, SimulatedLedger},
};
use crate::{
    config::AiWorkers,
    controller::{job::recovery::request, runs},
    names::RETRY,
};

/// Objects in the cluster.
pub const OBJECTS: usize = 3;

/// An object with its Jobs and their pods.
#[derive(Clone)]
pub struct Known {
    pub job: IngestionJob,
    pub runs: BTreeMap<String, (Job, Vec<Arc<Pod>>)>,
}

impl Known {
    /// Jobs that have, or will have, a worker.
    pub fn live(&self) -> impl Iterator<Item = &str> {
        let live = |job: &Job| runs::phase(job) == runs::RunPhase::Active;
        self.runs.iter().filter(move |(_, (job, _))| live(job)).map(|(name, _)| name.as_str())
    }
}

pub struct SimulatedCluster {
    /// Seconds since the objects were created.
    pub clock: i64,
    pub config: AiWorkers,
    pub objects: Vec<Known>,
    pub ledgers: Vec<SimulatedLedger>,
    work_specs: BTreeMap<String, WorkSpec>,
}

impl SimulatedCluster {
    pub fn new(limit: u32) -> Self {
        let policy = json!({"maxAttempts": 4, "backoffBaseSeconds": 10, "backoffCapSeconds": 100});
        let object = |index: usize| {
            let mut job = job(json!({"failurePolicy": policy}));
            job.metadata.name = Some(format!("docs-{index}"));
            Known { job, runs: BTreeMap::new() }
        };
        Self {
            clock: 0,
            config: AiWorkers { document_ingestion_concurrency: limit, ..Default::default() },
            objects: (0..OBJECTS).map(object).collect(),
            ledgers: (0..OBJECTS).map(|_| SimulatedLedger::default()).collect(),
            work_specs: BTreeMap::new(),
        }
    }

    /// Creates the work spec and the Job of a run, each unless it is there.
    pub fn create(&mut self, object: usize, work_spec: WorkSpec, mut job: Job) {
        let name = job.metadata.name.clone().unwrap();
        let runs = &mut self.objects[object].runs;
        self.work_specs.entry(name.clone()).or_insert(work_spec);
        if runs.contains_key(&name) {
            return; // 409 AlreadyExists
        }
        if let Some(request) = request::read(request::Wish::Retry, job.metadata.annotations.as_ref().unwrap()).unwrap()
        {
            let met = runs.values().any(|(job, _)| {
                let same = job.metadata.annotations.as_ref().unwrap().get(RETRY) == Some(&request.value);
                same && !matches!(runs::phase(job), runs::RunPhase::Failed { .. })
            });
            assert!(!met, "{name} is the second Job for the request {}", request.value);
        }
        let now = Some(Time(at(self.clock)));
        job.metadata.creation_timestamp.clone_from(&now);
        job.status = Some(JobStatus { start_time: now, ..Default::default() });
        runs.insert(name, (job, Vec::new()));
    }

    /// Suspends a Job, whose worker ends at once, or lets it go on.
    pub fn suspend_run(&mut self, object: usize, name: &str, suspend: bool) {
        if let Some((job, _)) = self.objects[object].runs.get_mut(name) {
            job.spec.as_mut().unwrap().suspend = Some(suspend);
            if suspend {
                self.ledgers[object].release(&self.work_specs[name].run);
            }
        }
    }

    /// Deletes the Job of a run, as people do.
    pub fn delete_run(&mut self, object: usize, name: &str) {
        if self.objects[object].runs.remove(name).is_some() {
            self.ledgers[object].release(&self.work_specs[name].run);
        }
    }

    /// Deletes a Job that has served its time, and its work spec.
    pub fn clear(&mut self, object: usize, name: &str) {
        self.delete_run(object, name);
        self.work_specs.remove(name);
    }

    /// Writes a status. Whoever has read the object before reads an older version of it.
    pub fn write_status(&mut self, object: usize, status: IngestionJobStatus) {
        let job = &mut self.objects[object].job;
        if job.status.as_ref() != Some(&status) {
            job.status = Some(status);
            changed(job);
        }
    }

    /// Sets `spec.suspend`.
    pub fn suspend(&mut self, object: usize, suspend: bool) {
        let job = &mut self.objects[object].job;
        if job.spec.job.suspend != suspend {
            job.spec.job.suspend = suspend;
            job.metadata.generation = job.metadata.generation.map(|generation| generation + 1);
            changed(job);
        }
    }

    /// Asks for a retry.
    pub fn annotate(&mut self, object: usize, value: &str) {
        let job = &mut self.objects[object].job;
        job.metadata.annotations.get_or_insert_default().insert(RETRY.to_owned(), value.to_owned());
        changed(job);
    }

    /// Workers of the object's live Jobs begin.
    pub fn begin(&mut self, object: usize) {
        for name in self.objects[object].live() {
            let work_spec = &self.work_specs[name];
            let Task::Ingest(task) = &work_spec.task else { panic!("{:?}", work_spec.task) };
            self.ledgers[object].begin(&work_spec.run, &task.mode);
        }
    }

    /// Workers of the object's live Jobs come to their end; what they have in hand fares like this.
    pub fn end(&mut self, object: usize, fates: [Fate; ITEMS]) {
        self.begin(object);
        self.conclude(object, "Complete", fates);
    }

    /// Workers of the object's live Jobs die, and so do those that follow: the Jobs fail.
    pub fn crash(&mut self, object: usize) {
        self.conclude(object, "Failed", [Fate::Fails(FailureCategory::Unknown); ITEMS]);
    }

    fn conclude(&mut self, object: usize, condition: &str, fates: [Fate; ITEMS]) {
        // work takes a second at least, which tells the Job after it from this one
        self.clock += 1;
        let (now, ledger) = (at(self.clock), &mut self.ledgers[object]);
        let known = &mut self.objects[object];
        let policy = &known.job.spec.job.failure_policy;
        for name in known.live().map(str::to_owned).collect::<Vec<_>>() {
            let run = &self.work_specs[&name].run;
            ledger.end(run, fates, policy, now);
            let (job, pods) = known.runs.get_mut(&name).unwrap();
            let failed = condition == "Failed";
            job.status.as_mut().unwrap().conditions = Some(vec![JobCondition {
                type_: condition.to_owned(),
                status: "True".to_owned(),
                last_transition_time: Some(Time(now)),
                reason: failed.then(|| "BackoffLimitExceeded".to_owned()),
                ..Default::default()
            }]);
            pods.push(if failed { crashed(&name, 1, "Error", "") } else { finished(&ledger.report(&name, run)) });
        }
    }
}

fn changed(job: &mut IngestionJob) {
    let version: u64 = job.metadata.resource_version.as_ref().unwrap().parse().unwrap();
    job.metadata.resource_version = Some((version + 1).to_string());
}
