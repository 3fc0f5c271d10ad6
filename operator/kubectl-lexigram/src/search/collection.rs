//! A collection, by what the job that fills it says: its store, its model, where its workers run. No I/O.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::{Resource, ResourceExt};
use lexigram_api::{
    contract::{Embedding, StoreLocation},
    pod::{Mount, provider, store},
    resource::{EmbeddingBatch, IngestionJob, JobOptions, Store, WorkerOverrides},
};

/// A collection and what it takes to search it.
#[derive(Clone, Debug, PartialEq)]
pub struct Collection {
    /// Where it is.
    pub store: StoreLocation,
    /// The model that has filled it; the store's own word where no job says it.
    pub embedding: Option<Embedding>,
    /// The volumes that both need.
    pub mounts: Vec<Mount>,
    /// How the pods of its job are run.
    pub overrides: WorkerOverrides,
}

impl Collection {
    /// The collection of that name as the newest job that fills it has it. What is stored outlives jobs: without one it
    /// is taken to be in the namespace's store.
    pub fn find(name: &str, jobs: &[IngestionJob], batches: &[EmbeddingBatch]) -> Self {
        let jobs = jobs
            .iter()
            .filter(|job| job.spec.collection_or(&job.name_any()) == name)
            .map(|job| (created(job), &job.spec.job));
        let batches = batches
            .iter()
            .filter(|batch| batch.spec.collection_or(&batch.name_any()) == Some(name))
            .map(|batch| (created(batch), &batch.spec.job));
        match jobs.chain(batches).max_by(|(one, _), (other, _)| one.cmp(other)) {
            Some((_, options)) => Self::of(name, options),
            None => Self {
                store: store::location(&Store::default(), name),
                embedding: None,
                mounts: vec![Mount::store()],
                overrides: WorkerOverrides::default(),
            },
        }
    }

    fn of(name: &str, options: &JobOptions) -> Self {
        let mut mounts: Vec<Mount> = options.store.embedded.is_some().then(Mount::store).into_iter().collect();
        mounts.extend(store::mounts(&options.store));
        mounts.extend(provider::mounts(&options.embedding));
        Self {
            store: store::location(&options.store, name),
            embedding: Some(provider::embedding(&options.embedding, 1)),
            mounts,
            overrides: options.worker.clone(),
        }
    }
}

fn created(object: &impl Resource) -> Option<&Time> {
    object.meta().creation_timestamp.as_ref()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn job(name: &str, time: &str, spec: Value) -> IngestionJob {
        let mut spec = spec;
        spec["source"] = json!({"configMap": {"name": "notes"}});
        serde_json::from_value(json!({
            "apiVersion": "workers.lexigram.dev/v1alpha1", "kind": "IngestionJob",
            "metadata": {"name": name, "creationTimestamp": time}, "spec": spec,
        }))
        .unwrap()
    }

    fn paths(collection: &Collection) -> Vec<&str> {
        collection.mounts.iter().map(|mount| mount.path).collect()
    }

    #[test]
    fn the_newest_job_that_fills_it_says_where_it_is() {
        let postgres = json!({"postgres": {"connectionSecretRef": {"name": "database"}, "tlsMode": "Disable"}});
        let server =
            json!({"openAI": {"url": "https://api.example/v1", "model": "m", "apiKeySecretRef": {"name": "key"}}});
        let jobs = [
            job("docs", "2027-01-15T08:00:00Z", json!({})),
            job("later", "2027-01-15T09:00:00Z", json!({"collection": "docs", "store": postgres, "embedding": server})),
            job("other", "2027-01-15T10:00:00Z", json!({})),
        ];
        let found = Collection::find("docs", &jobs, &[]);
        let store = serde_json::to_value(&found.store).unwrap();
        assert_eq!(
            (&store["type"], &store["collection"], &store["tlsMode"]),
            (&json!("Postgres"), &json!("docs"), &json!("Disable"))
        );
        assert_eq!(paths(&found), ["/etc/lexigram/store-uri", "/etc/lexigram/embedding-key"]);
        assert_eq!(serde_json::to_value(&found.embedding).unwrap()["provider"]["type"], "OpenAI");
    }

    #[test]
    fn without_a_job_it_is_in_the_namespaces_store() {
        let found = Collection::find("docs", &[], &[]);
        assert_eq!(serde_json::to_value(&found.store).unwrap()["path"], "/store/docs.db");
        assert_eq!((paths(&found), &found.embedding), (vec!["/store"], &None));
    }
}
