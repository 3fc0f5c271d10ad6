//! The Job and the pod in which a worker runs, whatever its work. Pure builders, no I/O.

use std::collections::BTreeMap;

use k8s_openapi::{
    api::{
        batch::v1::{
            Job, JobSpec, PodFailurePolicy, PodFailurePolicyOnExitCodesRequirement,
            PodFailurePolicyOnPodConditionsPattern, PodFailurePolicyRule,
        },
        core::v1::{
            Container, ContainerPort, EmptyDirVolumeSource, EnvVar, EnvVarSource, HTTPGetAction, ObjectFieldSelector,
            PodTemplateSpec, Probe, ResourceRequirements, Volume,
        },
    },
    apimachinery::pkg::{
        api::resource::Quantity,
        apis::meta::v1::{ObjectMeta, OwnerReference},
        util::intstr::IntOrString,
    },
};
pub use lexigram_api::pod::Mount;
use lexigram_api::{
    contract::{
        ExitCode, LISTEN_VARIABLE, SCRATCH_PATH, TERMINATION_LOG_PATH, TERMINATION_LOG_VARIABLE, WORK_SPEC_PATH,
        WORK_SPEC_VARIABLE, WORKER_PORT,
    },
    pod,
    resource::WorkerOverrides,
};

use super::{job::observe::JOB_NAME, pods::CONTAINER};
use crate::{
    names::{KUEUE_QUEUE, MANAGED_BY, OPERATOR, OWNER_KIND, OWNER_NAME, OWNER_UID, STORE_CLAIM, STORE_CLAIM_LABEL},
    settings::Settings,
};

/// Pods of a part that may fail again before the Job does, disruptions not counted. After that the failure policy decides: it waits
/// longer, and gives more memory.
const BACKOFF_LIMIT: i32 = 2;
/// Room for temporary files: documents that are being parsed.
const SCRATCH_SIZE: &str = "2Gi";

/// The object for which something is made.
#[derive(Clone, Debug, PartialEq)]
pub struct Owner {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its uid.
    pub uid: String,
    /// The reference that makes the garbage collector delete children with it.
    pub reference: OwnerReference,
}

impl Owner {
    /// Metadata of a child.
    #[must_use]
    pub fn metadata(&self, name: &str) -> ObjectMeta {
        ObjectMeta {
            name: Some(name.to_owned()),
            namespace: Some(self.namespace.clone()),
            labels: Some(self.labels()),
            annotations: Some(self.annotations()),
            owner_references: Some(vec![self.reference.clone()]),
            ..Default::default()
        }
    }

    fn labels(&self) -> BTreeMap<String, String> {
        [(MANAGED_BY, OPERATOR), (OWNER_UID, &self.uid), (OWNER_KIND, &self.reference.kind)]
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .into()
    }

    fn annotations(&self) -> BTreeMap<String, String> {
        [(OWNER_NAME.to_owned(), self.name.clone())].into()
    }
}

/// What differs between the Jobs of different kinds.
#[derive(Clone, Debug, PartialEq)]
pub struct Work<'a> {
    /// Name of the Job.
    pub name: &'a str,
    /// Name of the ConfigMap with its work spec.
    pub work_spec: &'a str,
    /// What the user changes about pods.
    pub overrides: &'a WorkerOverrides,
    /// Requests and limits of the worker's container.
    pub resources: ResourceRequirements,
    /// Whether the namespace's store claim is mounted.
    pub store: bool,
    /// Other volumes.
    pub mounts: Vec<Mount>,
    /// Pods that share the work, each with an index: its part.
    pub shards: i32,
    /// Seconds after which the Job is stopped.
    pub deadline_seconds: Option<i32>,
    /// Kueue's LocalQueue, to which admission is left.
    pub queue_name: Option<&'a str>,
    /// The span that the work goes on with, if traces are made.
    pub traceparent: Option<&'a str>,
}

/// The Job that does some work.
#[must_use]
pub fn job(owner: &Owner, work: &Work<'_>, settings: &Settings) -> Job {
    let mut metadata = owner.metadata(work.name);
    if let (Some(queue), Some(labels)) = (work.queue_name, &mut metadata.labels) {
        labels.insert(KUEUE_QUEUE.to_owned(), queue.to_owned());
    }
    Job {
        metadata,
        spec: Some(JobSpec {
            parallelism: Some(work.shards),
            completions: Some(work.shards),
            completion_mode: Some(if work.shards > 1 { "Indexed" } else { "NonIndexed" }.to_owned()),
            backoff_limit: Some(BACKOFF_LIMIT.saturating_mul(work.shards)),
            pod_failure_policy: Some(pod_failure_policy()),
            // two workers must never have the same part of a store open at once
            pod_replacement_policy: Some("Failed".to_owned()),
            active_deadline_seconds: work.deadline_seconds.map(i64::from),
            suspend: Some(work.queue_name.is_some()),
            template: template(owner, work, settings),
            ..Default::default()
        }),
        ..Default::default()
    }
}

/// Disruptions and interruptions cost no attempt; what trying again cannot mend ends the Job at once.
fn pod_failure_policy() -> PodFailurePolicy {
    let exit_codes = |action: &str, codes: &[ExitCode]| PodFailurePolicyRule {
        action: action.to_owned(),
        on_exit_codes: Some(PodFailurePolicyOnExitCodesRequirement {
            container_name: Some(CONTAINER.to_owned()),
            operator: "In".to_owned(),
            values: codes.iter().map(|code| i32::from(code.code())).collect(),
        }),
        on_pod_conditions: None,
    };
    let disrupted = PodFailurePolicyRule {
        action: "Ignore".to_owned(),
        on_exit_codes: None,
        on_pod_conditions: Some(vec![PodFailurePolicyOnPodConditionsPattern {
            type_: "DisruptionTarget".to_owned(),
            status: "True".to_owned(),
        }]),
    };
    PodFailurePolicy {
        rules: vec![
            disrupted,
            exit_codes("Ignore", &[ExitCode::Interrupted]),
            exit_codes("FailJob", &ExitCode::PERMANENT),
        ],
    }
}

fn template(owner: &Owner, work: &Work<'_>, settings: &Settings) -> PodTemplateSpec {
    let overrides = work.overrides;
    let mut labels = overrides.labels.clone();
    labels.extend(owner.labels());
    if work.store {
        labels.insert(STORE_CLAIM_LABEL.to_owned(), STORE_CLAIM.to_owned());
    }
    let mut annotations = overrides.annotations.clone();
    annotations.extend(owner.annotations());
    let mut mounts = vec![work_spec(work.work_spec), scratch()];
    mounts.extend(work.store.then(Mount::store));
    mounts.extend(work.mounts.iter().cloned());
    let container = container(owner, work, settings);
    PodTemplateSpec {
        metadata: Some(ObjectMeta { labels: Some(labels), annotations: Some(annotations), ..Default::default() }),
        spec: Some(pod::spec(container, &mounts, overrides, &settings.worker_image_pull_secrets)),
    }
}

fn work_spec(config_map: &str) -> Mount {
    let folder = WORK_SPEC_PATH.rsplit_once('/').map_or(WORK_SPEC_PATH, |(folder, _)| folder);
    Mount::config_map("work-spec", config_map, folder)
}

fn scratch() -> Mount {
    let size_limit = Some(Quantity(SCRATCH_SIZE.to_owned()));
    let source = EmptyDirVolumeSource { size_limit, ..Default::default() };
    let volume = Volume { name: "scratch".to_owned(), empty_dir: Some(source), ..Default::default() };
    Mount { volume, path: SCRATCH_PATH, writable: true }
}

fn container(owner: &Owner, work: &Work<'_>, settings: &Settings) -> Container {
    let probe = |period: i32, failures: i32| Probe {
        http_get: Some(HTTPGetAction {
            path: Some("/healthz".to_owned()),
            port: IntOrString::String("http".to_owned()),
            ..Default::default()
        }),
        period_seconds: Some(period),
        timeout_seconds: Some(5),
        failure_threshold: Some(failures),
        ..Default::default()
    };
    let (image, image_pull_policy) = image(work.overrides, settings);
    Container {
        name: CONTAINER.to_owned(),
        image: Some(image),
        image_pull_policy,
        args: Some(vec!["run".to_owned()]),
        env: Some(environment(owner, work, settings)),
        ports: Some(vec![ContainerPort {
            name: Some("http".to_owned()),
            container_port: i32::from(WORKER_PORT),
            ..Default::default()
        }]),
        startup_probe: Some(probe(2, 150)),
        liveness_probe: Some(probe(20, 6)),
        resources: Some(work.resources.clone()),
        termination_message_path: Some(TERMINATION_LOG_PATH.to_owned()),
        termination_message_policy: Some("File".to_owned()),
        ..Default::default()
    }
}

/// The worker's image and when it is pulled. How the operator's own is pulled says nothing of another one: Kubernetes goes
/// by its tag.
fn image(overrides: &WorkerOverrides, settings: &Settings) -> (String, Option<String>) {
    match &overrides.image {
        Some(own) => (own.clone(), None),
        None => (settings.worker_image.clone(), Some(settings.worker_image_pull_policy.clone())),
    }
}

/// Where it finds its work and may write, and what its logs and traces name: the object, the run, and the trace that they go
/// on with.
fn environment(owner: &Owner, work: &Work<'_>, settings: &Settings) -> Vec<EnvVar> {
    let set =
        |name: &str, value: &str| EnvVar { name: name.to_owned(), value: Some(value.to_owned()), value_from: None };
    // the Job is named by the Job controller: a CronJob names its Jobs itself
    let run = EnvVar {
        name: "LEXIGRAM_RUN".to_owned(),
        value: None,
        value_from: Some(EnvVarSource {
            field_ref: Some(ObjectFieldSelector {
                api_version: None,
                field_path: format!("metadata.labels['{JOB_NAME}']"),
            }),
            ..Default::default()
        }),
    };
    let mut environment = vec![
        set("HOME", SCRATCH_PATH),
        set("TMPDIR", SCRATCH_PATH),
        set(WORK_SPEC_VARIABLE, WORK_SPEC_PATH),
        set(LISTEN_VARIABLE, &format!("0.0.0.0:{WORKER_PORT}")),
        set(TERMINATION_LOG_VARIABLE, TERMINATION_LOG_PATH),
        set("LEXIGRAM_KIND", &owner.reference.kind),
        set("LEXIGRAM_OBJECT", &format!("{}/{}", owner.namespace, owner.name)),
        set("LEXIGRAM_UID", &owner.uid),
        run,
    ];
    environment.extend(settings.otlp_endpoint.as_deref().map(|url| set("OTEL_EXPORTER_OTLP_ENDPOINT", url)));
    environment.extend(work.traceparent.map(|parent| set("TRACEPARENT", parent)));
    environment
}
