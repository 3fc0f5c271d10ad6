//! The objects of one kind in a namespace: applied as users do it, and watched until they are as expected. Creates and
//! reads objects.

use std::{collections::BTreeMap, fmt::Debug, marker::PhantomData};

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{
    Api, Client, Resource,
    api::{Patch, PatchParams},
    core::NamespaceResourceScope,
    runtime::watcher::Config,
};
use lexigram_api::resource::{
    ConditionType, EmbeddingBatch, IngestionJob, JobStatus, MaintenanceSchedule, State, condition,
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};

use crate::wait::{until, until_object};

/// Name of the suites as a field manager.
const MANAGER: &str = "lexigram-tests";

/// A kind of the product.
pub trait Object:
    Resource<DynamicType = (), Scope = NamespaceResourceScope>
    + Clone
    + Debug
    + Send
    + Serialize
    + DeserializeOwned
    + 'static
{
    /// The conditions in its status.
    fn conditions(&self) -> &[Condition];
}

/// A kind of job.
pub trait Job: Object {
    /// What every kind of job shows.
    fn job_status(&self) -> Option<&JobStatus>;
}

impl Object for IngestionJob {
    fn conditions(&self) -> &[Condition] {
        self.status.as_ref().map_or(&[], |status| &status.job.conditions)
    }
}

impl Object for EmbeddingBatch {
    fn conditions(&self) -> &[Condition] {
        self.status.as_ref().map_or(&[], |status| &status.job.conditions)
    }
}

impl Object for MaintenanceSchedule {
    fn conditions(&self) -> &[Condition] {
        self.status.as_ref().map_or(&[], |status| &status.conditions)
    }
}

impl Job for IngestionJob {
    fn job_status(&self) -> Option<&JobStatus> {
        self.status.as_ref().map(|status| &status.job)
    }
}

impl Job for EmbeddingBatch {
    fn job_status(&self) -> Option<&JobStatus> {
        self.status.as_ref().map(|status| &status.job)
    }
}

/// The objects of one kind in a namespace.
pub struct Objects<K> {
    client: Client,
    namespace: String,
    kind: PhantomData<K>,
}

impl<K: Object> Objects<K> {
    pub(crate) fn new(client: &Client, namespace: &str) -> Self {
        Self { client: client.clone(), namespace: namespace.to_owned(), kind: PhantomData }
    }

    fn api(&self) -> Api<K> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    /// Creates the object `name` as a user would write it.
    pub async fn apply(&self, name: &str, spec: Value) -> K {
        let manifest = json!({
            "apiVersion": K::api_version(&()), "kind": K::kind(&()),
            "metadata": {"name": name, "namespace": self.namespace}, "spec": spec,
        });
        let parameters = PatchParams::apply(MANAGER).validation_strict();
        self.api().patch(name, &parameters, &Patch::Apply(manifest)).await.unwrap()
    }

    /// Changes an object.
    pub async fn change(&self, name: &str, spec: Value) -> K {
        let patch = Patch::Merge(json!({"spec": spec}));
        self.api().patch(name, &PatchParams::default(), &patch).await.unwrap()
    }

    /// Writes annotations of an object.
    pub async fn annotate(&self, name: &str, annotations: &[(&str, &str)]) -> K {
        let annotations: BTreeMap<_, _> = annotations.iter().copied().collect();
        let patch = Patch::Merge(json!({"metadata": {"annotations": annotations}}));
        self.api().patch(name, &PatchParams::default(), &patch).await.unwrap()
    }

    /// Asks for another full run of an object, and returns what identifies the request.
    pub async fn request_run(&self, name: &str) -> String {
        let asked = Timestamp::from_second(Timestamp::now().as_second()).unwrap().to_string();
        self.annotate(name, &[("workers.lexigram.dev/run", &asked)]).await;
        asked
    }

    /// Waits until a full run that was asked for is complete.
    pub async fn until_run(&self, name: &str, asked: &str) -> K
    where
        K: Job,
    {
        self.until(name, &format!("has had the run asked for by {asked}"), |job| {
            let status = job.job_status()?;
            let complete = condition_of(job, ConditionType::Complete)?.status == "True";
            (complete && status.last_run_request.as_deref() == Some(asked)).then(|| job.clone())
        })
        .await
    }

    /// Waits for an object until `found` makes something of it.
    pub async fn until<T>(&self, name: &str, what: &str, found: impl FnMut(&K) -> Option<T>) -> T {
        until_object(self.api(), name, what, found).await
    }

    /// Waits until a condition of an object is True.
    pub async fn until_true(&self, name: &str, kind: ConditionType) -> K {
        let what = format!("is {}", kind.as_str());
        self.until(name, &what, |job| (condition_of(job, kind)?.status == "True").then(|| job.clone())).await
    }

    /// Waits until a condition of an object has that reason.
    pub async fn until_reason(&self, name: &str, kind: ConditionType, reason: &str) -> K {
        let what = format!("has {} because of {reason}", kind.as_str());
        self.until(name, &what, |object| (condition_of(object, kind)?.reason == reason).then(|| object.clone())).await
    }

    /// Waits until an object is in that state, for that reason.
    pub async fn until_state(&self, name: &str, state: State, reason: &str) -> K
    where
        K: Job,
    {
        let what = format!("is {} because of {reason}", state.as_str());
        self.until(name, &what, |job| {
            let current = condition_of(job, ConditionType::Complete)?;
            (job.job_status()?.state == Some(state) && current.reason == reason).then(|| job.clone())
        })
        .await
    }

    /// Waits until an object is no longer there.
    pub async fn until_gone(&self, name: &str) {
        let config = Config::default().fields(&format!("metadata.name={name}"));
        until(self.api(), config, &format!("{name} is gone"), |jobs| jobs.is_empty().then_some(())).await;
    }
}

/// A condition of an object.
#[must_use]
pub fn condition_of<K: Object>(object: &K, kind: ConditionType) -> Option<&Condition> {
    condition(object.conditions(), kind)
}
