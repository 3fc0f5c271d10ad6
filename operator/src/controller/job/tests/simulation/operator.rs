//! A simulated operator: the passes of the real one, over a cache that may be behind. What it remembers dies with it.

use kube::ResourceExt;
use lexigram_api::resource::IngestionJob;

use super::{
    super::fixtures::{at, settings},
    cluster::{Known, SimulatedCluster},
};
use crate::{
    controller::{
        job::{
            act,
            build::{self, Circumstances},
            context::{at_start, key, ticket, told},
            history, is_outdated,
            kind::JobKind,
            leftovers::leftovers,
            observe::Observation,
            plan::{Demand, Halt, Launch, Plan, Start, has_ended, plan},
            status,
        },
        runs::Run,
    },
    names::RunNumber,
    queue::{Place, Queue},
};

pub struct SimulatedOperator {
    cache: Vec<Known>,
    queue: Queue,
    /// Seconds by which its clock is wrong.
    pub skew: i64,
}

impl SimulatedOperator {
    /// A new process: it knows what is in the cluster, and nothing else.
    pub fn start(cluster: &SimulatedCluster, skew: i64) -> Self {
        let (cache, queue) = (cluster.objects.clone(), Queue::default());
        for known in cache.iter().filter(|known| !has_ended(&known.job)) {
            let key = key(&known.job).unwrap();
            match at_start(&known.job, &observe(known)) {
                Demand::Hold => queue.hold(&key),
                Demand::Request => queue.wait(&key, ticket(&known.job), told(&known.job), at(cluster.clock + skew)),
                Demand::None => {}
            }
        }
        Self { cache, queue, skew }
    }

    /// Its cache catches up.
    pub fn observe(&mut self, cluster: &SimulatedCluster) {
        self.cache.clone_from(&cluster.objects);
    }

    /// One pass over one object; it `dies` before it has told of it.
    pub fn reconcile(&mut self, cluster: &mut SimulatedCluster, object: usize, dies: bool) {
        let known = &self.cache[object];
        let (seen, now) = (observe(known), at(cluster.clock + self.skew));
        let plan = self.admit(&known.job, plan(&known.job, &seen, &cluster.config, now), cluster);
        act(cluster, object, &known.job, &seen, &plan);
        if dies {
            *self = Self::start(cluster, self.skew);
            return;
        }
        let fresh = &cluster.objects[object].job;
        if fresh.resource_version() == known.job.resource_version() || !is_outdated(&known.job, fresh) {
            let told = status::project(fresh, &seen, &plan, None, now);
            cluster.write_status(object, told);
            for name in leftovers(&seen) {
                cluster.clear(object, name);
            }
        }
    }

    fn admit(&self, job: &IngestionJob, plan: Plan, cluster: &SimulatedCluster) -> Plan {
        let key = key(job).unwrap();
        match plan.demand(false) {
            Demand::Request => {
                let limit = IngestionJob::concurrency(&cluster.config);
                if let Place::Waiting { position, .. } =
                    self.queue.request(&key, ticket(job), limit, at(cluster.clock + self.skew))
                {
                    return Plan::Queued { position };
                }
            }
            Demand::Hold => self.queue.hold(&key),
            Demand::None => {
                self.queue.leave(&key);
            }
        }
        plan
    }
}

fn observe(known: &Known) -> Observation {
    let runs = known.runs.values().filter_map(|(job, pods)| Run::read(job, pods));
    let told = known.job.status.as_ref().map(|status| history::ended(&status.job)).unwrap_or_default();
    Observation { told, ..Observation::of(runs.collect()) }
}

fn act(cluster: &mut SimulatedCluster, object: usize, job: &IngestionJob, seen: &Observation, plan: &Plan) {
    let name = |number: RunNumber| number.job_name(&job.name_any(), IngestionJob::RUN_PREFIX);
    match plan {
        Plan::Start(Start { number, how: Launch::Create(take), request }) => {
            let (name, owner) = (name(*number), act::owner(job).unwrap());
            let circumstances = Circumstances {
                request: request.as_ref(),
                references: None,
                exhausted: seen.exhausted(),
                traceparent: None,
            };
            let work_spec = build::work_spec(job, &owner, &name, take);
            cluster.create(object, work_spec, build::job(job, &owner, &name, &circumstances, &settings()));
        }
        Plan::Start(Start { number, how: Launch::Resume, .. }) => cluster.suspend_run(object, &name(*number), false),
        Plan::Suspended { halt: Some(Halt::Suspend(name)), .. } => cluster.suspend_run(object, name, true),
        _ => {}
    }
}
