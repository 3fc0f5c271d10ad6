//! The controller of `MaintenanceSchedule`: the steps of one reconcile in their order. Reads and writes through the
//! others.

mod act;
mod begun;
pub mod build;
pub mod dead_letters;
pub mod due;
pub mod health;
pub mod history;
pub mod name;
pub mod observe;
pub mod plan;
pub mod request;
mod resync;
pub mod runs;
pub mod settle;
pub mod status;
pub mod validate;

#[cfg(test)]
pub(super) mod tests;

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use k8s_openapi::api::{
    batch::v1::{CronJob, Job},
    core::v1::Pod,
};
use kube::{
    Api, Resource,
    runtime::controller::{Action, Controller},
};
use lexigram_api::resource::MaintenanceSchedule;
use tokio_util::sync::CancellationToken;
use tracing::{Instrument, debug_span};

use self::{
    begun::Begun,
    plan::{Plan, Readiness},
    runs::Phase,
};
use super::{
    ControllerError, Shared, apply,
    drive::{drive, in_span, limits, name_run},
    events::Events,
    job::{act::owner, status::to_second},
    notice::{self, Notice},
    watch::{self, Cache},
};

/// Name of the kind.
const KIND: &str = "MaintenanceSchedule";
/// Objects reconciled at once, a watched namespace.
const CONCURRENCY: u16 = 8;

/// What a reconcile works with.
pub(super) struct Context {
    shared: Shared,
    jobs: Cache<Job>,
    pods: Cache<Pod>,
    crons: Cache<CronJob>,
    events: Events,
    begun: Begun,
}

/// Runs until `shutdown`; reconciles in hand are ended first.
pub(super) async fn run(shared: Shared, shutdown: CancellationToken) -> Result<(), ControllerError> {
    let (mut jobs, mut pods, mut crons, mut controllers) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for scope in watch::scopes(&shared.settings.namespaces) {
        let scope = scope.as_deref();
        let (object_store, object_changes) = watch::objects::<MaintenanceSchedule>(&shared.client, scope);
        let (job_store, owners_of_jobs) = watch::children::<Job, MaintenanceSchedule>(&shared.client, scope);
        let (pod_store, owners_of_pods) = watch::children::<Pod, MaintenanceSchedule>(&shared.client, scope);
        let (cron_store, owners_of_crons) = watch::children::<CronJob, MaintenanceSchedule>(&shared.client, scope);
        controllers.push(
            Controller::for_stream(object_changes, object_store)
                .with_config(limits(CONCURRENCY))
                .reconcile_on(owners_of_jobs)
                .reconcile_on(owners_of_pods)
                .reconcile_on(owners_of_crons)
                .reconcile_all_on(watch::changes(shared.config.clone()))
                .graceful_shutdown_on(shutdown.clone().cancelled_owned()),
        );
        jobs.push(job_store);
        pods.push(pod_store);
        crons.push(cron_store);
    }
    let context = Arc::new(Context {
        jobs: Cache::new(jobs),
        pods: Cache::new(pods),
        crons: Cache::new(crons),
        events: Events::new(shared.client.clone()),
        begun: Begun::default(),
        shared,
    });
    let metrics = Arc::clone(&context.shared.metrics);
    drive(KIND, controllers, reconcile, context, &metrics, |key| {
        metrics.health(key, &[]);
        metrics.at_work(KIND, key, 0);
    })
    .await;
    Ok(())
}

/// One pass over one object.
async fn reconcile(object: Arc<MaintenanceSchedule>, context: Arc<Context>) -> Result<Action, ControllerError> {
    // before the caches are filled a run that exists would be taken for none
    tokio::join!(context.jobs.ready(), context.pods.ready(), context.crons.ready());
    in_span(KIND, &*object, &context.shared.metrics, pass(&object, &context, Timestamp::now())).await
}

async fn pass(object: &MaintenanceSchedule, context: &Context, now: Timestamp) -> Result<Action, ControllerError> {
    let owner = owner(object)?;
    let config = context.shared.config.borrow().clone();
    let seen = observe::observe(context, object, &owner, now).instrument(debug_span!("observe")).await;
    name_run(seen.runs.last().map(|run| run.job.as_str()));
    let key = (owner.namespace.clone(), owner.name.clone());
    let at_work = seen.runs.iter().filter(|run| run.phase == Phase::Active(None)).count();
    context.shared.metrics.at_work(KIND, &key, at_work);
    let subject = notice::subject(KIND, object);
    let posted = status::story(object).and_then(|story| notice::post(&context.shared, &subject, &story, now));
    let wanted = build::cron(object, &owner, &context.shared.settings)?;
    let plan = debug_span!("plan")
        .in_scope(|| plan::plan(object, wanted.as_ref().map(|wanted| &wanted.cron_job), &seen, &config, now));
    let applied = act::act(context, object, &owner, &seen, wanted, &plan).instrument(debug_span!("apply")).await;
    if plan.readiness != Readiness::Deleting {
        let mut status = status::project(object, &seen, &plan, applied.as_ref().err(), to_second(now));
        if context.shared.outbox.is_some() {
            status::notify(&mut status, &subject, posted.as_ref(), to_second(now));
        }
        let api: Api<MaintenanceSchedule> = Api::namespaced(context.shared.client.clone(), &owner.namespace);
        if object.status.as_ref() != Some(&status) {
            apply::status(&api, object, &status).instrument(debug_span!("status")).await?;
            for transition in status::transitions(object.status.as_ref(), &status) {
                context.events.publish(&object.object_ref(&()), &transition).await;
            }
        }
        let dead = status.dead_letters.unwrap_or_default();
        let oldest = dead.oldest_failure_time.map(|time| time.0);
        context.shared.metrics.dead_letters(KIND, &key, &dead.by_category, oldest);
        context.shared.metrics.health(&key, &status.checks);
    }
    applied?;
    Ok(wake(&plan, posted.as_ref(), now))
}

/// When to look again, if nothing changes before.
fn wake(plan: &Plan, posted: Option<&Notice>, now: Timestamp) -> Action {
    let planned = plan.wake.map(|time| {
        let wait = Duration::try_from(time.duration_since(now)).unwrap_or_default();
        // a moment later, so that the clock of the next pass is past it
        wait + Duration::from_millis(50)
    });
    planned.into_iter().chain(notice::look(posted, now)).min().map_or_else(Action::await_change, Action::requeue)
}
