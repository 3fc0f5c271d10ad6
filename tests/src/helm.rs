//! Releases of the chart. Runs `helm`.

use std::sync::Mutex;

use k8s_openapi::{
    api::core::v1::Pod, apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition,
};
use kube::{Api, Client, runtime::watcher::Config};
use serde_json::{Value, json};

use crate::{
    cluster::{ProgramError, image, repository, run},
    sandbox::OPERATORS,
    wait::{until, until_object},
};

/// A release of the chart.
#[derive(Clone, Debug)]
pub struct Release {
    name: String,
    namespace: String,
    /// The chart, as a path in the repository.
    chart: &'static str,
}

/// The chart in the tree.
const CHART: &str = "charts/lexigram-workers";
/// One from before it: that of commit 989f56d, which knew two kinds.
const PREVIOUS_CHART: &str = "tests/fixtures/previous-chart.tgz";

/// Whether this process has made sure of the base release.
static BASE: Mutex<bool> = Mutex::new(false);

/// Makes sure that the CRDs are there, by the release that `just demo` installs too: they belong to it, and another
/// release could not take them over. Its operator watches every namespace, so here it has no process.
pub async fn base_release(client: &Client) -> Release {
    let release = Release::within("lexigram-system");
    let first = {
        let mut done = BASE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if !*done {
            release.install(&json!({"operator": {"replicas": 0}}));
        }
        !std::mem::replace(&mut *done, true)
    };
    if first {
        release.until_no_operator(client).await;
    }
    for plural in ["embeddingbatches", "ingestionjobs", "maintenanceschedules"] {
        let name = format!("{plural}.workers.lexigram.dev");
        until_object(Api::all(client.clone()), &name, "is served", |crd: &CustomResourceDefinition| {
            let conditions = crd.status.as_ref()?.conditions.as_ref()?;
            conditions
                .iter()
                .any(|condition| condition.type_ == "Established" && condition.status == "True")
                .then_some(())
        })
        .await;
    }
    release
}

impl Release {
    /// A release for one namespace only, in that namespace; not yet installed.
    #[must_use]
    pub fn within(namespace: &str) -> Self {
        Self { name: "lexigram".to_owned(), namespace: namespace.to_owned(), chart: CHART }
    }

    /// The same release, installed from the chart before this one.
    #[must_use]
    pub fn previous(&self) -> Self {
        Self { chart: PREVIOUS_CHART, ..self.clone() }
    }

    /// Installs or upgrades the release: the images under test, workers small enough for several on a small node, and
    /// `values` over that.
    ///
    /// # Panics
    /// If helm fails.
    pub fn install(&self, values: &Value) {
        self.try_install(values).unwrap();
    }

    /// As [`Release::install`].
    ///
    /// # Errors
    /// What helm says.
    pub fn try_install(&self, values: &Value) -> Result<(), ProgramError> {
        let mut all = json!({
            "operator": {"image": image_value("LEXIGRAM_OPERATOR_IMAGE")},
            "worker": {
                "image": image_value("LEXIGRAM_WORKER_IMAGE"),
                "resources": {"requests": {"cpu": "100m", "memory": "256Mi"}, "limits": {"memory": "2Gi"}},
            },
            "store": {"size": "1Gi"},
        });
        merge(&mut all, values);
        let chart = repository(self.chart);
        let arguments = [
            "upgrade",
            "--install",
            &self.name,
            &chart.to_string_lossy(),
            "--namespace",
            &self.namespace,
            "--create-namespace",
            "--values",
            "-",
        ];
        run("helm", &arguments, &all.to_string()).map(drop)
    }

    /// What the chart makes of `values`, which are YAML.
    ///
    /// # Errors
    /// What helm says.
    pub fn render(&self, values: &str) -> Result<String, ProgramError> {
        let chart = repository("charts/lexigram-workers");
        let chart = chart.to_string_lossy();
        // helm asks no cluster here, and takes an old version for granted
        let arguments = ["template", &self.name, &chart, "--kube-version", "1.31.0", "--values", "-"];
        run("helm", &arguments, values)
    }

    /// Uninstalls the release.
    ///
    /// # Panics
    /// If helm fails.
    pub fn uninstall(&self) {
        run("helm", &["uninstall", &self.name, "--namespace", &self.namespace, "--wait"], "").unwrap();
    }

    /// Namespace of the release.
    #[must_use]
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// Waits until the last pod of the release's operator has gone.
    pub async fn until_no_operator(&self, client: &Client) {
        let pods: Api<Pod> = Api::namespaced(client.clone(), &self.namespace);
        until(pods, Config::default().labels(OPERATORS), "the operator has gone", |pods: &[&Pod]| {
            pods.is_empty().then_some(())
        })
        .await;
    }
}

/// An image as the chart's values take it: repository and tag apart, also where the registry has a port.
fn image_value(variable: &str) -> Value {
    let image = image(variable);
    let (repository, tag) = image.rsplit_once(':').unwrap_or((&image, "latest"));
    json!({"repository": repository, "tag": tag})
}

/// Lays `over` upon `base`, as helm does with values.
fn merge(base: &mut Value, over: &Value) {
    match (base, over) {
        (Value::Object(base), Value::Object(over)) => {
            for (key, value) in over {
                merge(base.entry(key).or_insert(Value::Null), value);
            }
        }
        (base, over) => *base = over.clone(),
    }
}
