//! Runs over documents with an OpenAI-compatible provider that fails as told: what the ledger and the report say.

// helpers panic as tests do
#![allow(clippy::unwrap_used, clippy::panic)]

mod common;
mod provider_common;

use std::{path::PathBuf, sync::Arc, time::Duration};

use common::{Workspace, pod::Pod, query, run as run_worker, until, wait_until};
use jiff::Timestamp;
use lexigram_api::{
    contract::{ExitCode, IngestTask, InlineDocument, Phase, SourceLocation, Task, WorkSpec},
    failure::{FailureCategory, Stage},
};
use lexigram_fault_provider::{Counts, Fault, FaultProvider, POISON, Script};
use lexigram_worker::{
    embed::Patience,
    pipeline::{Machine, ingest},
    report::Tracker,
    run::{CircuitSettings, Ended},
};
use provider_common::{QUICK, embedding, open, start};
use rstest::rstest;
use serde_json::json;
use tokio_util::sync::CancellationToken;

const DOCUMENTS: [(&str, &str); 3] = [
    ("a.txt", "Gulls follow the ferry."),
    ("b.txt", "The kettle boils over."),
    ("c.txt", "Moss grows on the north side."),
];

fn task(workspace: &Workspace, server: &FaultProvider, documents: &[(&str, &str)]) -> IngestTask {
    let spec: WorkSpec = serde_json::from_value(workspace.spec("unused")).unwrap();
    let Task::Ingest(mut task) = spec.task else { panic!("no ingestion") };
    let document = |&(name, text): &(&str, &str)| InlineDocument { name: name.to_owned(), text: text.to_owned() };
    task.source = SourceLocation::Inline { documents: documents.iter().map(document).collect() };
    task.embedding = embedding(server, json!({}));
    *task
}

/// One run, what it asked of the provider, and its ledger.
async fn run(script: Script, patience: Patience, documents: &[(&str, &str)]) -> (Ended, Counts, Vec<String>) {
    let (workspace, server) = (Workspace::new(), start(script).await);
    let machine = Machine {
        embedder: Arc::new(open(&server, json!({}), patience).await.unwrap()),
        parser_program: PathBuf::from(env!("CARGO_BIN_EXE_lexigram-worker")),
        patience: Duration::ZERO,
        shard: 0,
        // one that these few requests cannot open: how many share their texts is up to how fast documents are parsed
        circuit: CircuitSettings { window: 100, most_failed: 100, ..CircuitSettings::default() },
    };
    let task = task(&workspace, &server, documents);
    let ended = ingest(&machine, "r1", &task, &Tracker::new("r1"), &CancellationToken::new()).await;
    let sql = "SELECT name, state, attempts, coalesce(reason, '-') FROM documents ORDER BY name";
    (ended, server.counts(), query(&workspace.store(), sql).into_iter().map(|row| row.join(" ")).collect())
}

#[rstest]
#[case::seconds(Fault::slow_down([("retry-after", "0")]))]
#[case::date(Fault::RetryAfterDate { seconds: 0 })]
#[tokio::test]
async fn waiting_for_a_provider_spends_no_attempt(#[case] fault: Fault) {
    let (ended, counts, rows) = run(Script::first(vec![fault; 6]), QUICK, &DOCUMENTS).await;
    assert_eq!((ended.exit, ended.report.counts.items.done), (ExitCode::Finished, 3));
    assert_eq!(rows, ["a.txt Done 0 -", "b.txt Done 0 -", "c.txt Done 0 -"]);
    // how many documents share a request is up to how fast they are parsed
    assert_eq!((counts.statuses[&429], counts.requests), (6, 6 + counts.statuses[&200]));
    let told = ended.report.provider.unwrap();
    let answered = i64::try_from(counts.statuses[&200]).unwrap();
    assert_eq!((told.answered, told.rate_limited, told.failed), (answered, 6, 0), "the report counts them too");
}

#[tokio::test]
async fn a_provider_that_is_given_up_spends_no_attempt_either() {
    let patience = Patience { rate_limited_at_most: Duration::ZERO, ..QUICK };
    let script = Script::always(Fault::slow_down([("retry-after", "0")]));
    let (ended, counts, rows) = run(script, patience, &DOCUMENTS[..1]).await;
    assert_eq!((ended.exit, ended.report.counts.failures.retrying), (ExitCode::Finished, 1));
    assert_eq!(rows, ["a.txt Failed 0 ProviderRateLimited"]);
    assert_eq!(counts.statuses.keys().collect::<Vec<_>>(), [&429]);
    assert_eq!(ended.report.recent_failures[0].category, FailureCategory::RateLimited);
}

#[tokio::test]
async fn server_errors_spend_one_attempt_however_often_they_were_tried() {
    let (ended, counts, rows) = run(Script::always(Fault::status(500)), QUICK, &DOCUMENTS).await;
    assert_eq!((ended.exit, ended.report.counts.failures.retrying), (ExitCode::Finished, 3));
    assert_eq!(
        rows,
        [
            "a.txt Failed 1 ProviderUnavailable",
            "b.txt Failed 1 ProviderUnavailable",
            "c.txt Failed 1 ProviderUnavailable"
        ]
    );
    assert!(counts.requests >= 3 && counts.requests.is_multiple_of(3), "3 tries a request: {counts:?}");
    let failure = &ended.report.recent_failures[0];
    assert_eq!((failure.stage, failure.category), (Stage::Embed, FailureCategory::Transient));
    assert!(failure.message.contains("cannot answer at the moment (HTTP 500)"), "{}", failure.message);
    assert!(ended.report.next_retry_time.is_some());
}

#[rstest]
#[case::key(
    Fault::coded(401, "invalid_api_key"),
    "ProviderAccessDenied",
    "check the Secrets of spec.embedding.openAI.apiKeySecretRef"
)]
#[case::quota(Fault::coded(429, "insufficient_quota"), "ProviderQuotaExhausted", "add credit with the provider")]
#[tokio::test]
async fn a_refusal_for_good_ends_the_run_after_one_request(
    #[case] fault: Fault,
    #[case] reason: &str,
    #[case] message: &str,
) {
    let (ended, counts, rows) = run(Script::always(fault), QUICK, &DOCUMENTS).await;
    let error = ended.report.error.unwrap();
    assert_eq!(
        (ended.exit.code(), error.category, error.reason.as_str()),
        (77, FailureCategory::Authentication, reason)
    );
    assert!(error.message.contains(message), "{}", error.message);
    assert_eq!(counts.requests, 1);
    // no document is to blame
    assert_eq!(rows, ["a.txt Pending 0 -", "b.txt Pending 0 -", "c.txt Pending 0 -"]);
}

#[tokio::test]
async fn a_text_that_is_refused_fails_its_document_only() {
    let poison = format!("This is {POISON}.");
    let documents = [DOCUMENTS[0], ("b.txt", poison.as_str()), DOCUMENTS[2]];
    let (ended, counts, rows) = run(Script::default(), QUICK, &documents).await;
    assert_eq!((ended.exit, ended.report.counts.failures.archived), (ExitCode::Finished, 1));
    assert_eq!(rows, ["a.txt Done 0 -", "b.txt Archived 1 TextRefused", "c.txt Done 0 -"]);
    assert!(counts.statuses[&400] >= 1, "{counts:?}");
}

#[tokio::test]
async fn the_pause_shows_in_the_progress() {
    let (workspace, server) =
        (Workspace::new(), start(Script::first([Fault::slow_down([("retry-after", "3")])])).await);
    let machine = Machine {
        embedder: Arc::new(open(&server, json!({}), QUICK).await.unwrap()),
        parser_program: PathBuf::from(env!("CARGO_BIN_EXE_lexigram-worker")),
        patience: Duration::ZERO,
        shard: 0,
        circuit: CircuitSettings::default(),
    };
    let (task, tracker) = (task(&workspace, &server, &DOCUMENTS[..1]), Tracker::new("r1"));
    let stop = CancellationToken::new();
    let run = ingest(&machine, "r1", &task, &tracker, &stop);
    let seen = until("the run is paused", || {
        Some(tracker.progress()).filter(|progress| progress.rate_limited_until.is_some())
    });
    let (ended, seen) = futures::join!(run, seen);
    assert_eq!((ended.exit, seen.phase, seen.counts.items.done), (ExitCode::Finished, Phase::Working, 0));
    assert_eq!((tracker.progress().rate_limited_until, server.counts().requests), (None, 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_slows_down_the_first_question_for_its_dimension_is_waited_for() {
    let (workspace, server) =
        (Workspace::new(), start(Script::always(Fault::slow_down([("retry-after", "3000")]))).await);
    let mut spec = workspace.spec("r1");
    spec["task"]["embedding"] = json!(embedding(&server, json!({ "dimensions": null })));
    workspace.write("a.txt", DOCUMENTS[0].1);
    let begun = Timestamp::now();
    let pod = Pod::start(workspace.pod(&spec));
    wait_until("the pause shows", || pod.progress().rate_limited_until.is_some());
    let seen = pod.progress();
    let waits = seen.rate_limited_until.unwrap().duration_since(begun).as_secs();
    assert!(waits >= 3000 && seen.heartbeat > begun, "{seen:?}");
    assert_eq!((seen.phase, server.counts().requests), (Phase::Starting, 1));
    let (code, log) = pod.stop();
    assert_eq!((code, workspace.report().error), (Some(143), None), "{log:?}");

    // the next pod begins anew, and nothing was counted against a document
    server.play(Script::first([Fault::slow_down([("retry-after", "0")])]));
    let (code, _, log) = run_worker(&mut workspace.pod(&spec));
    assert_eq!(code, 0, "{log}");
    assert_eq!(query(&workspace.store(), "SELECT state, attempts FROM documents"), [["Done", "0"]]);
    assert_eq!(server.counts().statuses[&429], 1);
}
