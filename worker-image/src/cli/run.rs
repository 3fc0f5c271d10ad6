//! `lexigram-worker run`: what a worker pod runs. Reads the work spec, serves progress, leaves a report.

use std::{
    fs, io,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use clap::Args;
use lexigram_api::contract::{
    CONTRACT_VERSION, Embedding, ExitCode, LISTEN_VARIABLE, Mode, Report, RunError, SCRATCH_PATH, TERMINATION_LOG_PATH,
    TERMINATION_LOG_VARIABLE, Task, WORK_SPEC_PATH, WORK_SPEC_VARIABLE, WORKER_PORT, WorkSpec, busyness_in_words,
};
use lexigram_api::failure::FailureCategory;
use lexigram_telemetry::{Telemetry, Traces, follow};
use serde::Deserialize;
use thiserror::Error;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tracing::{Instrument, Span};
use tracing_subscriber::EnvFilter;

use super::{Models, stop_on_signal};
use crate::{
    batch,
    embed::{self, Embedder},
    failure::Classified,
    maintain, pipeline,
    report::{Tracker, serve, write_report},
    run::{CircuitSettings, Ended, RunFailure, without_trying},
    store::{RunSummary, Shard, Writer},
};

/// How long a worker waits for another one over the same source: longer than a pod may take to end.
const PATIENCE: Duration = Duration::from_secs(120);
/// The worker's name in traces.
const SERVICE: &str = "lexigram-worker";
/// How long the last traces may take to be delivered.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(3);

/// Do what a work spec says; this is what worker pods run. Logs are JSON
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The work spec, a JSON file
    #[arg(long, env = WORK_SPEC_VARIABLE, value_name = "FILE", default_value = WORK_SPEC_PATH)]
    spec: PathBuf,
    #[command(flatten)]
    models: Models,
    /// Where to serve /progress, /metrics and /healthz
    #[arg(long, env = LISTEN_VARIABLE, value_name = "ADDRESS", default_value_t = SocketAddr::from(([0, 0, 0, 0], WORKER_PORT)))]
    listen: SocketAddr,
    /// Which part of the run is this worker's, where several share it: 0, 1, … as Kubernetes counts them
    #[arg(long, env = "JOB_COMPLETION_INDEX", value_name = "INDEX", default_value_t = 0)]
    shard: u32,
    /// Where to leave the report
    #[arg(long, env = TERMINATION_LOG_VARIABLE, value_name = "FILE", default_value = TERMINATION_LOG_PATH)]
    termination_log: PathBuf,
    #[command(flatten)]
    context: Context,
}

/// What logs and traces name, and where traces go: for whoever reads them.
#[derive(Debug, Args)]
struct Context {
    /// Kind of the object that the run is for
    #[arg(long, env = "LEXIGRAM_KIND", value_name = "KIND")]
    kind: Option<String>,
    /// Its namespace and name
    #[arg(long, env = "LEXIGRAM_OBJECT", value_name = "NAMESPACE/NAME")]
    object: Option<String>,
    /// Its uid
    #[arg(long, env = "LEXIGRAM_UID", value_name = "UID")]
    uid: Option<String>,
    /// The run, if it has another name than in the work spec
    #[arg(long, env = "LEXIGRAM_RUN", value_name = "NAME")]
    run: Option<String>,
    /// Base URL of a collector that takes traces by OTLP over HTTP; no traces where absent
    #[arg(long, env = "OTEL_EXPORTER_OTLP_ENDPOINT", value_name = "URL")]
    otlp_endpoint: Option<String>,
    /// The span that the run goes on with, in the form of W3C's header
    #[arg(long, env = "TRACEPARENT", value_name = "TRACEPARENT")]
    traceparent: Option<String>,
}

impl Context {
    /// Begins to log, and to trace if that is asked for: the span that everything belongs to, and the traces.
    fn begin(&self, work_spec_run: &str) -> (Span, Traces) {
        let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
        let run = self.run.as_deref().unwrap_or(work_spec_run);
        let named = [("kind", self.kind.as_deref()), ("object", self.object.as_deref()), ("uid", self.uid.as_deref())];
        let named = named.into_iter().chain([("run", Some(run).filter(|run| !run.is_empty()))]);
        let fields = named.filter_map(|(name, value)| Some((name.to_owned(), value?.into()))).collect();
        let collector = self.otlp_endpoint.as_deref().filter(|url| !url.is_empty());
        let traces = Telemetry { service: SERVICE, filter, fields, collector }.start(io::stderr);
        let span = tracing::error_span!("run", kind = self.kind, object = self.object, uid = self.uid, run);
        if let Some(traceparent) = &self.traceparent {
            follow(&span, traceparent);
        }
        (span, traces)
    }
}

/// Why a work spec cannot be followed.
#[derive(Debug, Error)]
enum SpecError {
    #[error("the work spec {path} cannot be read: {problem}")]
    Unreadable { path: String, problem: io::Error },
    #[error("the work spec {path} cannot be understood: {problem}")]
    Invalid { path: String, problem: serde_json::Error },
    #[error(
        "the work spec {path} is of contract version '{found}', and this worker knows '{CONTRACT_VERSION}': operator and worker image must be of the same release"
    )]
    Version { path: String, found: String },
}

impl Classified for SpecError {
    fn category(&self) -> FailureCategory {
        FailureCategory::Configuration
    }

    fn reason(&self) -> &'static str {
        match self {
            Self::Unreadable { .. } => "WorkSpecUnreadable",
            Self::Invalid { .. } => "WorkSpecInvalid",
            Self::Version { .. } => "ContractVersionUnknown",
        }
    }
}

pub(super) async fn main(arguments: Arguments) -> ExitCode {
    let spec = read(&arguments.spec);
    let (span, traces) = arguments.context.begin(spec.as_ref().map_or("", |spec| spec.run.as_str()));
    let ended = match spec {
        Ok(WorkSpec { contract_version: _, run, task }) => {
            let worked = work(&arguments, &run, &task).instrument(span).await;
            worked.unwrap_or_else(|error| Ended::before_start(&run, &error))
        }
        Err(error) => {
            let (category, reason) = (error.category(), error.reason().to_owned());
            let error = Some(RunError { category, reason, message: error.to_string() });
            Ended { report: Report { error, ..idle("").report }, exit: ExitCode::Usage }
        }
    };
    let busy = busyness_in_words(&ended.report.stages);
    match &ended.report.error {
        Some(error) => tracing::error!(reason = error.reason, "{}", error.message),
        None => tracing::info!(exit = ?ended.exit, documents = ?ended.report.counts.items, busy, "the run has ended"),
    }
    if let Err(error) = write_report(&arguments.termination_log, &ended.report) {
        tracing::warn!("no report in {}: {error}", arguments.termination_log.display());
    }
    traces.end(FLUSH_TIMEOUT).await;
    ended.exit
}

fn read(path: &Path) -> Result<WorkSpec, SpecError> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Versioned {
        contract_version: String,
    }
    let name = || path.display().to_string();
    let invalid = |problem| SpecError::Invalid { path: name(), problem };
    let json = fs::read(path).map_err(|problem| SpecError::Unreadable { path: name(), problem })?;
    // first the version: whatever else another one holds is not for us to judge
    let Versioned { contract_version } = serde_json::from_slice(&json).map_err(invalid)?;
    if contract_version != CONTRACT_VERSION {
        return Err(SpecError::Version { path: name(), found: contract_version });
    }
    serde_json::from_slice(&json).map_err(invalid)
}

async fn work(arguments: &Arguments, run: &str, task: &Task) -> Result<Ended, RunFailure> {
    let broken = |error: io::Error| RunFailure::Broken(error.to_string());
    let stop = stop_on_signal().map_err(broken)?;
    let tracker = Arc::new(Tracker::new(run));
    if !matches!(task, Task::Stub) {
        tokio::spawn(serve_progress(arguments.listen, Arc::clone(&tracker)));
    }
    let writer = |scope, shards| Writer { scope, run, shard: Shard::of(arguments.shard, shards), patience: PATIENCE };
    Ok(match task {
        Task::Stub => idle(run),
        Task::Maintain(task) => maintain::maintain(&arguments.models.folder, run, task, &stop).await?,
        Task::Ingest(task) if matches!(task.mode, Mode::Archive { .. }) => {
            let (writer, archive) = (writer(&task.scope, task.embedding.shards), &task.failure_policy.archive);
            without_trying(&task.store, &writer, &task.mode, archive, &tracker, &stop).await
        }
        Task::Embed(task) if matches!(task.mode, Mode::Archive { .. }) => {
            let (writer, archive) = (writer(&task.scope, task.embedding.shards), &task.failure_policy.archive);
            without_trying(&task.store, &writer, &task.mode, archive, &tracker, &stop).await
        }
        Task::Ingest(task) => {
            let embedder = open(&arguments.models, &task.embedding, &tracker, &stop).await?;
            let parser_program = std::env::current_exe().map_err(broken)?;
            let machine = pipeline::Machine {
                embedder,
                parser_program,
                patience: PATIENCE,
                shard: arguments.shard,
                circuit: CircuitSettings::default(),
            };
            pipeline::ingest(&machine, run, task, &tracker, &stop).await
        }
        Task::Embed(task) => {
            let embedder = open(&arguments.models, &task.embedding, &tracker, &stop).await?;
            let machine = batch::Machine {
                embedder,
                scratch: SCRATCH_PATH.into(),
                patience: PATIENCE,
                shard: arguments.shard,
                circuit: CircuitSettings::default(),
            };
            batch::embed(&machine, run, task, &tracker, &stop).await
        }
    })
}

/// A run without progress is still a run: if nothing can be served, that is logged.
async fn serve_progress(address: SocketAddr, tracker: Arc<Tracker>) {
    let served = async {
        let listener = TcpListener::bind(address).await?;
        tracing::info!(address = listener.local_addr()?.to_string(), "progress is served");
        serve(listener, tracker).await
    };
    if let Err(error) = served.await {
        tracing::warn!("no progress is served on {address}: {error}");
    }
}

async fn open(
    models: &Models,
    embedding: &Embedding,
    tracker: &Tracker,
    stop: &CancellationToken,
) -> Result<Arc<dyn Embedder>, RunFailure> {
    let opening = embed::open(embedding, &models.folder, tracker);
    Ok(stop.run_until_cancelled(opening).await.ok_or(RunFailure::Interrupted)??)
}

/// The end of a run that has done nothing.
fn idle(run: &str) -> Ended {
    Ended::new(run, &RunSummary::default(), None)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn invalid() -> serde_json::Error {
        serde_json::from_str::<u8>("-").unwrap_err()
    }

    crate::failure::tests::classification!(each_error_has_its_category: SpecError {
        SpecError::Unreadable { .. } = SpecError::Unreadable { path: String::new(), problem: io::Error::other("no") } => Configuration, "WorkSpecUnreadable";
        SpecError::Invalid { .. } = SpecError::Invalid { path: String::new(), problem: invalid() } => Configuration, "WorkSpecInvalid";
        SpecError::Version { .. } = SpecError::Version { path: String::new(), found: "v9".to_owned() } => Configuration, "ContractVersionUnknown";
    });
}
