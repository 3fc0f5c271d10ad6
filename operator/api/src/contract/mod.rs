//! The contract between operator and worker: one work spec in, progress while it runs, one report and an exit code out.
//!
//! JSON in camelCase; every message carries [`CONTRACT_VERSION`]. Within a version fields are only added, so that a worker
//! that somebody else wrote goes on working: `docs/worker-contract.md`. No I/O.

mod counts;
mod exit;
mod maintain;
mod progress;
mod provider;
mod report;
mod rules;
mod schemas;
mod source_location;
mod stages;
mod store;
mod work_spec;

pub use counts::{
    CategoryCount, CircuitSubject, Counts, DeadLetters, FailureCounts, ItemCounts, ItemFailure, OpenCircuit,
    RECENT_FAILURES,
};
pub use exit::ExitCode;
pub use maintain::{CheckReport, MaintainTask, MaintenanceStep, MaintenanceWork, StoreRoot, TaskReport, TaskResult};
pub use progress::{Phase, Progress};
pub use provider::ProviderRequests;
pub use report::{DryRun, Report, RunError, TERMINATION_MESSAGE_BYTES, cut, cut_to_bytes};
pub use rules::{Fault, PROGRESS_BYTES, REASON_CHARS};
pub use schemas::schemas;
pub use source_location::{InlineDocument, NetworkAccess, SourceLocation};
pub use stages::{StageBusyness, StageName, busyness_in_words};
pub use store::{PostgresLocation, PostgresServer, StoreLocation};
pub use work_spec::{
    EmbedTask, Embedding, EmbeddingProvider, IngestTask, InputLocation, Mode, OutputLocation, Selection, Task, WorkSpec,
};

/// Version of the contract; a worker refuses a work spec of another one.
pub const CONTRACT_VERSION: &str = "v1alpha1";

/// The ledger of a store's batches that write files. No collection has such a name.
pub const BATCH_LEDGER: &str = "_batches";

/// Where the work spec is mounted in the worker's container.
pub const WORK_SPEC_PATH: &str = "/etc/lexigram/work.json";
/// Variable of the worker's environment with the path of the work spec: [`WORK_SPEC_PATH`] in a pod.
pub const WORK_SPEC_VARIABLE: &str = "LEXIGRAM_WORK_SPEC";
/// Where the kubelet picks the report up.
pub const TERMINATION_LOG_PATH: &str = "/dev/termination-log";
/// Variable with the path of the report: [`TERMINATION_LOG_PATH`] in a pod.
pub const TERMINATION_LOG_VARIABLE: &str = "LEXIGRAM_TERMINATION_LOG";
/// Where the store's volume is mounted.
pub const STORE_PATH: &str = "/store";
/// Where a ConfigMap or claim that is a source is mounted.
pub const SOURCE_PATH: &str = "/source";
/// Where a secret that holds HTTP headers is mounted: one file a header, named as the header.
pub const HTTP_HEADERS_PATH: &str = "/etc/lexigram/http-headers";
/// Where a secret with credentials for a source is mounted: one file a key.
pub const SOURCE_CREDENTIALS_PATH: &str = "/etc/lexigram/source-credentials";
/// Where a ConfigMap with certificates for a source's servers is mounted: a directory with one file.
pub const SOURCE_CA_PATH: &str = "/etc/lexigram/source-ca";
/// Where a claim that takes the files of a batch is mounted.
pub const OUTPUT_PATH: &str = "/output";
/// Where a claim or ConfigMap that holds an embedding model is mounted.
pub const MODEL_PATH: &str = "/model";
/// Where the key of an embedding server is mounted: a directory with one file.
pub const EMBEDDING_KEY_PATH: &str = "/etc/lexigram/embedding-key";
/// Where a secret with headers for an embedding server is mounted: one file a header, named as the header.
pub const EMBEDDING_HEADERS_PATH: &str = "/etc/lexigram/embedding-headers";
/// Where a ConfigMap with certificates for an embedding server is mounted: a directory with one file.
pub const EMBEDDING_CA_PATH: &str = "/etc/lexigram/embedding-ca";
/// Where the connection URI of a Postgres store is mounted: a directory with one file.
pub const STORE_URI_PATH: &str = "/etc/lexigram/store-uri";
/// Where certificates for a Postgres store are mounted: a directory with one file.
pub const STORE_CA_PATH: &str = "/etc/lexigram/store-ca";
/// Where the worker may write temporary files.
pub const SCRATCH_PATH: &str = "/tmp";
/// Port of the worker's `/progress`, `/metrics` and `/healthz`.
pub const WORKER_PORT: u16 = 8080;
/// Variable with the address that the worker listens on: `0.0.0.0:8080` in a pod.
pub const LISTEN_VARIABLE: &str = "LEXIGRAM_LISTEN";
