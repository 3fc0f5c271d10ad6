//! The operators of a cluster, as their Deployments show them. [`find`] reads the cluster, the rest does no I/O.

use clap::Args;
use k8s_openapi::api::{apps::v1::Deployment, core::v1::ResourceRequirements};
use kube::{Api, ResourceExt, api::ListParams};

use crate::{cluster::Cluster, error::PluginError};

/// Label of the chart on everything of an operator.
const LABEL: &str = "app.kubernetes.io/name=lexigram-operator";

/// Where operators are looked for.
#[derive(Clone, Debug, Default, Args)]
pub struct OperatorArguments {
    /// Namespace of the operator; looked for in every one where absent
    #[arg(long, value_name = "NAMESPACE")]
    pub operator_namespace: Option<String>,
}

/// An operator's Deployment.
#[derive(Clone, Debug, PartialEq)]
pub struct Operator(pub Deployment);

/// The operators of the cluster, or of the namespace that is given.
pub async fn find(cluster: &Cluster, arguments: &OperatorArguments) -> Result<Vec<Operator>, PluginError> {
    let api: Api<Deployment> = match &arguments.operator_namespace {
        Some(namespace) => Api::namespaced(cluster.client.clone(), namespace),
        None => Api::all(cluster.client.clone()),
    };
    Ok(api.list(&ListParams::default().labels(LABEL)).await?.into_iter().map(Operator).collect())
}

/// The operator that watches a namespace: of several one that has a process.
pub fn serving<'a>(operators: &'a [Operator], namespace: &str) -> Option<&'a Operator> {
    let watching = || operators.iter().filter(|operator| operator.watches(namespace));
    watching().find(|operator| operator.replicas().0 > 0).or_else(|| watching().next())
}

impl Operator {
    /// Namespace and name of the Deployment.
    pub fn place(&self) -> (String, String) {
        (self.0.namespace().unwrap_or_default(), self.0.name_any())
    }

    /// What an environment variable of the operator says; none where it is empty.
    pub fn setting(&self, name: &str) -> Option<&str> {
        let pod = self.0.spec.as_ref()?.template.spec.as_ref()?;
        let variables = pod.containers.first()?.env.as_ref()?;
        let variable = variables.iter().find(|variable| variable.name == name)?;
        variable.value.as_deref().filter(|value| !value.is_empty())
    }

    /// Whether it watches a namespace.
    pub fn watches(&self, namespace: &str) -> bool {
        self.setting("LEXIGRAM_NAMESPACES").is_none_or(|list| list.split(',').any(|watched| watched == namespace))
    }

    /// Processes that it should have, and those that are available.
    pub fn replicas(&self) -> (i32, i32) {
        let wanted = self.0.spec.as_ref().and_then(|spec| spec.replicas).unwrap_or(1);
        (wanted, self.0.status.as_ref().and_then(|status| status.available_replicas).unwrap_or(0))
    }

    /// Its pods.
    pub fn selector(&self) -> String {
        let labels = self.0.spec.as_ref().and_then(|spec| spec.selector.match_labels.clone());
        let pairs = labels.unwrap_or_default().into_iter().map(|(key, value)| format!("{key}={value}"));
        pairs.collect::<Vec<_>>().join(",")
    }

    /// Its release, as the chart labels it.
    pub fn version(&self) -> Option<&str> {
        self.0.labels().get("app.kubernetes.io/version").map(String::as_str)
    }

    /// The command that changes a value of its chart; `--set` is to follow.
    pub fn upgrade(&self) -> String {
        let release = self.0.labels().get("app.kubernetes.io/instance").map_or("lexigram", String::as_str);
        let (namespace, _) = self.place();
        format!("helm upgrade {release} charts/lexigram-workers --namespace {namespace} --reuse-values")
    }

    /// How workers are to be run.
    pub fn worker(&self) -> Option<WorkerImage> {
        let secrets = self.setting("LEXIGRAM_WORKER_IMAGE_PULL_SECRETS");
        let resources = self.setting("LEXIGRAM_WORKER_RESOURCES");
        Some(WorkerImage {
            image: self.setting("LEXIGRAM_WORKER_IMAGE")?.to_owned(),
            pull_policy: self.setting("LEXIGRAM_WORKER_IMAGE_PULL_POLICY").map(str::to_owned),
            pull_secrets: secrets.into_iter().flat_map(|list| list.split(',')).map(str::to_owned).collect(),
            resources: resources.and_then(|json| serde_json::from_str(json).ok()),
        })
    }
}

/// How workers are to be run.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct WorkerImage {
    /// The image.
    pub image: String,
    /// Its pull policy.
    pub pull_policy: Option<String>,
    /// Secrets with which it is pulled.
    pub pull_secrets: Vec<String>,
    /// Requests and limits.
    pub resources: Option<ResourceRequirements>,
}

/// An operator's Deployment in tests, as the chart makes it, with these environment variables.
#[cfg(test)]
pub fn operator(namespace: &str, settings: &[(&str, &str)]) -> Operator {
    use serde_json::{Value, json};

    let env: Vec<Value> = settings.iter().map(|(name, value)| json!({"name": name, "value": value})).collect();
    let labels = json!({"app.kubernetes.io/name": "lexigram-operator", "app.kubernetes.io/instance": "lexigram",
        "app.kubernetes.io/version": env!("CARGO_PKG_VERSION")});
    let deployment = json!({
        "metadata": {"name": "lexigram-operator", "namespace": namespace, "labels": labels},
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": {"app.kubernetes.io/instance": "lexigram"}},
            "template": {"spec": {"containers": [{"name": "operator", "env": env}]}},
        },
        "status": {"availableReplicas": 1},
    });
    Operator(serde_json::from_value(deployment).unwrap())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_operator_watches_its_list_or_everything() {
        let everywhere = operator("system", &[("LEXIGRAM_NAMESPACES", "")]);
        assert!(everywhere.watches("any"));
        let listed = operator("system", &[("LEXIGRAM_NAMESPACES", "a,b")]);
        assert!(listed.watches("b") && !listed.watches("c"));
    }

    #[test]
    fn the_image_of_workers_is_in_the_environment() {
        let settings = [
            ("LEXIGRAM_WORKER_IMAGE", "worker:1"),
            ("LEXIGRAM_WORKER_IMAGE_PULL_POLICY", "Never"),
            ("LEXIGRAM_WORKER_IMAGE_PULL_SECRETS", "a,b"),
            ("LEXIGRAM_WORKER_RESOURCES", r#"{"limits": {"memory": "1Gi"}}"#),
        ];
        let worker = operator("system", &settings).worker().unwrap();
        assert_eq!((worker.image.as_str(), worker.pull_policy.as_deref()), ("worker:1", Some("Never")));
        assert_eq!(worker.pull_secrets, ["a", "b"]);
        assert_eq!(worker.resources.unwrap().limits.unwrap()["memory"].0, "1Gi");
        assert_eq!(operator("system", &[]).worker(), None);
    }
}
