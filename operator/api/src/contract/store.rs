//! Where vectors and ledger are kept, as a worker is told. No I/O, no secrets.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::postgres::PostgresSettings;

/// Where vectors and ledger are kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all_fields = "camelCase")]
pub enum StoreLocation {
    /// SQLite files on a local file system.
    Sqlite {
        /// The collection, or the ledger of batches that write files; made if it is not there.
        path: String,
        /// The embedding cache, which collections share; made if it is not there. Nothing is remembered where absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        cache: Option<String>,
    },
    /// Schemas of a Postgres database.
    Postgres(PostgresLocation),
}

/// A collection in a Postgres database with pgvector.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PostgresLocation {
    /// The database.
    #[serde(flatten)]
    pub server: PostgresServer,
    /// The collection, or the ledger of batches that write files; made if it is not there.
    pub collection: String,
}

/// A Postgres database with pgvector.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PostgresServer {
    /// Connection URI, or `file:PATH` of a file that holds it.
    pub uri: String,
    /// How the database is used.
    #[serde(flatten)]
    pub settings: PostgresSettings,
    /// File with certificates in PEM that are trusted beside the public ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<String>,
}
