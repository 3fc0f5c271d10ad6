//! The Kubernetes resource types and what they share. No I/O, no client.

mod condition;
mod crd;
mod embedding;
mod ingestion_job;
mod source;
mod store;
mod worker;

pub use condition::{ConditionType, condition, is_true, set_condition};
pub use crd::crds;
pub use embedding::{EmbeddedModel, Embedding};
pub use ingestion_job::{IngestionJob, IngestionJobSpec, IngestionJobStatus, State};
pub use source::{ConfigMapSource, HttpSource, PersistentVolumeClaimSource, SecretReference, Source};
pub use store::{EmbeddedStore, Store};
pub use worker::WorkerOverrides;
