//! What a worker is told to do: one JSON file, immutable for the life of a run. No I/O, no secrets.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    document::{Chunking, Parsing, SyncMode},
    failure::FailurePolicy,
};

/// The whole work spec.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct WorkSpec {
    /// [`super::CONTRACT_VERSION`].
    pub contract_version: String,
    /// Name of the run: the Kubernetes Job. Pods of one run share it, so that a second pod goes on where the first ended.
    pub run: String,
    /// What to do.
    pub task: Task,
}

/// What to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type")]
pub enum Task {
    /// Ingest documents.
    Ingest(Box<IngestTask>),
    /// Succeed at once (`ai_workers.stub`).
    Stub,
}

/// Ingestion of one source into one collection.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct IngestTask {
    /// The collection that chunks go into.
    pub collection: String,
    /// Which source the documents belong to, for instance `configMap/handbook`: document ids are unique within it,
    /// and [`SyncMode::Mirror`] removes nothing outside it.
    pub scope: String,
    /// Everything, or only what is due for a retry.
    pub mode: Mode,
    /// Where documents come from.
    pub source: SourceLocation,
    /// Globs on document names; everything where empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub include: Vec<String>,
    /// Globs on document names to leave out; stronger than `include`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exclude: Vec<String>,
    /// What happens to documents that are gone from the source.
    #[serde(default)]
    pub sync: SyncMode,
    /// Limits for parsing.
    #[serde(default)]
    pub parsing: Parsing,
    /// How text is cut.
    #[serde(default)]
    pub chunking: Chunking,
    /// Name of the embedding model, a folder of the worker's models directory.
    pub model: String,
    /// Where vectors and ledger are kept.
    pub store: StoreLocation,
    /// What happens to documents that fail.
    #[serde(default)]
    pub failure_policy: FailurePolicy,
}

/// Which documents a run takes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all_fields = "camelCase")]
pub enum Mode {
    /// List the source; take every document that is new, changed or not done.
    Full,
    /// List nothing; take the failed documents whose next attempt was due at that time.
    Retry {
        /// Items due at this time or before.
        due_before: Timestamp,
    },
}

/// Where documents come from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all_fields = "camelCase")]
pub enum SourceLocation {
    /// Files below a directory: a mounted ConfigMap or claim, or a folder of the user's.
    Directory {
        /// The directory.
        path: String,
    },
    /// Single documents by URL.
    Http {
        /// The documents.
        urls: Vec<String>,
        /// Directory with one file a request header.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        headers_directory: Option<String>,
    },
    /// Documents that stand in the spec itself.
    Inline {
        /// The documents.
        documents: Vec<InlineDocument>,
    },
}

/// A document that stands in the spec itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct InlineDocument {
    /// Name of the document, unique within the list; its ending tells the type (`.md`, `.html`, plain text otherwise).
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    /// Text of the document.
    #[schemars(length(max = 65_536))]
    pub text: String,
}

/// Where vectors and ledger are kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all_fields = "camelCase")]
pub enum StoreLocation {
    /// One SQLite file.
    Sqlite {
        /// The file; made if it is not there.
        path: String,
    },
}
