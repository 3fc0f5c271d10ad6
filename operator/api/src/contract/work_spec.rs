//! What a worker is told to do: one JSON file, immutable for the life of a run. No I/O, no secrets.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{CONTRACT_VERSION, MaintainTask, NetworkAccess, SourceLocation, StoreLocation};
use crate::{
    document::{Chunking, Parsing, SyncMode},
    embedding::{ModelChange, OpenAISettings},
    failure::{FailureCategory, FailurePolicy},
    text::{InlineText, TextFields, TextFormat, VectorFormat},
};

/// The whole work spec.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct WorkSpec {
    /// `v1alpha1`: the version of this contract.
    #[schemars(extend("const" = CONTRACT_VERSION))]
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
    /// Embed texts.
    Embed(Box<EmbedTask>),
    /// Maintain a store.
    Maintain(Box<MaintainTask>),
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
    /// and the sync mode Mirror removes nothing outside it.
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
    /// Which model turns text into vectors.
    pub embedding: Embedding,
    /// Where vectors and ledger are kept.
    pub store: StoreLocation,
    /// What happens to documents that fail.
    #[serde(default)]
    pub failure_policy: FailurePolicy,
}

/// Embedding of the texts of one input.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct EmbedTask {
    /// Which batch the texts belong to, for instance `batch/reviews`: their ids are unique within it.
    pub scope: String,
    /// Everything, or only what is due for a retry.
    pub mode: Mode,
    /// Where texts come from.
    pub input: InputLocation,
    /// How the input is written; by the ending of its name where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub format: Option<TextFormat>,
    /// Which fields of a row mean what.
    #[serde(default)]
    pub fields: TextFields,
    /// Whether equal texts are embedded once, and vectors that the store remembers are used.
    pub deduplicate: bool,
    /// Read and count only.
    #[serde(default)]
    pub dry_run: bool,
    /// Which model turns text into vectors.
    pub embedding: Embedding,
    /// Where vectors go.
    pub output: OutputLocation,
    /// The store: the ledger, the cache, and the collection if there is one.
    pub store: StoreLocation,
    /// What happens to texts that fail.
    #[serde(default)]
    pub failure_policy: FailurePolicy,
}

/// Where texts come from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all_fields = "camelCase")]
pub enum InputLocation {
    /// A file: in a mounted ConfigMap or claim.
    File {
        /// The file.
        path: String,
    },
    /// A file by URL.
    Http {
        /// The file.
        url: String,
        /// Directory with one file a request header.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        headers_directory: Option<String>,
        /// How the server is reached.
        #[serde(flatten)]
        access: NetworkAccess,
    },
    /// Texts that stand in the spec itself.
    Inline {
        /// The texts.
        texts: Vec<InlineText>,
    },
}

/// Where the vectors of a batch go.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all_fields = "camelCase")]
pub enum OutputLocation {
    /// Into a collection, to be searched.
    Collection {
        /// Name of the collection.
        collection: String,
    },
    /// Into files below a directory, `part-00000.parquet` and so on, each written under a temporary name and renamed.
    Files {
        /// The directory; made if it is not there.
        directory: String,
        /// How vectors are written.
        format: VectorFormat,
        /// Whose output the directory holds: no other batch writes there.
        owner: String,
    },
}

/// Which model turns text into vectors, and what happens to texts that are too long for it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Embedding {
    /// The provider of vectors.
    pub provider: EmbeddingProvider,
    /// Whether a text with more tokens than the model takes is cut; it fails as InvalidInput otherwise.
    #[serde(default)]
    pub truncate: bool,
    /// What happens to a collection that another model has filled.
    #[serde(default)]
    pub on_model_change: ModelChange,
    /// Worker pods that share the provider's budget of requests and tokens.
    #[serde(default = "one")]
    pub shards: i32,
}

const fn one() -> i32 {
    1
}

impl Embedding {
    /// A model of the worker's models directory.
    #[must_use]
    pub fn local(model: &str) -> Self {
        Self {
            provider: EmbeddingProvider::Local { model: model.to_owned(), directory: None },
            truncate: false,
            on_model_change: ModelChange::Refuse,
            shards: 1,
        }
    }
}

/// The provider of vectors.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all_fields = "camelCase")]
pub enum EmbeddingProvider {
    /// A model that runs in the worker.
    Local {
        /// Name of the model: a folder of the models directory, unless `directory` is given.
        model: String,
        /// The model's own directory: a mounted claim or ConfigMap.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        directory: Option<String>,
    },
    /// A server with an OpenAI-compatible interface.
    OpenAI {
        /// How it is asked.
        #[serde(flatten)]
        settings: OpenAISettings,
        /// File that holds the key sent as bearer token; none is sent where absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        api_key_file: Option<String>,
        /// Directory with one file a request header.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        headers_directory: Option<String>,
        /// File with certificates in PEM that are trusted beside the public ones.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        ca_file: Option<String>,
    },
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
    /// List nothing; a person asks for dead letters to be tried again at once, archived ones among them. Each begins
    /// with no attempt spent.
    Again {
        /// Which ones.
        selection: Selection,
        /// Only those that failed last at this time or before: what fails in this very run is not taken again.
        failed_before: Timestamp,
    },
    /// List and try nothing; a person gives dead letters up.
    Archive {
        /// Which ones.
        selection: Selection,
        /// Only those that failed last at this time or before.
        failed_before: Timestamp,
    },
}

/// Which dead letters a person means: those that satisfy each filter that is given.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Selection {
    /// Only these categories; every one where empty.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub categories: Vec<FailureCategory>,
    /// Only the items of these names, as `status.deadLetters.recent` shows them; every one where empty.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ids: Vec<String>,
}
