//! The contract between operator and worker: one work spec in, progress while it runs, one report and an exit code out.
//!
//! JSON in camelCase; every message carries [`CONTRACT_VERSION`]. No I/O.

mod exit;
mod progress;
mod report;
mod work_spec;

pub use exit::ExitCode;
pub use progress::{DocumentCounts, DocumentFailure, FailureCounts, Phase, Progress, RECENT_FAILURES};
pub use report::{Report, RunError, TERMINATION_MESSAGE_BYTES};
pub use work_spec::{IngestTask, InlineDocument, Mode, SourceLocation, StoreLocation, Task, WorkSpec};

/// Version of the contract; a worker refuses a work spec of another one.
pub const CONTRACT_VERSION: &str = "v1alpha1";

/// Where the work spec is mounted in the worker's container.
pub const WORK_SPEC_PATH: &str = "/etc/lexigram/work.json";
/// Where the store's volume is mounted.
pub const STORE_PATH: &str = "/store";
/// Where a ConfigMap or claim that is a source is mounted.
pub const SOURCE_PATH: &str = "/source";
/// Where a secret that holds HTTP headers is mounted: one file a header, named as the header.
pub const HTTP_HEADERS_PATH: &str = "/etc/lexigram/http-headers";
/// Where the worker may write temporary files.
pub const SCRATCH_PATH: &str = "/tmp";
/// Port of the worker's `/progress`, `/metrics` and `/healthz`.
pub const WORKER_PORT: u16 = 8080;
