//! What is in a store, as a user finds out: the worker's own commands in a pod that mounts the claim. Creates pods.

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::Pod;
use kube::api::LogParams;
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{cluster::image, sandbox::Sandbox, wait::until_object};

/// The claim with a namespace's stores, and the value of the label that keeps its pods on one node.
const CLAIM: &str = "lexigram-store";

/// A chunk that was found.
#[derive(Clone, Debug, Deserialize)]
pub struct Hit {
    /// Id of the chunk.
    pub id: String,
    /// Cosine similarity.
    pub score: f64,
    /// Name of the document.
    pub document: String,
    /// Position within the document.
    pub ordinal: i32,
    /// Text of the chunk.
    pub text: String,
}

/// A row of the ledger.
#[derive(Clone, Debug, Deserialize)]
pub struct StoredDocument {
    /// Name of the document.
    pub document: String,
    /// Where it stands.
    pub state: String,
    /// Stored chunks.
    pub chunks: i64,
    /// Attempts spent.
    pub attempts: i32,
}

/// The model that a question is embedded with: that of the collection.
#[derive(Clone, Debug)]
pub enum Model {
    /// One in the image.
    Image,
    /// One in the folder of its name, on a volume.
    Volume {
        /// Where the volume is mounted, below `/models`.
        path: String,
        /// The volume's source, as a pod has it.
        source: Value,
    },
    /// That of a server.
    Server {
        /// Its URL.
        url: String,
    },
}

impl Sandbox {
    /// The chunks of a collection that are nearest to a question, `limit` at the most.
    pub async fn search(&self, collection: &str, question: &str, limit: u16) -> Vec<Hit> {
        self.search_by(&Model::Image, collection, question, limit).await
    }

    /// The same of a collection with another model.
    pub async fn search_by(&self, model: &Model, collection: &str, question: &str, limit: u16) -> Vec<Hit> {
        let (store, limit) = (store(collection), limit.to_string());
        let mut arguments = vec!["search", "--store", &store, "--limit", &limit, "--json", question];
        let mut volumes = Vec::new();
        match model {
            Model::Image => {}
            Model::Volume { path, source } => {
                arguments.extend(["--models", "/models"]);
                volumes.push((path.as_str(), source));
            }
            Model::Server { url } => arguments.extend(["--embedding-url", url]),
        }
        self.ask(&arguments, &volumes).await
    }

    /// The ledger of a collection.
    pub async fn documents(&self, collection: &str) -> Vec<StoredDocument> {
        self.ask(&["documents", "--store", &store(collection), "--json"], &[]).await
    }

    /// Checks that a collection holds `count` documents, each done and none of its chunks doubled.
    ///
    /// # Panics
    /// If it does not.
    pub async fn assert_whole(&self, collection: &str, count: usize) {
        let rows = self.documents(collection).await;
        let names: BTreeSet<_> = rows.iter().map(|row| &row.document).collect();
        assert_eq!((rows.len(), names.len()), (count, count), "documents in the ledger, and different ones");
        for row in &rows {
            assert!(row.state == "Done" && row.chunks > 0, "{row:?}");
        }
        // a chunk that is there twice is as near to a question both times
        let hits = self.search(collection, &rows[0].document, 100).await;
        let places: BTreeSet<_> = hits.iter().map(|hit| (&hit.document, hit.ordinal)).collect();
        let ids: BTreeSet<_> = hits.iter().map(|hit| &hit.id).collect();
        assert_eq!((places.len(), ids.len()), (hits.len(), hits.len()), "chunks found, and different ones");
        for hit in &hits {
            let row = rows.iter().find(|row| row.document == hit.document);
            assert!(row.is_some_and(|row| i64::from(hit.ordinal) < row.chunks), "no ledger row has the chunk {hit:?}");
        }
    }

    /// Checks that a collection holds `count` rows of batches: as many vectors, in ranges that are all done.
    ///
    /// # Panics
    /// If it does not.
    pub async fn assert_rows(&self, collection: &str, count: i64) {
        let ranges = self.documents(collection).await;
        assert!(ranges.iter().all(|range| range.state == "Done"), "{ranges:?}");
        assert_eq!(ranges.iter().map(|range| range.chunks).sum::<i64>(), count, "{ranges:?}");
        let hits = self.search(collection, "anything", 100).await;
        let ids: BTreeSet<_> = hits.iter().map(|hit| &hit.document).collect();
        assert_eq!(ids.len(), hits.len(), "a row is there twice: {hits:?}");
    }

    /// What the worker's command answers that a pod runs with the stores and these volumes, by where they are mounted.
    async fn ask<T: DeserializeOwned>(&self, arguments: &[&str], volumes: &[(&str, &Value)]) -> T {
        let mut pod = asking(arguments);
        pod["metadata"]["labels"] = json!({"workers.lexigram.dev/store-claim": CLAIM});
        pod["spec"]["affinity"] = json!({"podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [{
            "topologyKey": "kubernetes.io/hostname",
            "labelSelector": {"matchLabels": {"workers.lexigram.dev/store-claim": CLAIM}},
        }]}});
        let stores = json!({"persistentVolumeClaim": {"claimName": CLAIM}});
        let volumes = [&[("/store", &stores)], volumes].concat();
        let (volumes, mounts): (Vec<_>, Vec<_>) = volumes.iter().enumerate().map(volume).unzip();
        pod["spec"]["volumes"] = volumes.into();
        pod["spec"]["containers"][0]["volumeMounts"] = mounts.into();
        self.answer(pod, arguments).await
    }

    /// What the worker's command answers that a pod runs, in JSON.
    pub(crate) async fn answer<T: DeserializeOwned>(&self, pod: Value, arguments: &[&str]) -> T {
        let name = pod["metadata"]["name"].as_str().unwrap_or_default().to_owned();
        self.create::<Pod>(&serde_json::from_value(pod).unwrap()).await;
        let phase = until_object(self.api(), &name, "has ended", |pod: &Pod| {
            pod.status.as_ref()?.phase.clone().filter(|phase| phase == "Succeeded" || phase == "Failed")
        })
        .await;
        let said = self.api::<Pod>().logs(&name, &LogParams::default()).await.unwrap();
        assert_eq!(phase, "Succeeded", "lexigram-worker {}: {said}", arguments.join(" "));
        serde_json::from_str(&said)
            .unwrap_or_else(|error| panic!("lexigram-worker {}: {error}: {said}", arguments.join(" ")))
    }
}

/// A pod that runs the worker's command with these arguments, once.
pub(crate) fn asking(arguments: &[&str]) -> Value {
    json!({
        "metadata": {"name": format!("ask-{}", Uuid::new_v4().simple())},
        "spec": {
            "restartPolicy": "Never",
            "automountServiceAccountToken": false,
            "securityContext": {
                "runAsNonRoot": true, "runAsUser": 65532, "runAsGroup": 65532, "fsGroup": 65532,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": [{
                "name": "ask",
                "image": image("LEXIGRAM_WORKER_IMAGE"),
                "imagePullPolicy": "IfNotPresent",
                "args": arguments,
                "securityContext": {
                    "allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true, "capabilities": {"drop": ["ALL"]},
                },
            }],
        },
    })
}

/// A volume of a pod, and its mount.
fn volume((number, (path, source)): (usize, &(&str, &Value))) -> (Value, Value) {
    let name = format!("volume-{number}");
    let mut volume = (*source).clone();
    volume["name"] = name.as_str().into();
    (volume, json!({"name": name, "mountPath": path}))
}

fn store(collection: &str) -> String {
    format!("/store/{collection}.db")
}
