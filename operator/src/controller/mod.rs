//! The controllers: one folder a kind, the same steps in each: observe (all reads), plan (pure), apply (all writes to
//! children), status (pure), then one status write and the events of the transitions.

mod apply;
mod events;
pub mod ingestion_job;
mod pods;
mod runs;
mod watch;

use std::sync::Arc;

use kube::Client;
use lexigram_api::failure::FailureCategory;
use thiserror::Error;
use tokio::sync::watch as channel;
use tokio_util::sync::CancellationToken;

use crate::{config::AiWorkers, metrics::Metrics, settings::Settings};

/// Why a reconcile could not be carried through.
#[derive(Debug, Error)]
pub enum ControllerError {
    /// The API server refused or could not be reached.
    #[error("the Kubernetes API: {0}")]
    Api(#[from] Box<kube::Error>),
    /// A child's name is taken.
    #[error("{kind} '{name}' exists and belongs to somebody else; delete or rename it, and the job goes on")]
    NameTaken {
        /// Kind of the child.
        kind: &'static str,
        /// Name of the child.
        name: String,
    },
    /// A child could not be written as JSON.
    #[error("cannot write JSON: {0}")]
    Json(#[from] serde_json::Error),
    /// An object came without a name, uid or namespace: no API server sends such a thing.
    #[error("the object has no {0}")]
    Incomplete(&'static str),
}

impl From<kube::Error> for ControllerError {
    fn from(error: kube::Error) -> Self {
        Self::Api(Box::new(error))
    }
}

impl ControllerError {
    /// What kind of failure it is.
    #[must_use]
    pub fn category(&self) -> FailureCategory {
        match self {
            Self::Api(error) => match error.as_ref() {
                kube::Error::Api(status) if status.code == 403 || status.code == 422 => FailureCategory::Configuration,
                _ => FailureCategory::Transient,
            },
            Self::NameTaken { .. } => FailureCategory::Configuration,
            Self::Json(_) | Self::Incomplete(_) => FailureCategory::Unknown,
        }
    }

    /// The failure in one CamelCase word.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Api(error) => match error.as_ref() {
                kube::Error::Api(status) if status.code == 403 && status.message.contains("exceeded quota") => "QuotaExceeded",
                kube::Error::Api(status) if status.code == 403 => "Forbidden",
                kube::Error::Api(status) if status.code == 422 => "Rejected",
                kube::Error::Api(status) if status.code == 409 => "Conflict",
                _ => "ApiServerUnavailable",
            },
            Self::NameTaken { .. } => "NameTaken",
            Self::Json(_) | Self::Incomplete(_) => "InternalError",
        }
    }
}

/// What every controller is given.
#[derive(Clone)]
pub struct Shared {
    /// Client of the API server.
    pub client: Client,
    /// What was told at the start.
    pub settings: Arc<Settings>,
    /// What may change.
    pub config: channel::Receiver<AiWorkers>,
    /// Counters and gauges.
    pub metrics: Arc<Metrics>,
}

/// Runs the controllers of all kinds until `shutdown`; work in hand is ended first.
///
/// # Errors
/// If what exists cannot be listed at the start.
pub async fn run(shared: Shared, shutdown: CancellationToken) -> Result<(), ControllerError> {
    ingestion_job::run(shared, shutdown).await
}
