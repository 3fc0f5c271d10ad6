//! The controllers. A reconcile takes the same steps for every kind: observe (all reads), plan (pure), act (all writes
//! to children), status (pure), then one status write and the event of the transition. Kinds that run once share them
//! in `job`, and have a folder each for what tells them apart; `maintenance_schedule` is the one that runs again and again.

mod apply;
mod cached;
mod drive;
pub mod embedding_batch;
mod error;
mod events;
pub mod ingestion_job;
pub mod job;
pub mod maintenance_schedule;
pub mod notice;
pub mod outcome;
pub mod pods;
pub mod runs;
pub mod shards;
mod watch;
mod worker_client;
pub mod worker_pod;

use std::sync::Arc;

use kube::Client;
use lexigram_api::resource::{EmbeddingBatch, IngestionJob};
use tokio_util::sync::CancellationToken;

pub use error::ControllerError;

use crate::{config::AiWorkers, metrics::Metrics, notify::outbox::Outbox, settings::Settings};

/// What every controller is given.
#[derive(Clone)]
pub struct Shared {
    /// Client of the API server.
    pub client: Client,
    /// What was told at the start.
    pub settings: Arc<Settings>,
    /// What may change.
    pub config: tokio::sync::watch::Receiver<AiWorkers>,
    /// Counters and gauges.
    pub metrics: Arc<Metrics>,
    /// Messages for the webhook, if there is one.
    pub outbox: Option<Arc<Outbox>>,
}

/// Runs the controllers of all kinds until `shutdown`; work in hand is ended first.
///
/// # Errors
/// If the client for workers cannot be set up.
pub async fn run(shared: Shared, shutdown: CancellationToken) -> Result<(), ControllerError> {
    let documents = job::run::<IngestionJob>(shared.clone(), shutdown.clone());
    let texts = job::run::<EmbeddingBatch>(shared.clone(), shutdown.clone());
    let schedules = maintenance_schedule::run(shared, shutdown);
    tokio::try_join!(documents, texts, schedules).map(|_| ())
}
