//! `EmbeddingBatch`: the texts of one input, embedded into a collection or into files. No I/O.

mod input;
mod output;
mod spec;
mod status;

pub use input::{BatchInput, ConfigMapInput, HttpInput, PersistentVolumeClaimInput};
pub use output::{BatchOutput, FilesOutput};
pub use spec::{EmbeddingBatch, EmbeddingBatchSpec};
pub use status::{DryRunResult, EmbeddingBatchStatus, TextCounts};
