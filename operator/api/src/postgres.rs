//! Settings of the Postgres store: the same words in a manifest and in a work spec. No I/O.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// TLS: Disable, Require (encrypted, whose certificate the server shows is not checked) or VerifyFull (it is checked, the host's name included). As the URI's `sslmode` says where absent, and VerifyFull if that says nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub enum TlsMode {
    /// Not at all.
    Disable,
    /// It is encrypted; whose certificate the server shows is not checked.
    Require,
    /// It is encrypted, and the server's certificate is checked, its name included.
    VerifyFull,
}

/// How a Postgres database is used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PostgresSettings {
    /// What the names of the store's schemas begin with: the collection `docs` lies in the schema `lexigram_docs`. The user needs the right to create schemas, or has to own them.
    #[schemars(length(min = 1, max = 32), regex(pattern = r"^[a-z][a-z0-9_]*$"))]
    #[serde(default = "schema_prefix")]
    pub schema_prefix: String,
    /// How a connection is protected; the type's words are those that a schema shows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls_mode: Option<TlsMode>,
    /// Most connections of a run, all its workers together. Each worker needs two.
    #[schemars(range(min = 2, max = 10_000))]
    #[serde(default = "max_connections")]
    pub max_connections: i32,
    /// Seconds that one statement may take; making an index may take longer.
    #[schemars(range(min = 1, max = 3600))]
    #[serde(default = "statement_timeout_seconds")]
    pub statement_timeout_seconds: i32,
}

impl Default for PostgresSettings {
    fn default() -> Self {
        Self {
            schema_prefix: schema_prefix(),
            tls_mode: None,
            max_connections: max_connections(),
            statement_timeout_seconds: statement_timeout_seconds(),
        }
    }
}

fn schema_prefix() -> String {
    "lexigram_".to_owned()
}

const fn max_connections() -> i32 {
    20
}

const fn statement_timeout_seconds() -> i32 {
    60
}
