//! A namespace for one test, and what tests do in it. Creates, reads and deletes objects.

use std::{env, fmt::Debug, panic::AssertUnwindSafe};

use futures::FutureExt;
use k8s_openapi::{
    ByteString,
    api::core::v1::{ConfigMap, Namespace, Pod, Secret},
};
use kube::{
    Api, Client, Resource, ResourceExt,
    api::{DeleteParams, ListParams, PostParams},
    core::NamespaceResourceScope,
    runtime::watcher::Config,
};
use lexigram_api::resource::{ConditionType, EmbeddingBatch, IngestionJob, MaintenanceSchedule, State};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    cluster::{self, kubectl},
    helm::{Release, base_release},
    objects::Objects,
    wait::until,
};

/// Labels of the operator's pods.
pub const OPERATORS: &str = "app.kubernetes.io/name=lexigram-operator";
/// Labels of the pods of runs.
pub const WORKERS: &str = "batch.kubernetes.io/job-name";

/// A random namespace.
pub struct Sandbox {
    /// A client of the cluster.
    pub client: Client,
    /// Name of the namespace.
    pub namespace: String,
}

/// Runs `scenario` in a namespace with a release that watches it, installed with `values`.
///
/// # Panics
/// If the scenario does, after showing what the namespace holds.
pub fn sandbox(values: Value, scenario: impl AsyncFnOnce(&Sandbox)) {
    bare(async |it| {
        it.release(&values);
        scenario(it).await;
    });
}

/// Runs `scenario` in a namespace that nothing watches.
///
/// # Panics
/// As [`sandbox`].
pub fn bare(scenario: impl AsyncFnOnce(&Sandbox)) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let sandbox = Sandbox::open().await;
        let outcome = AssertUnwindSafe(scenario(&sandbox)).catch_unwind().await;
        if outcome.is_err() {
            sandbox.show();
        }
        sandbox.close().await;
        if let Err(panic) = outcome {
            std::panic::resume_unwind(panic);
        }
    });
}

impl Sandbox {
    async fn open() -> Self {
        let client = cluster::client().await;
        base_release(&client).await;
        let id = Uuid::new_v4().simple().to_string();
        let namespace = format!("lexigram-test-{}", id.split_at(8).0);
        let labels = [("pod-security.kubernetes.io/enforce".to_owned(), "restricted".to_owned())];
        let mut object = Namespace::default();
        object.metadata.name = Some(namespace.clone());
        object.metadata.labels = Some(labels.into());
        Api::<Namespace>::all(client.clone()).create(&PostParams::default(), &object).await.unwrap();
        Self { client, namespace }
    }

    /// Deletes the namespace with everything in it, without waiting for that; LEXIGRAM_TEST_KEEP=1 keeps it.
    async fn close(&self) {
        if env::var_os("LEXIGRAM_TEST_KEEP").is_some() {
            println!("the namespace {} is kept", self.namespace);
            return;
        }
        let namespaces = Api::<Namespace>::all(self.client.clone());
        if let Err(error) = namespaces.delete(&self.namespace, &DeleteParams::default()).await {
            println!("the namespace {} could not be deleted: {error}", self.namespace);
        }
    }

    /// Prints what a person needs to understand a failure.
    fn show(&self) {
        println!("---- namespace {}", self.namespace);
        for arguments in [
            "get lexigram,cronjobs,jobs,pods,persistentvolumeclaims --output wide",
            "get lexigram --output yaml",
            "get events --sort-by .metadata.creationTimestamp",
            "logs --selector app.kubernetes.io/name=lexigram-operator --tail 100",
            "logs --selector batch.kubernetes.io/job-name --tail 40 --prefix",
        ] {
            let line = ["--namespace", &self.namespace].into_iter().chain(arguments.split(' ')).collect::<Vec<_>>();
            println!("---- kubectl {arguments}");
            match kubectl(&line) {
                Ok(said) => println!("{said}"),
                Err(error) => println!("{error}"),
            }
        }
    }

    /// Installs or upgrades the release of this namespace. A changed configuration takes effect when the operator reads
    /// it again; a changed image or setting replaces the operator.
    pub fn release(&self, values: &Value) -> Release {
        let release = Release::within(&self.namespace);
        release.install(&self.own(values));
        release
    }

    /// These values, for a release that serves this namespace alone.
    #[must_use]
    pub fn own(&self, values: &Value) -> Value {
        let mut values = values.clone();
        values["watchNamespaces"] = json!([self.namespace]);
        values["crds"] = json!({"install": false});
        values
    }

    /// The objects of one kind in the namespace.
    #[must_use]
    pub fn api<K>(&self) -> Api<K>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
    {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    /// A client that acts as the ServiceAccount `name` of a namespace.
    pub async fn acting_as(&self, namespace: &str, name: &str) -> Client {
        cluster::client_as(&format!("system:serviceaccount:{namespace}:{name}")).await
    }

    /// Creates an object.
    pub async fn create<K>(&self, object: &K) -> K
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + Debug + Serialize + DeserializeOwned,
    {
        self.api::<K>().create(&PostParams::default(), object).await.unwrap()
    }

    /// The IngestionJobs of the namespace.
    #[must_use]
    pub fn jobs(&self) -> Objects<IngestionJob> {
        Objects::new(&self.client, &self.namespace)
    }

    /// The EmbeddingBatches of the namespace.
    #[must_use]
    pub fn batches(&self) -> Objects<EmbeddingBatch> {
        Objects::new(&self.client, &self.namespace)
    }

    /// The MaintenanceSchedules of the namespace.
    #[must_use]
    pub fn schedules(&self) -> Objects<MaintenanceSchedule> {
        Objects::new(&self.client, &self.namespace)
    }

    /// Creates an IngestionJob, see [`Objects::apply`].
    pub async fn ingest(&self, name: &str, spec: Value) -> IngestionJob {
        self.jobs().apply(name, spec).await
    }

    /// Changes an IngestionJob, see [`Objects::change`].
    pub async fn change(&self, name: &str, spec: Value) -> IngestionJob {
        self.jobs().change(name, spec).await
    }

    /// Creates a Secret from keys and values.
    pub async fn secret(&self, name: &str, values: &Value) {
        let secret = json!({"metadata": {"name": name}, "stringData": values});
        self.create::<Secret>(&serde_json::from_value(secret).unwrap()).await;
    }

    /// Creates a ConfigMap from file names and contents.
    pub async fn config_map(&self, name: &str, files: impl IntoIterator<Item = (String, Vec<u8>)>) {
        let mut map = ConfigMap::default();
        map.metadata.name = Some(name.to_owned());
        map.binary_data = Some(files.into_iter().map(|(name, content)| (name, ByteString(content))).collect());
        self.create(&map).await;
    }

    /// Waits for an IngestionJob, see [`Objects::until`].
    pub async fn until_job<T>(&self, name: &str, what: &str, found: impl FnMut(&IngestionJob) -> Option<T>) -> T {
        self.jobs().until(name, what, found).await
    }

    /// Waits for a condition of an IngestionJob, see [`Objects::until_true`].
    pub async fn until_true(&self, name: &str, kind: ConditionType) -> IngestionJob {
        self.jobs().until_true(name, kind).await
    }

    /// Waits for a state of an IngestionJob, see [`Objects::until_state`].
    pub async fn until_state(&self, name: &str, state: State, reason: &str) -> IngestionJob {
        self.jobs().until_state(name, state, reason).await
    }

    /// Waits until a run has ingested some documents and has a fifth or more left to do.
    pub async fn until_midway(&self, name: &str) -> IngestionJob {
        self.until_job(name, "is midway through its documents", |job| {
            let documents = job.status.as_ref()?.documents.as_ref()?;
            (documents.done > 0 && documents.done * 5 <= documents.total * 4).then(|| job.clone())
        })
        .await
    }

    /// Waits until an IngestionJob is no longer there.
    pub async fn until_gone(&self, name: &str) {
        self.jobs().until_gone(name).await;
    }

    /// Waits until no worker of a job is there.
    pub async fn until_no_workers(&self) {
        let workers = Config::default().labels(WORKERS);
        until(self.api::<Pod>(), workers, "no worker is there", |pods| pods.is_empty().then_some(())).await;
    }

    /// Deletes the pods with these labels as a crash would: at once, with no time to finish anything.
    pub async fn kill(&self, labels: &str) {
        let pods: Api<Pod> = self.api();
        let found = pods.list(&ListParams::default().labels(labels)).await.unwrap();
        assert!(!found.items.is_empty(), "there is no pod to kill with the labels {labels}");
        for pod in found {
            pods.delete(&pod.name_any(), &DeleteParams::default().grace_period(0)).await.unwrap();
        }
    }
}
