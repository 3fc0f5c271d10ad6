//! A Postgres database with pgvector in a namespace, as users have one: a pod, a Service, a Secret with its URI. Creates
//! objects.

use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::{
    Sandbox, StoredDocument,
    cluster::kubectl,
    server_pod::ServerPod,
    store::{Hit, asking},
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
        let server = ServerPod {
            name: "database",
            image: "LEXIGRAM_POSTGRES_IMAGE",
            ready: 5432,
            volumes: Vec::new(),
            ports: json!([{"port": 5432, "targetPort": 5432}]),
        };
        server.start(sandbox).await;
        let uri = format!("postgresql://postgres:{PASSWORD}@database.{}.svc:5432/postgres", sandbox.namespace);
        sandbox.secret(Self::SECRET, &json!({"uri": uri})).await;
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
