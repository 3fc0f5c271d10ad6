//! `IngestionJob`: documents of one source, ingested into one collection. No I/O.

mod spec;
mod status;

pub use spec::{IngestionJob, IngestionJobSpec};
pub use status::IngestionJobStatus;
