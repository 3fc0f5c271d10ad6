//! Batches whose input comes from a web server: what lands, and what users read when it does not come.

// helpers panic as tests do
#![allow(clippy::unwrap_used, clippy::panic)]

mod common;

use std::fs;

use common::{
    batch::{Batch, texts},
    web::WebServer,
};
use lexigram_api::contract::{ExitCode, InputLocation, Mode, NetworkAccess, RunError};
use lexigram_worker::run::Ended;
use rstest::rstest;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};
use tokio_util::sync::CancellationToken;

/// A batch of what stands at a URL, with ids and the field `lang`.
fn batch(url: String) -> Batch {
    let mut batch = Batch::new(&[]);
    let access = NetworkAccess { allow_local_addresses: true, ca_file: None };
    batch.task.input = InputLocation::Http { url, headers_directory: None, access };
    batch
}

fn jsonl(rows: &[Value]) -> String {
    rows.iter().map(|row| format!("{row}\n")).collect()
}

fn csv(rows: &[Value]) -> String {
    let lines = rows.iter().map(|row| format!("{},\"{}\",en\n", row["id"], row["text"].as_str().unwrap()));
    std::iter::once("id,text,lang\n".to_owned()).chain(lines).collect()
}

async fn run(batch: &Batch, run: &str) -> Ended {
    let ended = batch.run_with(run, Mode::Full, &CancellationToken::new()).await;
    let left = fs::read_dir(batch.workspace.path("")).unwrap().map(|entry| entry.unwrap().file_name());
    let left: Vec<_> = left.filter(|name| name.to_string_lossy().starts_with("lexigram-input")).collect();
    assert!(left.is_empty(), "a temporary file has stayed: {left:?}");
    ended
}

fn failure(ended: Ended) -> (ExitCode, RunError) {
    (ended.exit, ended.report.error.unwrap())
}

#[rstest]
#[case::jsonl("/reviews.jsonl?token=s3cret", jsonl)]
#[case::csv("/reviews.csv", csv)]
#[tokio::test]
async fn every_row_lands_once_and_changed_ones_again(#[case] path: &str, #[case] written: fn(&[Value]) -> String) {
    let server = WebServer::start().await;
    let batch = batch(format!("{}{path}", server.origin));
    let mut rows = texts(1..=2500);
    server.bytes(path, written(&rows));
    let counts = run(&batch, "r1").await.report.counts;
    assert_eq!((counts.items.total, counts.items.done, counts.items.failed), (2500, 2500, 0));
    let keys: Vec<String> = (1..=2500).map(|number| number.to_string()).collect();
    assert_eq!(batch.keys(), keys);
    assert_eq!(batch.count("SELECT count(*) FROM chunks WHERE json_extract(metadata, '$.lang') = 'en'"), 2500);
    assert_eq!(batch.embedder.take_embedded(), 2500);

    let again = run(&batch, "r2").await.report.counts;
    assert_eq!((again.items.skipped, again.items.done, batch.embedder.take_embedded()), (2500, 0, 0));

    rows[2400] = json!({ "id": 2401, "text": "another text", "lang": "en" });
    server.bytes(path, written(&rows));
    let changed = run(&batch, "r3").await.report.counts;
    assert_eq!((changed.items.skipped, changed.items.done, batch.embedder.take_embedded()), (2000, 500, 1));
    assert_eq!(batch.keys(), keys);
    assert_eq!(batch.count("SELECT count(*) FROM chunks WHERE text = 'another text'"), 1);
}

#[rstest]
#[case::gone(
    404,
    ExitCode::Configuration,
    "SourceGone",
    "spec.input.http.url: there is no input at this URL (HTTP 404)"
)]
#[case::refused(403, ExitCode::Authentication, "SourceAccessDenied", "check spec.input.http.headersSecretRef")]
#[case::unavailable(500, ExitCode::Retryable, "SourceServerError", "cannot answer at the moment (HTTP 500)")]
#[tokio::test]
async fn an_input_that_does_not_come_ends_the_run_and_takes_nothing_away(
    #[case] status: u16,
    #[case] exit: ExitCode,
    #[case] reason: &str,
    #[case] tells: &str,
) {
    let server = WebServer::start().await;
    let batch = batch(format!("{}/reviews.jsonl", server.origin));
    server.bytes("/reviews.jsonl", jsonl(&texts(1..=10)));
    assert_eq!(run(&batch, "r1").await.report.counts.items.done, 10);
    server.fail("/reviews.jsonl", status);
    let (ended, error) = failure(run(&batch, "r2").await);
    assert_eq!((ended, error.reason.as_str()), (exit, reason));
    assert!(error.message.contains(tells), "{}", error.message);
    assert_eq!((batch.keys().len(), batch.ledger()), (10, vec!["rows 1-10 Done 10 -".to_owned()]));
}

/// A server that breaks off its first answer in the middle of a row, and gives all of it the second time.
async fn breaks_off_once(body: String) -> String {
    lexigram_worker::install_tls_provider();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let origin = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        for sent in [body.len() / 2, body.len()] {
            let (mut connection, _) = listener.accept().await.unwrap();
            let _request = connection.read(&mut [0; 4096]).await.unwrap();
            let head = format!("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {}\r\n\r\n", body.len());
            connection.write_all(head.as_bytes()).await.unwrap();
            connection.write_all(&body.as_bytes()[..sent]).await.unwrap();
            connection.shutdown().await.unwrap();
        }
    });
    origin
}

#[tokio::test]
async fn an_input_that_breaks_off_is_not_half_an_input() {
    let batch = batch(format!("{}/reviews.jsonl", breaks_off_once(jsonl(&texts(1..=2500))).await));
    let (exit, error) = failure(run(&batch, "r1").await);
    assert_eq!((exit, error.reason.as_str()), (ExitCode::Retryable, "SourceUnreachable"));
    assert!(error.message.contains("broke off"), "{}", error.message);
    assert_eq!((batch.embedder.take_embedded(), batch.workspace.store().exists()), (0, false));

    // the next pod of the same run
    let ended = run(&batch, "r1").await;
    let items = ended.report.counts.items;
    assert_eq!((ended.exit, items.total, items.done, items.failed), (ExitCode::Finished, 2500, 2500, 0));
    assert_eq!(batch.keys(), (1..=2500).map(|number| number.to_string()).collect::<Vec<_>>());
    assert_eq!(batch.embedder.take_embedded(), 2500);
}
