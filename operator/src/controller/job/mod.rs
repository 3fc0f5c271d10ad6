//! The controller of every kind that runs once: the steps of one reconcile in their order. Reads and writes through the
//! others.

pub(super) mod act;
pub mod build;
mod context;
pub mod counts;
pub mod decision;
mod finals;
pub mod history;
pub mod kind;
pub mod leftovers;
pub mod network;
pub mod observe;
mod outside;
pub mod plan;
pub mod recovery;
pub mod references;
pub mod status;
pub mod summary;
mod turns;
pub mod validate;

pub use lexigram_api::pod::{provider, store};

#[cfg(test)]
pub(super) mod tests;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::{batch::v1::Job, core::v1::Pod};
use kube::{
    Api, ResourceExt,
    runtime::controller::{Action, Controller},
};
use tokio::sync::{OnceCell, watch as channel};
use tokio_util::sync::CancellationToken;
use tracing::{Instrument, debug_span};

use self::{
    context::{Context, key},
    finals::Counted,
    kind::{JobKind, status_of},
    plan::{Demand, Plan},
    recovery::{notification, sweep::sweep_at},
    turns::Turns,
};
use super::{
    ControllerError, Shared, apply,
    drive::{RETRY_INTERVAL, drive, in_span, limits, name_run},
    events::Events,
    notice,
    watch::{self, Cache},
    worker_client::WorkerClient,
};
use crate::{
    config::AiWorkers,
    queue::{Key, Queue},
};

/// Objects reconciled at once, a watched namespace: so many workers may keep their answers to themselves for a while.
const CONCURRENCY: u16 = 32;
/// How often a worker is asked how far it is.
const PROGRESS_INTERVAL: Duration = Duration::from_secs(3);

/// Runs until `shutdown`; reconciles in hand are ended first.
pub(super) async fn run<K: JobKind>(shared: Shared, shutdown: CancellationToken) -> Result<(), ControllerError> {
    let (moved, movements) = channel::channel(());
    let queue = Arc::new(Queue::default());
    let (mut objects, mut jobs, mut pods, mut controllers) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for scope in watch::scopes(&shared.settings.namespaces) {
        let (object_store, object_changes) = watch::objects::<K>(&shared.client, scope.as_deref());
        let (job_store, owners_of_jobs) = watch::children::<Job, K>(&shared.client, scope.as_deref());
        let (pod_store, owners_of_pods) = watch::children::<Pod, K>(&shared.client, scope.as_deref());
        let turns = Turns { queue: Arc::clone(&queue), scope, moved: movements.clone() };
        let config = shared.config.clone();
        controllers.push(
            Controller::for_stream(object_changes, object_store.clone())
                .with_config(limits(CONCURRENCY))
                .reconcile_on(owners_of_jobs)
                .reconcile_on(owners_of_pods)
                .reconcile_on(turns.admissible(move || K::concurrency(&config.borrow())))
                .reconcile_on(turns.corrected())
                .reconcile_all_on(watch::changes(shared.config.clone()))
                .graceful_shutdown_on(shutdown.clone().cancelled_owned()),
        );
        objects.push(object_store);
        jobs.push(job_store);
        pods.push(pod_store);
    }
    let context = Arc::new(Context {
        objects: Cache::new(objects),
        jobs: Cache::new(jobs),
        pods: Cache::new(pods),
        queue,
        moved,
        seeded: OnceCell::new(),
        events: Events::new(shared.client.clone()),
        counted: Counted::default(),
        workers: WorkerClient::new()?,
        shared,
    });
    let metrics = Arc::clone(&context.shared.metrics);
    let known = Arc::clone(&context);
    drive(K::KIND, controllers, reconcile::<K>, context, &metrics, |key| known.forget(key)).await;
    Ok(())
}

/// One pass over one object.
async fn reconcile<K: JobKind>(job: Arc<K>, context: Arc<Context<K>>) -> Result<Action, ControllerError> {
    context.seed_queue().await;
    let pass = pass(job.as_ref(), &context, Instant::now(), status::to_second(Timestamp::now()));
    in_span(K::KIND, job.as_ref(), &context.shared.metrics, pass).await
}

async fn pass<K: JobKind>(
    job: &K,
    context: &Context<K>,
    begun: Instant,
    now: Timestamp,
) -> Result<Action, ControllerError> {
    let key = key(job)?;
    let config = context.shared.config.borrow().clone();
    let seen = observe::observe(context, job, &key.0).instrument(debug_span!("observe")).await;
    name_run(seen.all().next_back().map(|run| run.job.as_str()));
    context.count(job, &key, &seen, now);
    let posted = context.post(job, now);
    let plan = debug_span!("plan")
        .in_scope(|| context.admit(job, &key, plan::plan(job, &seen, &config, now), K::concurrency(&config), now));
    let applied = act::act(context, job, &key.0, &seen, &plan).instrument(debug_span!("apply")).await;
    if let Err(error) = &applied {
        tracing::debug!(%error, "a step failed");
        if plan.demand(job.options().queue_name.is_some()) == Demand::Request {
            // nothing was started: somebody else may
            context.leave(&key);
        }
    }
    let stays = !matches!(plan, Plan::Deleting { .. } | Plan::Expired);
    if stays {
        let project = |job: &K| {
            let mut status = status::project(job, &seen, &plan, applied.as_ref().err(), now);
            if context.shared.outbox.is_some() {
                notification::tell(K::job_status_mut(&mut status), job, &seen, &plan, posted.as_ref(), now);
            }
            status
        };
        tell(context, job, &key, project).instrument(debug_span!("status")).await?;
    }
    let created = applied?;
    context.measure(job, &key, &seen, (&plan, created), begun.elapsed(), now);
    if stays {
        // once status has told of them
        act::clear(context, job, &key.0, &leftovers::leftovers(&seen)).await?;
    }
    let looks = [next(job, &plan, &config, now), notice::look(posted.as_ref(), now)];
    Ok(looks.into_iter().flatten().min().map_or_else(Action::await_change, Action::requeue))
}

/// Writes the status that the object should have, if it differs, and the event of the transition.
async fn tell<K: JobKind>(
    context: &Context<K>,
    job: &K,
    (namespace, name): &Key,
    project: impl Fn(&K) -> K::Status,
) -> Result<(), ControllerError> {
    let api: Api<K> = Api::namespaced(context.shared.client.clone(), namespace);
    match write_status(context, &api, job, &project(job)).await {
        Err(error) if error.is_conflict() => {
            // the cache was behind: what has been done is told all the same, unless the plan was made for another spec
            let fresh = api.get(name).await?;
            if is_outdated(job, &fresh) {
                return Err(error);
            }
            write_status(context, &api, &fresh, &project(&fresh)).await
        }
        result => result,
    }
}

/// Whether what was planned for `job` means nothing to the object as it is now.
fn is_outdated<K: JobKind>(job: &K, fresh: &K) -> bool {
    let same = fresh.uid() == job.uid() && fresh.meta().generation == job.meta().generation;
    !same || (plan::has_ended(fresh) && !plan::has_ended(job))
}

/// Replaces the status if it differs, unless the object has changed since it was read.
async fn write_status<K: JobKind>(
    context: &Context<K>,
    api: &Api<K>,
    job: &K,
    status: &K::Status,
) -> Result<(), ControllerError> {
    if job.status() == Some(status) {
        return Ok(());
    }
    apply::status(api, job, status).await?;
    for transition in status::transitions(status_of(job), K::job_status(status)) {
        context.events.publish(&job.object_ref(&()), &transition).await;
    }
    Ok(())
}

/// When to look again, if nothing changes before.
fn next<K: JobKind>(job: &K, plan: &Plan, config: &AiWorkers, now: Timestamp) -> Option<Duration> {
    let at = |time: Timestamp| {
        let wait = u64::try_from(time.duration_since(now).as_secs()).unwrap_or(0);
        Some(Duration::from_secs(wait.max(1)))
    };
    match plan {
        Plan::Start(_) | Plan::Running { .. } => Some(PROGRESS_INTERVAL),
        Plan::AwaitingReport => Some(Duration::from_secs(1)),
        Plan::Blocked(_) => Some(RETRY_INTERVAL),
        Plan::RetryPending { at: time, .. } | Plan::RunRetryPending { at: time, .. } => at(*time),
        // what a job names is looked at again with each sweep, where another Secret may help it
        Plan::Finished { expires } if plan::waits_for_change(job) => {
            let sweep = sweep_at(now + SignedDuration::from_secs(1), config.dlq_check_interval);
            at(expires.map_or(sweep, |expires| expires.min(sweep)))
        }
        Plan::DeadLetters { .. } => at(sweep_at(now + SignedDuration::from_secs(1), config.dlq_check_interval)),
        Plan::Finished { expires: Some(time) } => at(*time),
        // the recorded end brings the next reconcile, which knows of the TTL
        Plan::Completed { .. } | Plan::Failed(_) | Plan::Finished { expires: None } => None,
        Plan::Deleting { .. }
        | Plan::Expired
        | Plan::Invalid(_)
        | Plan::Suspended { .. }
        | Plan::Disabled
        | Plan::Queued { .. }
        | Plan::AwaitingAdmission => None,
    }
}
