//! A Postgres database with pgvector in a namespace, as users have one: a pod, a Service, a Secret with its URI. Creates
//! objects.

use k8s_openapi::api::core::v1::{Pod, Service};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::{
    Sandbox, StoredDocument,
    cluster::{image, kubectl},
    store::{Hit, asking},
    wait::until_object,
};

/// Password of the image's superuser, as tests/kind/postgres/prepare.sh sets it.
const PASSWORD: &str = "in-a-test-only";

/// A running database; it goes with its namespace.
pub struct Postgres<'a> {
    sandbox: &'a Sandbox,
    uri: String,
}

impl<'a> Postgres<'a> {
    /// Name of the Secret with the URI, under the key `uri`.
    pub const SECRET: &'static str = "database";

    /// The store that this database is, as a spec has it.
    #[must_use]
    pub fn store() -> Value {
        Self::store_by(Self::SECRET)
    }

    /// The same by the URI of another Secret.
    #[must_use]
    pub fn store_by(secret: &str) -> Value {
        json!({"postgres": {"connectionSecretRef": {"name": secret}, "tlsMode": "Disable"}})
    }

    /// Starts a database, and waits until it takes connections.
    pub async fn start(sandbox: &'a Sandbox) -> Self {
        let labels = json!({"app": "database"});
        let pod = json!({
            "metadata": {"name": "database", "labels": labels},
            "spec": {
                "automountServiceAccountToken": false,
                "securityContext": {
                    "runAsNonRoot": true, "runAsUser": 65532, "runAsGroup": 65532,
                    "seccompProfile": {"type": "RuntimeDefault"},
                },
                "containers": [{
                    "name": "postgres",
                    "image": image("LEXIGRAM_POSTGRES_IMAGE"),
                    "imagePullPolicy": "IfNotPresent",
                    "ports": [{"containerPort": 5432}],
                    "readinessProbe": {"tcpSocket": {"port": 5432}, "periodSeconds": 1},
                    "securityContext": {"allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}},
                }],
            },
        });
        sandbox.create::<Pod>(&serde_json::from_value(pod).unwrap()).await;
        let service = json!({
            "metadata": {"name": "database"},
            "spec": {"selector": labels, "ports": [{"port": 5432, "targetPort": 5432}]},
        });
        sandbox.create::<Service>(&serde_json::from_value(service).unwrap()).await;
        let uri = format!("postgresql://postgres:{PASSWORD}@database.{}.svc:5432/postgres", sandbox.namespace);
        sandbox.secret(Self::SECRET, &json!({"uri": uri})).await;
        until_object(sandbox.api(), "database", "takes connections", |pod: &Pod| {
            let conditions = pod.status.as_ref()?.conditions.as_ref()?;
            conditions.iter().find(|condition| condition.type_ == "Ready" && condition.status == "True").map(|_| ())
        })
        .await;
        Self { sandbox, uri }
    }

    /// The chunks of a collection that fit a question best by meaning and words.
    pub async fn search(&self, collection: &str, question: &str) -> Vec<Hit> {
        self.ask(&["search", "--mode", "hybrid", "--collection", collection, "--json", question]).await
    }

    /// The ledger of a collection.
    pub async fn documents(&self, collection: &str) -> Vec<StoredDocument> {
        self.ask(&["documents", "--collection", collection, "--json"]).await
    }

    /// What the database answers to a statement: a line a row, by the server's own client.
    ///
    /// # Panics
    /// If it refuses the statement.
    pub fn sql(&self, statement: &str) -> String {
        let client = "/postgres/server/pginstall/bin/psql";
        let local = format!("postgresql://postgres:{PASSWORD}@127.0.0.1:5432/postgres");
        let words =
            ["exec", "database", "--", client, &local, "--no-psqlrc", "--tuples-only", "--no-align", "--command"];
        let words = [&["--namespace", self.sandbox.namespace.as_str()], words.as_slice(), &[statement]].concat();
        kubectl(&words).unwrap().trim().to_owned()
    }

    async fn ask<T: DeserializeOwned>(&self, arguments: &[&str]) -> T {
        let uri = format!("{}?sslmode=disable", self.uri);
        let arguments = [arguments, &["--store", &uri]].concat();
        self.sandbox.answer(asking(&arguments), &arguments).await
    }
}
