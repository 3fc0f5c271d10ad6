//! A run of the operator: logs, configuration, admin port, lease, controllers, and how they end together. Starts them.

use std::{io, sync::Arc, time::Duration};

use kube::{Client, Config};
use lexigram_telemetry::{Telemetry, Traces};
use thiserror::Error;
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::watch,
    task::JoinError,
};
use tokio_util::sync::CancellationToken;
use tracing_subscriber::EnvFilter;

use crate::{
    admin,
    cli::RunArguments,
    client,
    config::{ConfigError, ConfigFile},
    controller::{self, ControllerError, Shared},
    leader::{Candidate, LeaderError},
    leadership::Leadership,
    metrics::Metrics,
    notify::{outbox::Outbox, webhook::Webhook},
    tls::choose_cryptography,
};

/// The operator's name in traces.
const SERVICE: &str = "lexigram-operator";
/// How long the last traces may take to be delivered.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(3);

/// Why the operator ended.
#[derive(Debug, Error)]
pub(crate) enum RunError {
    #[error("the log filter cannot be understood: {0}")]
    LogFilter(#[from] tracing_subscriber::filter::ParseError),
    #[error("the configuration cannot be used: {0}")]
    Config(#[from] ConfigError),
    #[error("there is no way to the Kubernetes API: {0}")]
    Infer(#[source] kube::config::InferConfigError),
    #[error("the client of the Kubernetes API cannot be set up: {0}")]
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
    #[error("the controllers ended before their time: {0}")]
    Ended(#[from] JoinError),
}

/// Runs until the process is asked to stop, or until it can no longer do its work.
pub(crate) async fn run(arguments: &RunArguments) -> Result<(), RunError> {
    let traces = begin_telemetry(arguments)?;
    let result = work(arguments).await;
    traces.end(FLUSH_TIMEOUT).await;
    result
}

fn begin_telemetry(arguments: &RunArguments) -> Result<Traces, RunError> {
    choose_cryptography();
    let filter = EnvFilter::builder().parse(&arguments.log)?;
    let (fields, collector) = (serde_json::Map::new(), arguments.otlp_endpoint());
    Ok(Telemetry { service: SERVICE, filter, fields, collector }.start(io::stdout))
}

async fn work(arguments: &RunArguments) -> Result<(), RunError> {
    let shutdown = CancellationToken::new();
    stop_on_signal(&shutdown)?;
    let metrics = Arc::new(Metrics::default());
    let (file, initial) = ConfigFile::open(&arguments.config)?;
    tracing::info!(config = ?initial, "the configuration was read");
    let (running, config) = watch::channel(initial);
    tokio::spawn(file.follow(running, Arc::clone(&metrics)));
    let leadership = Leadership::default();
    let kube = Config::infer().await.map_err(RunError::Infer)?;
    let refused = |error| RunError::Client(Box::new(error));
    let lease = client::for_lease(kube.clone(), metrics.api_requests()).map_err(refused)?;
    let client = client::for_controllers(kube, metrics.api_requests(), &leadership).map_err(refused)?;
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
        lead(candidate(arguments, lease, leadership), arguments, shared, &shutdown).await?;
        shutdown.cancel();
        Ok(())
    };
    // both, so that a shutdown lets work in hand end; or the first error
    tokio::try_join!(admin, work).map(|_| ())
}

fn candidate(arguments: &RunArguments, client: Client, leadership: Leadership) -> Candidate {
    let (identity, name) = (&arguments.identity, &arguments.lease_name);
    let namespace = arguments.lease_namespace.as_deref().unwrap_or(client.default_namespace()).to_owned();
    tracing::info!(namespace, name, identity, "waiting for the lease");
    Candidate::new(client, leadership, &namespace, name, identity)
}

/// Waits for the lease, then works until `shutdown` or until the lease is lost.
async fn lead(
    mut candidate: Candidate,
    arguments: &RunArguments,
    shared: Shared,
    shutdown: &CancellationToken,
) -> Result<(), RunError> {
    tokio::select! {
        () = candidate.win() => {}
        () = shutdown.cancelled() => {
            candidate.release().await;
            return Ok(());
        }
    }
    tracing::info!(identity = arguments.identity, "this process leads");
    shared.metrics.leader(true);
    // a task of its own, so that a long step of theirs does not keep the lease from being renewed
    let mut controllers = tokio::spawn(controller::run(shared, shutdown.clone()));
    let worked = tokio::select! {
        worked = &mut controllers => worked,
        lost = candidate.keep() => {
            controllers.abort();
            return Err(lost.into());
        }
    };
    candidate.release().await;
    Ok(worked??)
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
