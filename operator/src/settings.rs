//! What the operator is told once, at its start: images, defaults for workers and stores, namespaces. No I/O.

use k8s_openapi::api::core::v1::ResourceRequirements;

/// Fixed for the life of the process; [`crate::config::AiWorkers`] is what may change.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// Image of the worker.
    pub worker_image: String,
    /// Its pull policy: Always, IfNotPresent or Never.
    pub worker_image_pull_policy: String,
    /// Secrets with which it is pulled, in the job's namespace.
    pub worker_image_pull_secrets: Vec<String>,
    /// Requests and limits of workers whose job names none.
    pub worker_resources: ResourceRequirements,
    /// Size of a namespace's store claim.
    pub store_size: String,
    /// StorageClass of a namespace's store claim; the cluster's default where absent.
    pub store_class: Option<String>,
    /// Namespaces to watch; every one where empty.
    pub namespaces: Vec<String>,
    /// Base URL of the collector that traces go to, if there is one.
    pub otlp_endpoint: Option<String>,
}
