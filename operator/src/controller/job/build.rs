//! What a job needs in the cluster: work spec, ConfigMap, Job, store claim. Pure builders, no I/O.

use k8s_openapi::{
    api::{
        batch::v1::Job,
        core::v1::{ConfigMap, PersistentVolumeClaim, PersistentVolumeClaimSpec, VolumeResourceRequirements},
    },
    apimachinery::pkg::{api::resource::Quantity, apis::meta::v1::ObjectMeta},
};
use lexigram_api::contract::{CONTRACT_VERSION, Mode, Task, WORK_SPEC_PATH, WorkSpec};

use super::{
    kind::JobKind,
    plan::Take,
    provider,
    recovery::{memory, request::Request},
    store,
};
use crate::{
    controller::worker_pod::{self, Owner, Work},
    names::{EXHAUSTED, MANAGED_BY, OPERATOR, REFERENCES, STORE_CLAIM, ledger_run},
    settings::Settings,
};

/// What the worker of one run is told to do.
#[must_use]
pub fn work_spec<K: JobKind>(job: &K, owner: &Owner, run: &str, take: &Take) -> WorkSpec {
    let task = match take {
        Take::Nothing => Task::Stub,
        Take::Everything => job.task(owner, Mode::Full),
        Take::Due(due_before) => job.task(owner, Mode::Retry { due_before: *due_before }),
        Take::Again(selection, failed_before) => {
            job.task(owner, Mode::Again { selection: selection.clone(), failed_before: *failed_before })
        }
        Take::GiveUp(selection, failed_before) => {
            job.task(owner, Mode::Archive { selection: selection.clone(), failed_before: *failed_before })
        }
    };
    WorkSpec { contract_version: CONTRACT_VERSION.to_owned(), run: ledger_run(run, &owner.uid), task }
}

/// The ConfigMap that carries the work spec of a run; it cannot change while pods of the run read it.
///
/// # Errors
/// Only if the JSON serialiser fails, which the type gives it no cause for.
pub fn config_map(owner: &Owner, run: &str, work_spec: &WorkSpec) -> Result<ConfigMap, serde_json::Error> {
    let file = WORK_SPEC_PATH.rsplit('/').next().unwrap_or(WORK_SPEC_PATH);
    Ok(ConfigMap {
        metadata: owner.metadata(run),
        data: Some([(file.to_owned(), serde_json::to_string_pretty(work_spec)?)].into()),
        immutable: Some(true),
        ..Default::default()
    })
}

/// What the Job of a run depends on besides its object.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Circumstances<'a> {
    /// The request that the run meets.
    pub request: Option<&'a Request>,
    /// A digest of what the object names.
    pub references: Option<&'a str>,
    /// Runs before this one in which memory ran out.
    pub exhausted: u32,
    /// The span that the run goes on with, if traces are made.
    pub traceparent: Option<&'a str>,
}

/// The Job of one run.
#[must_use]
pub fn job<K: JobKind>(
    job: &K,
    owner: &Owner,
    run: &str,
    circumstances: &Circumstances<'_>,
    settings: &Settings,
) -> Job {
    let options = job.options();
    let resources = options.worker.resources.as_ref().unwrap_or(&settings.worker_resources);
    let mut mounts = job.mounts();
    mounts.extend(provider::mounts(&options.embedding));
    mounts.extend(store::mounts(&options.store));
    let work = Work {
        name: run,
        work_spec: run,
        overrides: &options.worker,
        resources: memory::raised(resources, &options.failure_policy, circumstances.exhausted),
        store: options.store.embedded.is_some(),
        mounts,
        shards: options.parallelism,
        deadline_seconds: options.active_deadline_seconds,
        queue_name: options.queue_name.as_deref(),
        traceparent: circumstances.traceparent,
    };
    let mut built = worker_pod::job(owner, &work, settings);
    let annotations = built.metadata.annotations.get_or_insert_default();
    annotations.extend(circumstances.request.into_iter().flat_map(|request| request.annotations.clone()));
    annotations.extend(circumstances.references.map(|digest| (REFERENCES.to_owned(), digest.to_owned())));
    let exhausted = Some(circumstances.exhausted).filter(|count| *count > 0);
    annotations.extend(exhausted.map(|count| (EXHAUSTED.to_owned(), count.to_string())));
    built
}

/// The claim with the embedded stores of a namespace. It has no owner: nothing deletes it but a person.
#[must_use]
pub fn store_claim(namespace: &str, settings: &Settings) -> PersistentVolumeClaim {
    PersistentVolumeClaim {
        metadata: ObjectMeta {
            name: Some(STORE_CLAIM.to_owned()),
            namespace: Some(namespace.to_owned()),
            labels: Some([(MANAGED_BY.to_owned(), OPERATOR.to_owned())].into()),
            ..Default::default()
        },
        spec: Some(PersistentVolumeClaimSpec {
            access_modes: Some(vec!["ReadWriteOnce".to_owned()]),
            resources: Some(VolumeResourceRequirements {
                requests: Some([("storage".to_owned(), Quantity(settings.store_size.clone()))].into()),
                limits: None,
            }),
            storage_class_name: settings.store_class.clone(),
            ..Default::default()
        }),
        ..Default::default()
    }
}
