//! The pod of a worker, as far as the operator and the kubectl plugin agree on it: fit for a namespace that enforces the
//! `restricted` Pod Security Standard, beside the store that it mounts. Pure builders, no I/O.

mod mount;
pub mod provider;
pub mod store;

use k8s_openapi::{
    api::core::v1::{
        Affinity, Capabilities, Container, LocalObjectReference, PodAffinity, PodAffinityTerm, PodSecurityContext,
        PodSpec, SeccompProfile, SecurityContext, VolumeMount,
    },
    apimachinery::pkg::apis::meta::v1::LabelSelector,
};

pub use mount::Mount;

use crate::resource::WorkerOverrides;

/// The claim that holds the embedded stores of a namespace.
pub const STORE_CLAIM: &str = "lexigram-store";
/// Label of pods that mount a store's claim: they have to run on one node.
pub const STORE_CLAIM_LABEL: &str = "workers.lexigram.dev/store-claim";

/// User and group of the worker image.
const USER: i64 = 65532;

/// A pod with one container, what it mounts and what the user changes about pods. Its image is pulled with
/// `pull_secrets` and the user's own.
#[must_use]
pub fn spec(container: Container, mounts: &[Mount], overrides: &WorkerOverrides, pull_secrets: &[String]) -> PodSpec {
    let secrets = all_pull_secrets(overrides, pull_secrets);
    PodSpec {
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
        containers: vec![restricted(container, mounts)],
        volumes: Some(mounts.iter().map(|mount| mount.volume.clone()).collect()),
        affinity: affinity(overrides.affinity.as_ref(), mounts.iter().any(Mount::is_store)),
        node_selector: Some(overrides.node_selector.clone()).filter(|selector| !selector.is_empty()),
        tolerations: Some(overrides.tolerations.clone()).filter(|tolerations| !tolerations.is_empty()),
        priority_class_name: overrides.priority_class_name.clone(),
        scheduler_name: overrides.scheduler_name.clone(),
        service_account_name: overrides.service_account_name.clone(),
        runtime_class_name: overrides.runtime_class_name.clone(),
        image_pull_secrets: Some(secrets).filter(|secrets| !secrets.is_empty()),
        ..Default::default()
    }
}

fn restricted(container: Container, mounts: &[Mount]) -> Container {
    let mounts = mounts.iter().map(|mount| VolumeMount {
        name: mount.volume.name.clone(),
        mount_path: mount.path.to_owned(),
        read_only: (!mount.writable).then_some(true),
        ..Default::default()
    });
    Container {
        security_context: Some(SecurityContext {
            allow_privilege_escalation: Some(false),
            capabilities: Some(Capabilities { drop: Some(vec!["ALL".to_owned()]), add: None }),
            read_only_root_filesystem: Some(true),
            ..Default::default()
        }),
        volume_mounts: Some(mounts.collect()),
        ..container
    }
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

/// The operator's pull secrets and the user's own, each once.
fn all_pull_secrets(overrides: &WorkerOverrides, pull_secrets: &[String]) -> Vec<LocalObjectReference> {
    let mut secrets = overrides.image_pull_secrets.clone();
    for name in pull_secrets {
        if secrets.iter().all(|secret| &secret.name != name) {
            secrets.push(LocalObjectReference { name: name.clone() });
        }
    }
    secrets
}
