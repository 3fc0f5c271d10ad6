//! What a pass tells while it is made: lines of the log, and spans at a collector.

use std::{fs::File, net::SocketAddr, sync::Arc, time::Duration};

use axum::{Router, body::Bytes, extract::State, http::StatusCode, routing::post};
use kube::runtime::controller::Action;
use lexigram_telemetry::{Telemetry, traceparent};
use opentelemetry_proto::tonic::{
    collector::trace::v1::ExportTraceServiceRequest,
    common::v1::{KeyValue, any_value::Value as Any},
    trace::v1::Span,
};
use prost::Message;
use serde_json::{Map, Value, json};
use tempfile::NamedTempFile;
use tokio::{net::TcpListener, sync::mpsc};
use tracing::{Instrument, debug_span, instrument::WithSubscriber};
use tracing_subscriber::EnvFilter;

use super::{in_span, name_run};
use crate::{
    controller::{ControllerError, job::tests::fixtures::job},
    metrics::Metrics,
};

const KIND: &str = "IngestionJob";

/// The telemetry of a process that logs what a filter lets through into a file, and sends traces to a collector.
fn telemetry<'a>(filter: &str, collector: Option<&'a str>) -> (Telemetry<'a>, NamedTempFile, Arc<File>) {
    let log = NamedTempFile::new().unwrap();
    let output = Arc::new(log.reopen().unwrap());
    (Telemetry { service: "test", filter: EnvFilter::new(filter), fields: Map::new(), collector }, log, output)
}

fn lines(log: &NamedTempFile) -> Vec<Value> {
    let text = std::fs::read_to_string(log).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// A pass that learns of its run, tells of something, and comes to this; and the words for a process that goes on with
/// its step `apply`.
async fn pass(result: Result<Action, ControllerError>, metrics: &Metrics) -> Option<String> {
    let (object, mut parent) = (job(json!({})), None);
    let steps = async {
        async {}.instrument(debug_span!("observe")).await;
        name_run(Some("handbook-r1"));
        tracing::info!("observed");
        async { parent = traceparent() }.instrument(debug_span!("apply")).await;
        result
    };
    let _told = in_span(KIND, &object, metrics, steps).await;
    parent
}

#[tokio::test]
async fn each_line_names_object_uid_and_run_and_a_failure_its_reason() {
    let (telemetry, log, output) = telemetry("info", None);
    let (subscriber, _traces, _problem) = telemetry.build(output);
    let metrics = Metrics::default();
    let failed = Err(ControllerError::Incomplete("uid"));
    let parent = pass(failed, &metrics).with_subscriber(subscriber).await;
    assert_eq!(parent, None, "no traces are made unless somebody asks for them");
    let lines = lines(&log);
    let messages: Vec<&Value> = lines.iter().map(|line| &line["message"]).collect();
    assert_eq!(messages, ["observed", "a reconcile failed"]);
    for line in &lines {
        for (field, value) in [
            ("kind", KIND),
            ("object", "docs/handbook"),
            ("uid", "11111111-2222-3333-4444-555555555555"),
            ("run", "handbook-r1"),
        ] {
            assert_eq!(line[field], value, "{field} of {line}");
        }
    }
    let reason = lines[1]["reason"].as_str().unwrap();
    let counted = format!(r#"lexigram_reconcile_errors_total{{kind="{KIND}",reason="{reason}"}} 1"#);
    assert!(metrics.encode().unwrap().contains(&counted), "{counted}");
}

/// A collector of the tests: takes what OTLP over HTTP sends, as a real one does, and hands it over.
async fn collector() -> (SocketAddr, mpsc::UnboundedReceiver<ExportTraceServiceRequest>) {
    async fn take(State(sender): State<mpsc::UnboundedSender<ExportTraceServiceRequest>>, body: Bytes) -> StatusCode {
        sender.send(ExportTraceServiceRequest::decode(body).unwrap()).unwrap();
        StatusCode::OK
    }
    let (sender, requests) = mpsc::unbounded_channel();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let routes = Router::new().route("/v1/traces", post(take)).with_state(sender);
    tokio::spawn(async move { axum::serve(listener, routes).await });
    (address, requests)
}

fn text<'a>(attributes: &'a [KeyValue], key: &str) -> Option<&'a str> {
    let found = attributes.iter().find(|attribute| attribute.key == key)?;
    match found.value.as_ref()?.value.as_ref()? {
        Any::StringValue(text) => Some(text),
        _ => None,
    }
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_gets_the_span_of_a_pass_and_those_of_its_steps() {
    crate::tls::choose_cryptography();
    let (address, mut requests) = collector().await;
    let url = format!("http://{address}/");
    // the log's filter does not reach the traces
    let (telemetry, _log, output) = telemetry("error", Some(&url));
    let (subscriber, traces, problem) = telemetry.build(output);
    assert_eq!(problem, None);
    let parent = pass(Ok(Action::await_change()), &Metrics::default()).with_subscriber(subscriber).await.unwrap();
    traces.end(Duration::from_secs(30)).await;

    let request = requests.recv().await.unwrap();
    let [of_process] = &request.resource_spans[..] else { panic!("{request:?}") };
    assert_eq!(text(&of_process.resource.as_ref().unwrap().attributes, "service.name"), Some("test"));
    let spans: Vec<&Span> = of_process.scope_spans.iter().flat_map(|scope| &scope.spans).collect();
    let named =
        |name: &str| *spans.iter().find(|span| span.name == name).unwrap_or_else(|| panic!("{name}: {spans:?}"));
    let (reconcile, observe, apply) = (named("reconcile"), named("observe"), named("apply"));
    for (key, value) in [("kind", KIND), ("object", "docs/handbook"), ("run", "handbook-r1")] {
        assert_eq!(text(&reconcile.attributes, key), Some(value), "{key}");
    }
    assert_eq!((&observe.parent_span_id, &apply.parent_span_id), (&reconcile.span_id, &reconcile.span_id));
    assert!(reconcile.parent_span_id.is_empty());
    let expected = format!("00-{}-{}-01", hexadecimal(&apply.trace_id), hexadecimal(&apply.span_id));
    assert_eq!(parent, expected, "a worker goes on with what started it");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_never_answers_holds_nothing_up() {
    crate::tls::choose_cryptography();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (telemetry, _log, output) = telemetry("error", Some(&url));
    let (subscriber, traces, _problem) = telemetry.build(output);
    let metrics = Metrics::default();
    let passes = async {
        // more spans than the queue holds
        for _ in 0..2000 {
            pass(Ok(Action::await_change()), &metrics).await;
        }
    };
    passes.with_subscriber(subscriber).await;
    traces.end(Duration::from_millis(50)).await;
    assert!(metrics.encode().unwrap().contains(r#"outcome="success"} 2000"#));
}

#[tokio::test]
async fn a_collector_that_cannot_be_named_costs_the_traces_and_nothing_else() {
    crate::tls::choose_cryptography();
    let (telemetry, log, output) = telemetry("info", Some("not a URL"));
    let (subscriber, _traces, problem) = telemetry.build(output);
    assert!(problem.unwrap().contains("not a URL"));
    tracing::subscriber::with_default(subscriber, || tracing::info!("at work"));
    assert_eq!(lines(&log)[0]["message"], "at work");
}
