//! The controllers: one folder a kind, the same steps in each: observe (all reads), plan (pure), apply (all writes to
//! children), status (pure), then one status write and the event of the transition.

mod apply;
mod error;
mod events;
pub mod ingestion_job;
pub mod pods;
pub mod runs;
mod watch;
mod worker_client;
pub mod worker_pod;

use std::sync::Arc;

use kube::Client;
use tokio_util::sync::CancellationToken;

pub use error::ControllerError;

use crate::{config::AiWorkers, metrics::Metrics, settings::Settings};

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
}

/// Runs the controllers of all kinds until `shutdown`; work in hand is ended first.
///
/// # Errors
/// If the client for workers cannot be set up.
pub async fn run(shared: Shared, shutdown: CancellationToken) -> Result<(), ControllerError> {
    ingestion_job::run(shared, shutdown).await
}
