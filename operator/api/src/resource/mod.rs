//! The Kubernetes resource types and what they share. No I/O, no client.

mod condition;
mod crd;
mod embedding;
mod embedding_batch;
mod ingestion_job;
mod job;
mod maintenance_schedule;
mod source;
#[cfg(test)]
mod status_size;
mod store;
mod worker;

pub use condition::{ConditionStatus, ConditionType, condition, is_true, set_condition};
pub use crd::crds;
pub use embedding::{
    ConfigMapKeyReference, EmbeddedModel, Embedding, ModelClaim, ModelConfigMap, OpenAIEmbedding, SecretKeyReference,
};
pub use embedding_batch::{
    BatchInput, BatchOutput, ConfigMapInput, DryRunResult, EmbeddingBatch, EmbeddingBatchSpec, EmbeddingBatchStatus,
    FilesOutput, HttpInput, PersistentVolumeClaimInput, TextCounts,
};
pub use ingestion_job::{IngestionJob, IngestionJobSpec, IngestionJobStatus};
pub use job::{
    DeadLetter, DeadLetterStatus, JobOptions, JobStatus, MAX_RUNS, Notification, RunRecord, RunResult, State,
};
pub use maintenance_schedule::{
    CheckStatus, MAX_RUNS_BYTES, MaintenanceRun, MaintenanceSchedule, MaintenanceScheduleSpec,
    MaintenanceScheduleStatus, MaintenanceTask, OverlapPolicy, ResyncTarget, TaskStatus,
};
pub use source::{
    ConfigMapSource, GitSource, HttpSource, PersistentVolumeClaimSource, S3Source, SecretReference, Source,
    SourceAccess,
};
pub use store::{CaSecretReference, ConnectionSecretReference, EmbeddedStore, PostgresStore, Store};
pub use worker::WorkerOverrides;
