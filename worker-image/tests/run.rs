//! `lexigram-worker run` as a pod runs it: spec, progress, report, exit code.

// helpers panic as tests do
#![allow(clippy::unwrap_used, clippy::panic)]

mod common;

use common::{Workspace, count, pod::Pod, run, wait_until};
use lexigram_api::{
    contract::{Report, StageName},
    failure::FailureCategory,
};
use serde_json::json;
use wiremock::{Mock, MockServer, ResponseTemplate, matchers::path};

fn documents(workspace: &Workspace, number: usize) {
    for document in 0..number {
        workspace.write(
            &format!("{document:03}.md"),
            format!("# Part {document}\n\nThis is what part {document} says of itself.\n"),
        );
    }
}

#[test]
fn a_run_ends_with_a_report() {
    let workspace = Workspace::new();
    documents(&workspace, 3);
    workspace.write("empty.md", "");
    let (code, _, log) = run(&mut workspace.pod(&workspace.spec("docs-r1")));
    assert_eq!(code, 0, "{log}");
    assert!(log.lines().all(|line| serde_json::from_str::<serde_json::Value>(line).is_ok()), "{log}");
    let report = workspace.report();
    assert_eq!((report.contract_version.as_str(), report.run.as_str(), &report.error), ("v1alpha1", "docs-r1", &None));
    let documents = &report.counts.items;
    assert_eq!((documents.total, documents.done, documents.failed, documents.skipped), (4, 3, 1, 0));
    assert_eq!((report.counts.failures.archived, report.counts.chunks), (1, 3));
    assert!(report.counts.tokens > 0 && report.counts.bytes > 0);
    assert_eq!(report.recent_failures[0].item, "empty.md");
}

#[test]
fn each_line_of_the_log_names_object_uid_and_run() {
    let workspace = Workspace::new();
    documents(&workspace, 1);
    workspace.write("empty.md", "");
    let mut pod = workspace.pod(&workspace.spec("docs-r1.0000"));
    pod.envs([("LEXIGRAM_KIND", "IngestionJob"), ("LEXIGRAM_OBJECT", "team-a/docs"), ("LEXIGRAM_UID", "0000-1111")]);
    let (_, _, log) = run(&mut pod);
    let lines: Vec<serde_json::Value> = log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(lines.iter().any(|line| line["document"] == "empty.md"), "{log}");
    for line in &lines {
        let named = ["kind", "object", "uid", "run"].map(|field| line[field].as_str().unwrap_or_default());
        assert_eq!(named, ["IngestionJob", "team-a/docs", "0000-1111", "docs-r1.0000"], "{line}");
    }
    // a Job's own name goes before what the ledger calls its run
    let (_, _, log) = run(pod.env("LEXIGRAM_RUN", "docs-r1"));
    assert!(log.lines().all(|line| line.contains("\"run\":\"docs-r1\"")), "{log}");
}

/// The trace that a run goes on with.
const TRACE: [u8; 16] = *b"0123456789abcdef";

#[tokio::test(flavor = "multi_thread")]
async fn a_run_goes_on_with_the_trace_of_the_operator_down_to_its_stages() {
    let workspace = Workspace::new();
    documents(&workspace, 1);
    let collector = MockServer::start().await;
    Mock::given(path("/v1/traces")).respond_with(ResponseTemplate::new(200)).mount(&collector).await;
    let mut pod = workspace.pod(&workspace.spec("docs-r1"));
    let trace: String = TRACE.iter().map(|byte| format!("{byte:02x}")).collect();
    pod.env("OTEL_EXPORTER_OTLP_ENDPOINT", collector.uri())
        .env("TRACEPARENT", format!("00-{trace}-00000000000000ff-01"));
    let (code, _, log) = tokio::task::spawn_blocking(move || run(&mut pod)).await.unwrap();
    assert_eq!(code, 0, "{log}");
    let sent: Vec<u8> = collector.received_requests().await.unwrap().into_iter().flat_map(|it| it.body).collect();
    // protobuf holds bytes and texts as they are; 0x2a and the length stand before the name of a span
    let holds = |bytes: &[u8]| sent.windows(bytes.len()).any(|window| window == bytes);
    for wanted in [&TRACE[..], b"lexigram-worker", b"docs-r1", b"\x2a\x05fetch", b"\x2a\x05embed"] {
        assert!(holds(wanted), "{:?} is not in {} bytes\n{log}", String::from_utf8_lossy(wanted), sent.len());
    }
}

#[test]
fn each_ending_has_its_exit_code_and_reason() {
    let workspace = Workspace::new();
    let ending = |change: &dyn Fn(&mut serde_json::Value)| {
        let mut spec = workspace.spec("docs-r1");
        change(&mut spec);
        let (code, _, log) = run(&mut workspace.pod(&spec));
        let Report { error, .. } = workspace.report();
        let error = error.unwrap_or_else(|| panic!("no error in the report:\n{log}"));
        (code, error.reason, error.message)
    };
    let (code, reason, message) = ending(&|spec| spec["contractVersion"] = "v9".into());
    assert_eq!((code, reason.as_str()), (2, "ContractVersionUnknown"));
    assert!(message.contains("v9") && message.contains("v1alpha1"), "{message}");

    let (code, reason, message) = ending(&|spec| spec["task"]["colour"] = "blue".into());
    assert_eq!((code, reason.as_str()), (2, "WorkSpecInvalid"));
    assert!(message.contains("colour"), "{message}");

    let (code, reason, _) = ending(&|spec| spec["task"]["embedding"]["provider"]["model"] = "gpt-17".into());
    assert_eq!((code, reason.as_str()), (78, "ModelNotFound"));

    let (code, reason, _) = ending(&|spec| spec["task"]["source"]["path"] = "/nowhere".into());
    assert_eq!((code, reason.as_str()), (78, "SourceDirectoryNotFound"));

    let rules = json!({ "rules": [{ "message": "(", "category": "Transient" }] });
    let (code, reason, message) = ending(&|spec| spec["task"]["failurePolicy"] = rules.clone());
    assert_eq!((code, reason.as_str()), (78, "InvalidFailureRule"));
    assert!(message.contains("spec.failurePolicy.rules[0].message"), "{message}");

    let (code, reason, _) = ending(&|spec| spec["task"]["store"]["path"] = "/nowhere/docs.db".into());
    assert_eq!((code, reason.as_str()), (75, "StoreUnavailable"));
}

#[test]
fn a_spec_that_is_not_there_is_a_usage_error_with_a_report() {
    let workspace = Workspace::new();
    let mut command = workspace.pod(&json!({}));
    std::fs::remove_file(workspace.path("work.json")).unwrap();
    assert_eq!(run(&mut command).0, 2);
    let error = workspace.report().error.unwrap();
    assert_eq!((error.category, error.reason.as_str()), (FailureCategory::Configuration, "WorkSpecUnreadable"));
}

#[test]
fn a_stub_succeeds_at_once() {
    let workspace = Workspace::new();
    let spec = json!({ "contractVersion": "v1alpha1", "run": "docs-r1", "task": { "type": "Stub" } });
    let (code, _, log) = run(&mut workspace.pod(&spec));
    assert_eq!(code, 0, "{log}");
    let report = workspace.report();
    assert_eq!((report.run.as_str(), report.counts.items.total, report.error), ("docs-r1", 0, None));
    assert!(!workspace.store().exists());
}

#[test]
fn progress_can_be_read_and_a_stop_leaves_everything_for_the_next_pod() {
    let workspace = Workspace::new();
    documents(&workspace, 200);
    let pod = Pod::start(workspace.pod(&workspace.spec("docs-r1")));
    wait_until("some documents are done", || pod.progress().counts.items.done > 0);
    let seen = pod.progress();
    let busy: Vec<_> = seen.stages.iter().map(|stage| stage.name).collect();
    assert_eq!(busy, StageName::ALL, "{:?}", seen.stages);
    assert!(seen.stages.iter().all(|stage| (0..=100).contains(&stage.busy_percent)), "{:?}", seen.stages);
    assert_eq!(
        (seen.run.as_str(), seen.counts.items.total, seen.contract_version.as_str()),
        ("docs-r1", 200, "v1alpha1")
    );
    assert!(seen.counts.chunks >= i64::from(seen.counts.items.done) && seen.heartbeat >= seen.started, "{seen:?}");
    assert_eq!(pod.get("/healthz"), "ok");
    let metrics = pod.get("/metrics");
    assert!(metrics.contains("lexigram_worker_documents_listed 200\n"), "{metrics}");

    let (code, log) = pod.stop();
    assert_eq!(code, Some(143), "{log:?}");
    let report = workspace.report();
    assert!(report.error.is_none() && report.counts.items.done >= seen.counts.items.done, "{report:?}");
    assert!(report.counts.items.done < 200, "stopped after its end");
    assert_eq!(count(&workspace.store(), "SELECT count(*) FROM documents WHERE state = 'InFlight' OR attempts > 0"), 0);

    let (code, _, log) = run(&mut workspace.pod(&workspace.spec("docs-r1")));
    assert_eq!(code, 0, "{log}");
    let report = workspace.report();
    assert_eq!((report.counts.items.total, report.counts.items.done, report.counts.items.skipped), (200, 200, 0));
    assert_eq!(common::contents(&workspace.store()).len(), 200);
}
