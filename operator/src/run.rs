//! A run of the operator: logs, configuration, admin port, lease, controllers, and how they end together. Starts them.

use std::sync::Arc;

use kube::Client;
use thiserror::Error;
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::watch,
};
use tokio_util::sync::CancellationToken;

use crate::{
    admin,
    cli::RunArguments,
    config::{ConfigError, ConfigFile},
    controller::{self, ControllerError, Shared},
    leader::{Candidate, LeaderError},
    metrics::Metrics,
    notify::{outbox::Outbox, webhook::Webhook},
    telemetry,
};

/// Why the operator ended.
#[derive(Debug, Error)]
pub(crate) enum RunError {
    #[error("the log filter cannot be understood: {0}")]
    Telemetry(#[from] tracing_subscriber::filter::ParseError),
    #[error("the configuration cannot be used: {0}")]
    Config(#[from] ConfigError),
    #[error("there is no way to the Kubernetes API: {0}")]
    Client(#[source] Box<kube::Error>),
    #[error("the admin port cannot be served: {0}")]
    Admin(#[source] std::io::Error),
    #[error("the client for the webhook cannot be set up: {0}")]
    Webhook(#[source] reqwest::Error),
    #[error("signals cannot be received: {0}")]
    Signal(#[source] std::io::Error),
    #[error(transparent)]
    Leader(#[from] LeaderError),
    #[error(transparent)]
    Controller(#[from] ControllerError),
}

/// Runs until the process is asked to stop, or until it can no longer do its work.
pub(crate) async fn run(arguments: &RunArguments) -> Result<(), RunError> {
    telemetry::init(&arguments.log)?;
    let shutdown = CancellationToken::new();
    stop_on_signal(&shutdown)?;
    let metrics = Arc::new(Metrics::default());
    let (file, initial) = ConfigFile::open(&arguments.config)?;
    tracing::info!(config = ?initial, "the configuration was read");
    let (running, config) = watch::channel(initial);
    tokio::spawn(file.follow(running, Arc::clone(&metrics)));
    let client = Client::try_default().await.map_err(|error| RunError::Client(Box::new(error)))?;
    let webhook = arguments.webhook().map(Webhook::new).transpose().map_err(RunError::Webhook)?;
    let shared = Shared {
        client,
        settings: Arc::new(arguments.settings()),
        config,
        metrics: Arc::clone(&metrics),
        outbox: webhook.map(|webhook| Outbox::new(webhook, Arc::clone(&metrics))),
    };

    let admin =
        async { admin::serve(arguments.admin_address, metrics, shutdown.clone()).await.map_err(RunError::Admin) };
    let work = async {
        lead(arguments, shared, &shutdown).await?;
        shutdown.cancel();
        Ok(())
    };
    // both, so that a shutdown lets work in hand end; or the first error
    tokio::try_join!(admin, work).map(|_| ())
}

/// Waits for the lease, then works until `shutdown` or until the lease is lost.
async fn lead(arguments: &RunArguments, shared: Shared, shutdown: &CancellationToken) -> Result<(), RunError> {
    let (identity, name) = (&arguments.identity, &arguments.lease_name);
    let namespace = arguments.lease_namespace.as_deref().unwrap_or(shared.client.default_namespace()).to_owned();
    let mut candidate = Candidate::new(shared.client.clone(), &namespace, name, identity);
    tracing::info!(namespace, name, identity, "waiting for the lease");
    tokio::select! {
        () = candidate.win() => {}
        () = shutdown.cancelled() => {
            candidate.release().await;
            return Ok(());
        }
    }
    tracing::info!(identity, "this process leads");
    shared.metrics.leader(true);
    let worked = tokio::select! {
        worked = controller::run(shared, shutdown.clone()) => worked,
        // whatever is in hand must not be written by a process that no longer leads
        lost = candidate.keep() => return Err(lost.into()),
    };
    candidate.release().await;
    Ok(worked?)
}

fn stop_on_signal(shutdown: &CancellationToken) -> Result<(), RunError> {
    for kind in [SignalKind::terminate(), SignalKind::interrupt()] {
        let mut signals = signal(kind).map_err(RunError::Signal)?;
        let shutdown = shutdown.clone();
        tokio::spawn(async move {
            signals.recv().await;
            tracing::info!("asked to stop: work in hand is ended first");
            shutdown.cancel();
        });
    }
    Ok(())
}
