//! The Job and the pod in which a worker runs, whatever its work: fit for a namespace that enforces the `restricted`
//! Pod Security Standard. Pure builders, no I/O.

use std::collections::BTreeMap;

use k8s_openapi::{
    api::{
        batch::v1::{
            Job, JobSpec, PodFailurePolicy, PodFailurePolicyOnExitCodesRequirement,
            PodFailurePolicyOnPodConditionsPattern, PodFailurePolicyRule,
        },
        core::v1::{
            Affinity, Capabilities, ConfigMapVolumeSource, Container, ContainerPort, EmptyDirVolumeSource, EnvVar,
            HTTPGetAction, LocalObjectReference, PersistentVolumeClaimVolumeSource, PodAffinity, PodAffinityTerm,
            PodSecurityContext, PodSpec, PodTemplateSpec, Probe, ResourceRequirements, SeccompProfile, SecurityContext,
            Volume, VolumeMount,
        },
    },
    apimachinery::pkg::{
        api::resource::Quantity,
        apis::meta::v1::{LabelSelector, ObjectMeta, OwnerReference},
        util::intstr::IntOrString,
    },
};
use lexigram_api::{
    contract::{ExitCode, SCRATCH_PATH, STORE_PATH, WORK_SPEC_PATH, WORKER_PORT},
    resource::WorkerOverrides,
};

pub use super::mount::Mount;
use super::pods::CONTAINER;
use crate::{
    names::{KUEUE_QUEUE, MANAGED_BY, OPERATOR, OWNER_KIND, OWNER_NAME, OWNER_UID, STORE_CLAIM, STORE_CLAIM_LABEL},
    settings::Settings,
};

/// User and group of the worker image.
const USER: i64 = 65532;
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
            template: pod(owner, work, settings),
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

fn pod(owner: &Owner, work: &Work<'_>, settings: &Settings) -> PodTemplateSpec {
    let overrides = work.overrides;
    let mut labels = overrides.labels.clone();
    labels.extend(owner.labels());
    if work.store {
        labels.insert(STORE_CLAIM_LABEL.to_owned(), STORE_CLAIM.to_owned());
    }
    let mut annotations = overrides.annotations.clone();
    annotations.extend(owner.annotations());
    let (volumes, mounts) = volumes(work);
    PodTemplateSpec {
        metadata: Some(ObjectMeta { labels: Some(labels), annotations: Some(annotations), ..Default::default() }),
        spec: Some(PodSpec {
            restart_policy: Some("Never".to_owned()),
            termination_grace_period_seconds: Some(30),
            automount_service_account_token: Some(false),
            enable_service_links: Some(false),
            security_context: Some(PodSecurityContext {
                run_as_non_root: Some(true),
                run_as_user: Some(USER),
                run_as_group: Some(USER),
                fs_group: Some(USER),
                fs_group_change_policy: Some("OnRootMismatch".to_owned()),
                seccomp_profile: Some(SeccompProfile { type_: "RuntimeDefault".to_owned(), ..Default::default() }),
                ..Default::default()
            }),
            containers: vec![container(&work.resources, mounts, settings)],
            volumes: Some(volumes),
            affinity: affinity(overrides.affinity.as_ref(), work.store),
            node_selector: Some(overrides.node_selector.clone()).filter(|selector| !selector.is_empty()),
            tolerations: Some(overrides.tolerations.clone()).filter(|tolerations| !tolerations.is_empty()),
            priority_class_name: overrides.priority_class_name.clone(),
            scheduler_name: overrides.scheduler_name.clone(),
            service_account_name: overrides.service_account_name.clone(),
            runtime_class_name: overrides.runtime_class_name.clone(),
            image_pull_secrets: Some(pull_secrets(overrides, settings)).filter(|secrets| !secrets.is_empty()),
            ..Default::default()
        }),
    }
}

fn container(resources: &ResourceRequirements, mounts: Vec<VolumeMount>, settings: &Settings) -> Container {
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
    let scratch =
        |name: &str| EnvVar { name: name.to_owned(), value: Some(SCRATCH_PATH.to_owned()), ..Default::default() };
    Container {
        name: CONTAINER.to_owned(),
        image: Some(settings.worker_image.clone()),
        image_pull_policy: Some(settings.worker_image_pull_policy.clone()),
        args: Some(vec!["run".to_owned()]),
        env: Some(vec![scratch("HOME"), scratch("TMPDIR")]),
        ports: Some(vec![ContainerPort {
            name: Some("http".to_owned()),
            container_port: i32::from(WORKER_PORT),
            ..Default::default()
        }]),
        startup_probe: Some(probe(2, 150)),
        liveness_probe: Some(probe(20, 6)),
        resources: Some(resources.clone()),
        security_context: Some(SecurityContext {
            allow_privilege_escalation: Some(false),
            capabilities: Some(Capabilities { drop: Some(vec!["ALL".to_owned()]), add: None }),
            read_only_root_filesystem: Some(true),
            ..Default::default()
        }),
        termination_message_policy: Some("File".to_owned()),
        volume_mounts: Some(mounts),
        ..Default::default()
    }
}

fn volumes(work: &Work<'_>) -> (Vec<Volume>, Vec<VolumeMount>) {
    let mount = |name: &str, path: &str, read_only: bool| VolumeMount {
        name: name.to_owned(),
        mount_path: path.to_owned(),
        read_only: read_only.then_some(true),
        ..Default::default()
    };
    let spec = Volume {
        name: "work-spec".to_owned(),
        config_map: Some(ConfigMapVolumeSource { name: work.work_spec.to_owned(), ..Default::default() }),
        ..Default::default()
    };
    let scratch = Volume {
        name: "scratch".to_owned(),
        empty_dir: Some(EmptyDirVolumeSource {
            size_limit: Some(Quantity(SCRATCH_SIZE.to_owned())),
            ..Default::default()
        }),
        ..Default::default()
    };
    let folder = WORK_SPEC_PATH.rsplit_once('/').map_or(WORK_SPEC_PATH, |(folder, _)| folder);
    let mut mounts = vec![mount(&spec.name, folder, true), mount(&scratch.name, SCRATCH_PATH, false)];
    let mut volumes = vec![spec, scratch];
    if work.store {
        mounts.push(mount("store", STORE_PATH, false));
        volumes.push(Volume {
            name: "store".to_owned(),
            persistent_volume_claim: Some(PersistentVolumeClaimVolumeSource {
                claim_name: STORE_CLAIM.to_owned(),
                read_only: None,
            }),
            ..Default::default()
        });
    }
    for extra in &work.mounts {
        mounts.push(mount(&extra.volume.name, extra.path, !extra.writable));
        volumes.push(extra.volume.clone());
    }
    (volumes, mounts)
}

/// The user's affinity, and for pods that share a store's claim the same node.
fn affinity(wanted: Option<&Affinity>, store: bool) -> Option<Affinity> {
    if !store {
        return wanted.cloned();
    }
    let together = PodAffinityTerm {
        label_selector: Some(LabelSelector {
            match_labels: Some([(STORE_CLAIM_LABEL.to_owned(), STORE_CLAIM.to_owned())].into()),
            ..Default::default()
        }),
        topology_key: "kubernetes.io/hostname".to_owned(),
        ..Default::default()
    };
    let mut affinity = wanted.cloned().unwrap_or_default();
    affinity
        .pod_affinity
        .get_or_insert_with(PodAffinity::default)
        .required_during_scheduling_ignored_during_execution
        .get_or_insert_with(Vec::new)
        .push(together);
    Some(affinity)
}

/// The operator's pull secrets and the job's own, each once.
fn pull_secrets(overrides: &WorkerOverrides, settings: &Settings) -> Vec<LocalObjectReference> {
    let mut secrets = overrides.image_pull_secrets.clone();
    for name in &settings.worker_image_pull_secrets {
        if secrets.iter().all(|secret| &secret.name != name) {
            secrets.push(LocalObjectReference { name: name.clone() });
        }
    }
    secrets
}
