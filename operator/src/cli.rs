//! The command line, and what a run of the operator consists of. Starts servers and controllers.

use std::{net::SocketAddr, path::PathBuf, process::ExitCode, sync::Arc};

use clap::{Args, Parser, Subcommand};
use k8s_openapi::api::core::v1::ResourceRequirements;
use kube::Client;
use thiserror::Error;
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::watch,
};
use tokio_util::sync::CancellationToken;

use crate::{
    admin,
    config::{self, ConfigError},
    controller::{self, ControllerError, Shared},
    crd::{self, CrdError},
    leader::{LeaderError, Lease},
    metrics::Metrics,
    settings::Settings,
    telemetry,
};

/// Operator of Lexigram Workers.
#[derive(Debug, Parser)]
#[command(version, about)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Watch the cluster and run workers.
    Run(Box<RunArguments>),
    /// Print the custom resource definitions.
    Crd {
        /// Write one file a kind into this folder instead.
        #[arg(long)]
        output: Option<PathBuf>,
    },
}

#[derive(Debug, Args)]
struct RunArguments {
    /// File with the `ai_workers` keys; read again when it changes.
    #[arg(long, env = "LEXIGRAM_CONFIG", default_value = "/etc/lexigram/config.yaml")]
    config: PathBuf,
    /// Address of metrics, liveness and readiness.
    #[arg(long, env = "LEXIGRAM_ADMIN_ADDRESS", default_value = "0.0.0.0:8080")]
    admin_address: SocketAddr,
    /// Image of the worker.
    #[arg(long, env = "LEXIGRAM_WORKER_IMAGE")]
    worker_image: String,
    /// Pull policy of the worker's image.
    #[arg(long, env = "LEXIGRAM_WORKER_IMAGE_PULL_POLICY", default_value = "IfNotPresent")]
    worker_image_pull_policy: String,
    /// Secrets with which the worker's image is pulled, in the job's namespace.
    #[arg(long, env = "LEXIGRAM_WORKER_IMAGE_PULL_SECRETS", value_delimiter = ',')]
    worker_image_pull_secrets: Vec<String>,
    /// Requests and limits of workers whose job names none, as JSON.
    #[arg(long, env = "LEXIGRAM_WORKER_RESOURCES", default_value = "{}", value_parser = resources)]
    worker_resources: ResourceRequirements,
    /// Size of the store claim that is made in a job's namespace.
    #[arg(long, env = "LEXIGRAM_STORE_SIZE", default_value = "10Gi")]
    store_size: String,
    /// StorageClass of that claim; the cluster's default where absent.
    #[arg(long, env = "LEXIGRAM_STORE_CLASS")]
    store_class: Option<String>,
    /// Namespaces to watch; every one where empty.
    #[arg(long, env = "LEXIGRAM_NAMESPACES", value_delimiter = ',')]
    namespaces: Vec<String>,
    /// Namespace of the lease.
    #[arg(long, env = "LEXIGRAM_LEASE_NAMESPACE", default_value = "default")]
    lease_namespace: String,
    /// Name of the lease.
    #[arg(long, env = "LEXIGRAM_LEASE_NAME", default_value = "lexigram-operator")]
    lease_name: String,
    /// What tells this process from its rivals; the name of its pod.
    #[arg(long, env = "LEXIGRAM_IDENTITY", default_value = "lexigram-operator")]
    identity: String,
    /// What is logged: a level, or a list of target=level.
    #[arg(long, env = "LEXIGRAM_LOG", default_value = "info")]
    log: String,
}

fn resources(json: &str) -> Result<ResourceRequirements, serde_json::Error> {
    serde_json::from_str(json)
}

/// Why the operator ended.
#[derive(Debug, Error)]
enum CliError {
    #[error("the log filter cannot be understood: {0}")]
    Telemetry(#[from] tracing_subscriber::filter::ParseError),
    #[error("the configuration cannot be used: {0}")]
    Config(#[from] ConfigError),
    #[error("there is no way to the Kubernetes API: {0}")]
    Kubeconfig(#[source] Box<kube::Error>),
    #[error("the admin port cannot be served: {0}")]
    Admin(#[source] std::io::Error),
    #[error("signals cannot be received: {0}")]
    Signal(#[source] std::io::Error),
    #[error(transparent)]
    Leader(#[from] LeaderError),
    #[error("the lease was lost: another operator has taken over, or the API server could not be reached in time")]
    LeaseLost,
    #[error(transparent)]
    Controller(#[from] ControllerError),
    #[error(transparent)]
    Crd(#[from] CrdError),
}

/// Does what the command line says.
pub async fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Run(arguments) => run(*arguments).await,
        Command::Crd { output } => crd::write(output.as_deref()).map_err(Into::into),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("lexigram-operator: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: RunArguments) -> Result<(), CliError> {
    telemetry::init(&arguments.log)?;
    let shutdown = shutdown_on_signal()?;
    let metrics = Arc::new(Metrics::default());
    let (running, config) = watch::channel(config::read(&arguments.config)?);
    tokio::spawn(config::follow(arguments.config.clone(), running, Arc::clone(&metrics)));
    let client = Client::try_default().await.map_err(|error| CliError::Kubeconfig(Box::new(error)))?;
    let admin = admin::serve(arguments.admin_address, Arc::clone(&metrics), shutdown.clone());
    let work = lead(&arguments, Shared {
        client,
        settings: Arc::new(settings(&arguments)),
        config,
        metrics,
    }, shutdown.clone());
    tokio::select! {
        result = admin => {
            // it ends at a shutdown, or because its address is taken
            result.map_err(CliError::Admin)?;
            Ok(())
        }
        result = work => result,
    }
}

/// Waits for the lease, then works until `shutdown` or until the lease is lost.
async fn lead(arguments: &RunArguments, shared: Shared, shutdown: CancellationToken) -> Result<(), CliError> {
    let (namespace, name) = (&arguments.lease_namespace, &arguments.lease_name);
    let mut lease = Lease::strive(shared.client.clone(), namespace, name, &arguments.identity).await?;
    tracing::info!(namespace, name, identity = arguments.identity, "waiting for the lease");
    tokio::select! {
        won = lease.won() => won?,
        () = shutdown.cancelled() => {
            lease.release().await;
            return Ok(());
        }
    }
    tracing::info!("this process leads");
    shared.metrics.leader(true);
    let result = tokio::select! {
        result = controller::run(shared, shutdown) => result.map_err(Into::into),
        // whatever is in hand must not be written by a process that no longer leads
        () = lease.lost() => return Err(CliError::LeaseLost),
    };
    lease.release().await;
    result
}

fn settings(arguments: &RunArguments) -> Settings {
    let given = |list: &[String]| list.iter().filter(|entry| !entry.is_empty()).cloned().collect();
    Settings {
        worker_image: arguments.worker_image.clone(),
        worker_image_pull_policy: arguments.worker_image_pull_policy.clone(),
        worker_image_pull_secrets: given(&arguments.worker_image_pull_secrets),
        worker_resources: arguments.worker_resources.clone(),
        store_size: arguments.store_size.clone(),
        store_class: arguments.store_class.clone().filter(|class| !class.is_empty()),
        namespaces: given(&arguments.namespaces),
    }
}

fn shutdown_on_signal() -> Result<CancellationToken, CliError> {
    let shutdown = CancellationToken::new();
    let mut terminate = signal(SignalKind::terminate()).map_err(CliError::Signal)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(CliError::Signal)?;
    let token = shutdown.clone();
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!("asked to stop: work in hand is ended first");
        token.cancel();
    });
    Ok(shutdown)
}
