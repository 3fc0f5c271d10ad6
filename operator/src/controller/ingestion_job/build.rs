//! What an `IngestionJob` needs in the cluster: work spec, ConfigMap, Job, store claim. Pure builders, no I/O.

use k8s_openapi::{
    api::{
        batch::v1::Job,
        core::v1::{
            ConfigMap, ConfigMapVolumeSource, PersistentVolumeClaim, PersistentVolumeClaimSpec,
            PersistentVolumeClaimVolumeSource, SecretVolumeSource, Volume, VolumeResourceRequirements,
        },
    },
    apimachinery::pkg::{api::resource::Quantity, apis::meta::v1::ObjectMeta},
};
use lexigram_api::{
    contract::{
        CONTRACT_VERSION, Embedding, HTTP_HEADERS_PATH, IngestTask, Mode, SOURCE_PATH, STORE_PATH, SourceLocation,
        StoreLocation, Task, WORK_SPEC_PATH, WorkSpec,
    },
    resource::{IngestionJobSpec, Source},
};

use super::plan::Take;
use crate::{
    controller::worker_pod::{self, Mount, Owner, Work},
    names::{MANAGED_BY, OPERATOR, STORE_CLAIM},
    settings::Settings,
};

/// What the worker of one run is told to do.
#[must_use]
pub fn work_spec(owner: &Owner, spec: &IngestionJobSpec, run: &str, take: &Take) -> WorkSpec {
    let mode = match take {
        Take::Nothing => {
            return WorkSpec { contract_version: CONTRACT_VERSION.to_owned(), run: run.to_owned(), task: Task::Stub };
        }
        Take::Everything => Mode::Full,
        Take::Due(due_before) => Mode::Retry { due_before: *due_before },
    };
    let collection = spec.collection_or(&owner.name);
    let model = spec.embedding.embedded.clone().unwrap_or_default().model;
    let task = IngestTask {
        collection: collection.to_owned(),
        scope: scope(owner, &spec.source),
        mode,
        source: location(&spec.source),
        include: spec.source.include.clone(),
        exclude: spec.source.exclude.clone(),
        sync: spec.sync,
        parsing: spec.parsing.clone(),
        chunking: spec.chunking.clone(),
        embedding: Embedding::local(&model),
        store: StoreLocation::Sqlite { path: format!("{STORE_PATH}/{collection}.db"), cache: None },
        failure_policy: spec.failure_policy.clone(),
    };
    WorkSpec { contract_version: CONTRACT_VERSION.to_owned(), run: run.to_owned(), task: Task::Ingest(Box::new(task)) }
}

/// Documents of a ConfigMap or claim belong to it, whichever job reads them; the others belong to their job.
fn scope(owner: &Owner, source: &Source) -> String {
    if let Some(map) = &source.config_map {
        return format!("configMap/{}", map.name);
    }
    if let Some(claim) = &source.persistent_volume_claim {
        let path = claim.path.trim_matches('/');
        let separator = if path.is_empty() { "" } else { "/" };
        return format!("persistentVolumeClaim/{}{separator}{path}", claim.claim_name);
    }
    let kind = if source.http.is_some() { "http" } else { "inline" };
    format!("{kind}/{}", owner.name)
}

fn location(source: &Source) -> SourceLocation {
    if source.config_map.is_some() {
        return SourceLocation::Directory { path: SOURCE_PATH.to_owned() };
    }
    if let Some(claim) = &source.persistent_volume_claim {
        let path = claim.path.trim_matches('/');
        let separator = if path.is_empty() { "" } else { "/" };
        return SourceLocation::Directory { path: format!("{SOURCE_PATH}{separator}{path}") };
    }
    if let Some(http) = &source.http {
        return SourceLocation::Http {
            urls: http.urls.clone(),
            headers_directory: http.headers_secret_ref.as_ref().map(|_| HTTP_HEADERS_PATH.to_owned()),
        };
    }
    SourceLocation::Inline { documents: source.inline.clone().unwrap_or_default() }
}

/// The ConfigMap that carries a work spec; it cannot change while pods of the run read it.
///
/// # Errors
/// Only if the JSON serialiser fails, which the type gives it no cause for.
pub fn config_map(owner: &Owner, work_spec: &WorkSpec) -> Result<ConfigMap, serde_json::Error> {
    let file = WORK_SPEC_PATH.rsplit('/').next().unwrap_or(WORK_SPEC_PATH);
    Ok(ConfigMap {
        metadata: owner.metadata(&work_spec.run),
        data: Some([(file.to_owned(), serde_json::to_string_pretty(work_spec)?)].into()),
        immutable: Some(true),
        ..Default::default()
    })
}

/// The Job of one run.
#[must_use]
pub fn job(owner: &Owner, spec: &IngestionJobSpec, run: &str, settings: &Settings) -> Job {
    let work = Work {
        name: run,
        overrides: &spec.worker,
        store: spec.store.embedded.is_some(),
        mounts: mounts(&spec.source),
        deadline_seconds: spec.active_deadline_seconds,
        queue_name: spec.queue_name.as_deref(),
    };
    worker_pod::job(owner, &work, settings)
}

fn mounts(source: &Source) -> Vec<Mount> {
    let config_map = source.config_map.as_ref().map(|map| Mount {
        path: SOURCE_PATH,
        volume: Volume {
            name: "source".to_owned(),
            config_map: Some(ConfigMapVolumeSource { name: map.name.clone(), ..Default::default() }),
            ..Default::default()
        },
    });
    let claim = source.persistent_volume_claim.as_ref().map(|claim| Mount {
        path: SOURCE_PATH,
        volume: Volume {
            name: "source".to_owned(),
            persistent_volume_claim: Some(PersistentVolumeClaimVolumeSource {
                claim_name: claim.claim_name.clone(),
                // read-only by its mount: a claim that is read-only here could not be mounted writable by another pod
                read_only: None,
            }),
            ..Default::default()
        },
    });
    let headers = source.http.as_ref().and_then(|http| http.headers_secret_ref.as_ref()).map(|secret| Mount {
        path: HTTP_HEADERS_PATH,
        volume: Volume {
            name: "http-headers".to_owned(),
            secret: Some(SecretVolumeSource { secret_name: Some(secret.name.clone()), ..Default::default() }),
            ..Default::default()
        },
    });
    [config_map, claim, headers].into_iter().flatten().collect()
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
