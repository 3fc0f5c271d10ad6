//! What a reconcile works with, and how it deals with the queue. No I/O but the wait for the caches.

use std::{cmp::Reverse, sync::Arc, time::Duration};

use jiff::Timestamp;
use k8s_openapi::api::{batch::v1::Job, core::v1::Pod};
use kube::ResourceExt;
use tokio::sync::{OnceCell, watch as channel};

use super::{
    finals::Counted,
    kind::{JobKind, status_of},
    observe::{self, Observation},
    plan::{self, Demand, Plan},
};
use crate::{
    controller::{ControllerError, Shared, events::Events, runs::RunPhase, watch::Cache, worker_client::WorkerClient},
    names::OWNER_NAME,
    queue::{Key, Place, Queue, Ticket},
};

/// What a reconcile works with.
pub(super) struct Context<K: JobKind> {
    pub(super) shared: Shared,
    pub(super) objects: Cache<K>,
    pub(super) jobs: Cache<Job>,
    pub(super) pods: Cache<Pod>,
    pub(super) queue: Arc<Queue>,
    /// Told whenever objects that wait may move up.
    pub(super) moved: channel::Sender<()>,
    pub(super) seeded: OnceCell<()>,
    pub(super) events: Events,
    pub(super) counted: Counted,
    pub(super) workers: WorkerClient,
}

impl<K: JobKind> Context<K> {
    /// Tells the queue what runs and what waits, before anything is started by this process.
    pub(super) async fn seed_queue(&self) {
        let seed = || async {
            tokio::join!(self.objects.ready(), self.jobs.ready(), self.pods.ready());
            let now = Timestamp::now();
            for job in
                self.objects.all().filter(|job| !plan::has_ended(job.as_ref()) && job.options().queue_name.is_none())
            {
                let Ok(key) = key(job.as_ref()) else { continue };
                match at_start(job.as_ref(), &Observation::of(observe::runs(self, &job, &key.0))) {
                    Demand::Hold => self.queue.hold(&key),
                    Demand::Request => self.queue.wait(&key, ticket(job.as_ref()), told(job.as_ref()), now),
                    Demand::None => {}
                }
            }
        };
        self.seeded.get_or_init(seed).await;
    }

    /// Has the queue say whether a start may be made.
    pub(super) fn admit(&self, job: &K, key: &Key, plan: Plan, limit: u32, now: Timestamp) -> Plan {
        let plan = match plan.demand(job.options().queue_name.is_some()) {
            Demand::Request => match self.queue.request(key, ticket(job), limit, now) {
                Place::Admitted { waited } => {
                    if let Some(waited) = waited {
                        let waited = Duration::try_from(waited).unwrap_or_default();
                        self.shared.metrics.admitted(K::KIND, waited);
                    }
                    plan
                }
                Place::Waiting { position, shifts } => {
                    if shifts {
                        self.moved.send_replace(());
                    }
                    Plan::Queued { position }
                }
            },
            Demand::Hold => {
                self.queue.hold(key);
                plan
            }
            Demand::None => {
                self.leave(key);
                plan
            }
        };
        self.measure_queue();
        plan
    }

    /// Takes an object out of the queue and lets others move up.
    pub(super) fn leave(&self, key: &Key) {
        if self.queue.leave(key) {
            tracing::debug!(job = key.1, namespace = key.0, "left the queue");
            self.moved.send_replace(());
        }
        self.measure_queue();
    }

    fn measure_queue(&self) {
        let (waiting, running) = self.queue.sizes();
        self.shared.metrics.queue(K::KIND, waiting, running);
    }

    /// Forgets an object that has gone; it leaves the queue once its Jobs have gone too: until then it is at work.
    pub(super) fn forget(&self, key: &Key) {
        self.counted.forget(key);
        self.shared.metrics.at_work(K::KIND, key, 0);
        if self.jobs.find(&key.0, |job| job.annotations().get(OWNER_NAME) == Some(&key.1)).is_empty() {
            self.leave(key);
        }
    }
}

/// What the queue knows the job by.
pub(super) fn key<K: JobKind>(job: &K) -> Result<Key, ControllerError> {
    Ok((job.namespace().ok_or(ControllerError::Incomplete("namespace"))?, job.name_any()))
}

/// What an object asks of the queue before this process has looked at it.
pub(super) fn at_start<K: JobKind>(job: &K, seen: &Observation) -> Demand {
    match seen.current().map(|run| &run.phase) {
        Some(RunPhase::Active | RunPhase::Suspended { stopping: true }) => Demand::Hold,
        // one that is blocked leaves the queue at its first reconcile
        None | Some(RunPhase::Suspended { stopping: false }) if !job.options().suspend => Demand::Request,
        _ => Demand::None,
    }
}

/// The position that an object was told last.
pub(super) fn told<K: JobKind>(job: &K) -> Option<i32> {
    status_of(job).and_then(|status| status.queue_position)
}

/// What decides the job's place in the queue.
pub(super) fn ticket<K: JobKind>(job: &K) -> Ticket {
    let created = job.creation_timestamp().map_or(Timestamp::MAX, |time| time.0);
    Ticket { priority: Reverse(job.options().priority), created }
}
