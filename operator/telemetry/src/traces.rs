//! Spans on their way to a collector, by OTLP over HTTP. Sends them from a thread and tasks of its own.
//!
//! A queue of bounded length stands between: a collector that is slow or away costs spans, and no time.

use std::{
    error::Error,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use async_trait::async_trait;
use opentelemetry::trace::TracerProvider;
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::{Resource, trace::SdkTracerProvider};
use reqwest::redirect::Policy;
use tokio::{runtime::Handle, task::spawn_blocking};
use tracing::{Level, Subscriber};
use tracing_subscriber::{Layer, filter::Targets, registry::LookupSpan};

/// How long a collector may take to answer.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Where a collector takes traces, below its base URL.
const PATH: &str = "/v1/traces";
/// What the modules begin with whose spans are sent: ours.
const TARGETS: &str = "lexigram";

/// The traces of this process, if it makes any.
#[derive(Debug, Default)]
pub struct Traces(Option<SdkTracerProvider>);

impl Traces {
    /// Traces that go to this collector. The standard variables tell the rest: headers, sampling, the length of the queue.
    pub(crate) fn to(collector: &str, service: &'static str) -> Result<Self, Box<dyn Error>> {
        let client = reqwest::Client::builder().timeout(TIMEOUT).redirect(Policy::none()).build()?;
        let courier = Courier { client, runtime: Handle::try_current()?, failing: AtomicBool::new(false) };
        let exporter = SpanExporter::builder()
            .with_http()
            .with_http_client(courier)
            .with_protocol(Protocol::HttpBinary)
            .with_endpoint(format!("{}{PATH}", collector.trim_end_matches('/')))
            .with_timeout(TIMEOUT)
            .build()?;
        let resource = Resource::builder().with_service_name(service).build();
        Ok(Self(Some(SdkTracerProvider::builder().with_batch_exporter(exporter).with_resource(resource).build())))
    }

    /// What makes spans of ours into traces, the fine ones included.
    pub(crate) fn layer<S>(&self, service: &'static str) -> Option<impl Layer<S> + Send + Sync + use<S>>
    where
        S: Subscriber + for<'lookup> LookupSpan<'lookup> + Send + Sync,
    {
        let tracer = self.0.as_ref()?.tracer(service);
        let ours = Targets::new().with_target(TARGETS, Level::DEBUG);
        Some(tracing_opentelemetry::layer().with_tracer(tracer).with_filter(ours))
    }

    /// Sends what is still here, for so long at the most.
    pub async fn end(self, patience: Duration) {
        let Some(provider) = self.0 else { return };
        // it waits for its own thread
        if let Ok(Err(error)) = spawn_blocking(move || provider.shutdown_with_timeout(patience)).await {
            tracing::warn!("the last traces were not delivered: {error}");
        }
    }
}

/// Carries spans to the collector. The thread that hands them over knows no runtime, hence tasks.
#[derive(Debug)]
struct Courier {
    client: reqwest::Client,
    runtime: Handle,
    /// Whether the newest attempt has failed: only changes are told.
    failing: AtomicBool,
}

#[async_trait]
impl HttpClient for Courier {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let client = self.client.clone();
        let sent = self.runtime.spawn(async move { client.send_bytes(request).await }).await?;
        let problem = match &sent {
            Ok(response) if response.status().is_success() => None,
            Ok(response) => Some(response.status().to_string()),
            Err(error) => Some(error.to_string()),
        };
        let failed_before = self.failing.swap(problem.is_some(), Ordering::Relaxed);
        match problem {
            Some(problem) if !failed_before => tracing::warn!("traces are not delivered: {problem}"),
            None if failed_before => tracing::info!("traces are delivered again"),
            _ => {}
        }
        sent
    }
}
