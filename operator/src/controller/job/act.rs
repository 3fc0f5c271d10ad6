//! Carries a plan out: store claim, work spec, Job, in this order, or what stops a run. Writes to the API server.

use k8s_openapi::{
    api::{
        batch::v1::Job,
        core::v1::{ConfigMap, PersistentVolumeClaim},
    },
    apimachinery::pkg::apis::meta::v1::OwnerReference,
};
use kube::{Api, Client, Resource, ResourceExt};
use lexigram_telemetry::traceparent;

use super::{
    Context,
    build::{self, Circumstances},
    kind::JobKind,
    observe::Observation,
    plan::{Halt, Launch, Plan, Start, Take},
};
use crate::{
    controller::{ControllerError, apply, worker_pod::Owner},
    names::STORE_CLAIM,
    settings::Settings,
};

/// Makes in the cluster what the plan says. Says whether a run was begun that nobody had begun before.
pub(super) async fn act<K: JobKind>(
    context: &Context<K>,
    job: &K,
    namespace: &str,
    seen: &Observation,
    plan: &Plan,
) -> Result<bool, ControllerError> {
    let client = &context.shared.client;
    let jobs: Api<Job> = Api::namespaced(client.clone(), namespace);
    match plan {
        Plan::Start(Start { number, how: Launch::Create(take), request }) => {
            let traceparent = traceparent();
            let circumstances = Circumstances {
                request: request.as_ref(),
                references: seen.references.as_deref(),
                exhausted: seen.exhausted(),
                traceparent: traceparent.as_deref(),
            };
            return start(context, job, &number.job_name(&job.name_any(), K::RUN_PREFIX), take, &circumstances).await;
        }
        Plan::Start(Start { number, how: Launch::Resume, .. }) => {
            apply::set_suspend(&jobs, &number.job_name(&job.name_any(), K::RUN_PREFIX), false).await
        }
        Plan::Suspended { halt: Some(Halt::Suspend(name)), .. } => apply::set_suspend(&jobs, name, true).await,
        Plan::Suspended { halt: Some(Halt::Delete(name)), .. } => apply::delete(&jobs, name, None).await,
        Plan::Expired => {
            let objects: Api<K> = Api::namespaced(client.clone(), namespace);
            apply::delete(&objects, &job.name_any(), job.uid()).await
        }
        Plan::Deleting { .. }
        | Plan::Finished { .. }
        | Plan::Invalid(_)
        | Plan::Suspended { halt: None, .. }
        | Plan::Disabled
        | Plan::Blocked(_)
        | Plan::Queued { .. }
        | Plan::AwaitingAdmission
        | Plan::Running { .. }
        | Plan::AwaitingReport
        | Plan::RetryPending { .. }
        | Plan::RunRetryPending { .. }
        | Plan::DeadLetters { .. }
        | Plan::Completed { .. }
        | Plan::Failed(_) => Ok(()),
    }
    .map(|()| false)
}

async fn start<K: JobKind>(
    context: &Context<K>,
    job: &K,
    run: &str,
    take: &Take,
    circumstances: &Circumstances<'_>,
) -> Result<bool, ControllerError> {
    let (client, settings) = (&context.shared.client, &context.shared.settings);
    let owner = owner(job)?;
    if job.options().store.embedded.is_some() {
        claim(client, &owner.namespace, settings).await?;
    }
    let work_spec = build::work_spec(job, &owner, run, take);
    apply::create(client, &build::config_map(&owner, run, &work_spec)?, &owner.uid).await?;
    apply::create(client, &build::job(job, &owner, run, circumstances, settings), &owner.uid).await
}

/// Deletes Jobs that have served their time, each after its work spec, which nothing else would lead to.
pub(super) async fn clear<K: JobKind>(
    context: &Context<K>,
    job: &K,
    namespace: &str,
    leftovers: &[&str],
) -> Result<(), ControllerError> {
    let client = &context.shared.client;
    let work_specs: Api<ConfigMap> = Api::namespaced(client.clone(), namespace);
    let jobs: Api<Job> = Api::namespaced(client.clone(), namespace);
    let owner_uid = job.uid().unwrap_or_default();
    for name in leftovers {
        apply::delete_ours(&work_specs, name, &owner_uid).await?;
        apply::delete_ours(&jobs, name, &owner_uid).await?;
    }
    Ok(())
}

/// Makes the claim with the embedded stores of a namespace, unless it is there.
pub(in crate::controller) async fn claim(
    client: &Client,
    namespace: &str,
    settings: &Settings,
) -> Result<(), ControllerError> {
    let claims: Api<PersistentVolumeClaim> = Api::namespaced(client.clone(), namespace);
    if !apply::exists(&claims, STORE_CLAIM).await? {
        apply::create_unless_there(&claims, &build::store_claim(namespace, settings)).await?;
    }
    Ok(())
}

/// What children need to know of their object.
pub(in crate::controller) fn owner<K: Resource<DynamicType = ()>>(object: &K) -> Result<Owner, ControllerError> {
    let reference = object.controller_owner_ref(&()).ok_or(ControllerError::Incomplete("uid"))?;
    Ok(Owner {
        namespace: object.namespace().ok_or(ControllerError::Incomplete("namespace"))?,
        name: object.name_any(),
        uid: object.uid().ok_or(ControllerError::Incomplete("uid"))?,
        reference: OwnerReference { block_owner_deletion: Some(true), ..reference },
    })
}
