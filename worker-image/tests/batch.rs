//! Batches in this process, with an embedder that is a fake: what lands, what fails, what a second run does.

// helpers panic as tests do
#![allow(clippy::unwrap_used, clippy::panic)]

mod common;

use std::{fs, sync::atomic::Ordering};

use common::{
    batch::{Batch, texts},
    query,
};
use lexigram_api::{
    contract::{ExitCode, InputLocation, Mode, StageName},
    text::TextFormat,
};
use lexigram_worker::store::{SqliteStore, Store};
use rstest::rstest;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

#[tokio::test]
async fn every_row_lands_once_with_id_and_metadata() {
    let batch = Batch::new(&texts(1..=2500));
    let report = batch.run("r1").await;
    assert_eq!((report.counts.items.total, report.counts.items.done, report.counts.chunks), (2500, 2500, 2500));
    assert_eq!((report.counts.tokens, report.counts.cached), (2500, 0));
    let busy: Vec<_> = report.stages.iter().map(|stage| stage.name).collect();
    assert_eq!(busy, [StageName::List, StageName::Fetch, StageName::Embed, StageName::Store]);
    assert_eq!(batch.ledger(), ["rows 1-1000 Done 1000 -", "rows 1001-2000 Done 1000 -", "rows 2001-2500 Done 500 -"]);
    assert_eq!(batch.keys(), (1..=2500).map(|number| number.to_string()).collect::<Vec<_>>());
    assert_eq!(batch.count("SELECT count(*) FROM vectors"), 2500);
    let store = SqliteStore::open(&batch.workspace.store()).unwrap();
    let hit = &store.search(&[1.0, 13.0, 0.0, -0.5], 1).await.unwrap()[0];
    // the fake's vectors tell texts apart by their length only
    assert!(hit.scope == "batch/reviews" && hit.document.len() == 1, "{hit:?}");
    assert_eq!(hit.metadata, Some(json!({ "lang": "en" })));
}

#[tokio::test]
async fn rows_that_cannot_be_embedded_name_their_line_and_the_rest_lands() {
    let mut lines = texts(1..=4);
    lines.insert(1, json!("{\"id\": 99, "));
    lines.insert(3, json!({ "id": 98, "text": null }));
    lines.push(json!({ "id": 97, "text": "this is poison" }));
    lines.push(json!({ "id": 3, "text": "another text with an id that is taken" }));
    let batch = Batch::new(&lines);
    let report = batch.run("r1").await;
    assert_eq!((report.counts.items.total, report.counts.items.done, report.counts.items.failed), (8, 4, 4));
    assert_eq!((report.counts.failures.archived, report.counts.failures.retrying), (3, 1));
    assert!(report.next_retry_time.is_some());
    assert_eq!(batch.keys(), ["1", "2", "3", "4"]);
    assert_eq!(
        batch.ledger(),
        [
            "rows 1-8 Done 4 -",
            "line 2 Archived 1 RowInvalid",
            "line 4 Archived 1 TextMissing",
            "line 7 (id 97) Failed 1 EmbeddingFailed",
            "line 8 (id 3) Archived 1 DuplicateId",
        ]
    );
    let names: Vec<&str> = report.recent_failures.iter().map(|failure| failure.item.as_str()).collect();
    assert_eq!(names, ["line 8 (id 3)", "line 7 (id 97)", "line 4", "line 2"]);
}

#[tokio::test]
async fn a_second_batch_of_the_same_texts_embeds_nothing() {
    let mut batch = Batch::new(&texts(1..=300));
    batch.run("r1").await;
    assert_eq!(batch.embedder.take_embedded(), 300);
    batch.task.scope = "batch/again".to_owned();
    let report = batch.run("r2").await;
    assert_eq!(batch.embedder.take_embedded(), 0);
    assert_eq!((report.counts.items.done, report.counts.cached, report.counts.tokens), (300, 300, 0));
    assert_eq!(batch.count("SELECT count(*) FROM vectors"), 600);
}

#[tokio::test]
async fn equal_texts_are_embedded_once_where_the_batch_says_so() {
    let lines: Vec<Value> = (0..50).map(|id| json!({ "id": id, "text": "the same" })).collect();
    let mut batch = Batch::new(&lines);
    let report = batch.run("r1").await;
    assert_eq!((batch.embedder.take_embedded(), report.counts.cached, report.counts.items.done), (1, 49, 50));
    batch.task.deduplicate = false;
    batch.task.scope = "batch/again".to_owned();
    let report = batch.run("r2").await;
    assert_eq!((batch.embedder.take_embedded(), report.counts.cached), (50, 0));
}

#[tokio::test]
async fn a_broken_cache_fails_nothing() {
    let batch = Batch::new(&texts(1..=10));
    fs::write(batch.workspace.path("cache.db"), "no database ".repeat(500)).unwrap();
    assert_eq!(batch.run("r1").await.counts.items.done, 10);
}

#[tokio::test]
async fn what_has_not_changed_is_skipped_and_what_is_gone_is_removed() {
    let batch = Batch::new(&texts(1..=2500));
    batch.run("r1").await;
    let mut shorter = texts(1..=1500);
    shorter[1200] = json!({ "id": 1201, "text": "another text" });
    batch.input(&shorter);
    batch.embedder.take_embedded();
    let report = batch.run("r2").await;
    assert_eq!((report.counts.items.total, report.counts.items.skipped, report.counts.items.done), (1500, 1000, 500));
    assert_eq!((report.counts.items.deleted, batch.embedder.take_embedded()), (1000, 1));
    assert_eq!(batch.keys().len(), 1500);
    assert_eq!(batch.count("SELECT count(*) FROM vectors"), 1500);
    assert_eq!(batch.count("SELECT count(*) FROM chunks WHERE text = 'another text'"), 1);
}

#[tokio::test]
async fn ids_may_move_within_the_input() {
    let batch = Batch::new(&texts(1..=1500));
    batch.run("r1").await;
    let mut turned = texts(1..=1500);
    turned.reverse();
    batch.input(&turned);
    let report = batch.run("r2").await;
    assert_eq!((report.counts.items.done, report.counts.items.failed), (1500, 0));
    assert_eq!(batch.keys().len(), 1500);
}

#[tokio::test]
async fn a_run_that_was_stopped_goes_on_where_it_ended() {
    let batch = Batch::new(&texts(1..=5000));
    let stop = CancellationToken::new();
    let (mut calls, token) = (0, stop.clone());
    *batch.embedder.before.lock().unwrap() = Some(Box::new(move || {
        calls += 1;
        if calls == 40 {
            token.cancel();
        }
    }));
    let ended = batch.run_with("r1", Mode::Full, &stop).await;
    assert_eq!((ended.exit, ended.report.error), (ExitCode::Interrupted, None));
    let done = ended.report.counts.items.done;
    assert!((1..5000).contains(&done), "{done}");
    assert_eq!(batch.count("SELECT count(*) FROM documents WHERE state = 'InFlight' OR attempts > 0"), 0);
    *batch.embedder.before.lock().unwrap() = None;
    let report = batch.run("r1").await;
    assert_eq!((report.counts.items.total, report.counts.items.done), (5000, 5000));
    // the cache knows what was embedded and not stored; only calls that were broken off are made again
    let embedded = batch.embedder.take_embedded();
    assert!((5000..=5128).contains(&embedded), "{embedded}");
    assert_eq!(batch.keys().len(), 5000);
}

#[tokio::test]
async fn a_retry_of_a_row_that_has_changed_is_given_up() {
    let mut lines = texts(1..=3);
    lines[1] = json!({ "id": 2, "text": "poison" });
    let batch = Batch::new(&lines);
    batch.run("r1").await;
    lines[1] = json!({ "id": 2, "text": "health" });
    batch.input(&lines);
    let report = batch.retry("retry1").await;
    assert_eq!((report.counts.failures.archived, report.recent_failures[0].reason.as_str()), (1, "RowGone"));
}

#[tokio::test]
async fn a_provider_that_is_down_fails_ranges_and_not_rows() {
    let batch = Batch::new(&texts(1..=1500));
    batch.embedder.down.store(true, Ordering::Relaxed);
    let report = batch.run("r1").await;
    assert_eq!((report.counts.failures.retrying, report.counts.items.total), (1500, 1500));
    assert_eq!(
        batch.ledger(),
        ["rows 1-1000 Failed 1000 EmbeddingFailed", "rows 1001-1500 Failed 500 EmbeddingFailed"]
    );
    batch.embedder.down.store(false, Ordering::Relaxed);
    let report = batch.retry("retry1").await;
    assert_eq!((report.counts.items.total, report.counts.items.done), (1500, 1500));
    assert_eq!(batch.keys().len(), 1500);
}

#[tokio::test]
async fn a_dry_run_counts_and_touches_nothing() {
    let mut lines = texts(1..=1200);
    lines.push(lines[0].clone());
    lines.push(json!("no json"));
    lines.push(json!({ "id": 5, "text": "too long ".repeat(20) }));
    let mut batch = Batch::new(&lines);
    batch.task.dry_run = true;
    let report = batch.run("r1").await;
    let dry_run = report.dry_run.unwrap();
    assert_eq!((dry_run.tokens, dry_run.duplicates, dry_run.too_long, dry_run.invalid), (3600, 1, 1, 1));
    assert_eq!((report.counts.items.total, report.counts.items.done, report.counts.items.failed), (1203, 1203, 0));
    assert_eq!(report.recent_failures[0].item, "line 1202");
    assert_eq!((batch.embedder.take_embedded(), batch.workspace.store().exists()), (0, false));
    batch.task.deduplicate = false;
    assert_eq!(batch.run("r2").await.dry_run.unwrap().tokens, 3603);
    batch.task.embedding.truncate = true;
    assert_eq!(batch.run("r3").await.dry_run.unwrap().tokens, 3619);
}

#[tokio::test]
async fn texts_of_the_spec_itself_are_rows() {
    let mut batch = Batch::new(&[]);
    let texts =
        json!([{ "text": "first" }, { "id": "b", "text": "second", "metadata": { "k": "v" } }, { "text": " " }]);
    batch.task.input = InputLocation::Inline { texts: serde_json::from_value(texts).unwrap() };
    let report = batch.run("r1").await;
    assert_eq!((report.counts.items.done, report.counts.items.failed), (2, 1));
    assert_eq!(report.recent_failures[0].item, "row 3");
    let rows = query(&batch.workspace.store(), "SELECT key, coalesce(metadata, '-') FROM chunks ORDER BY ordinal");
    assert_eq!(rows, [["1", "-"], ["b", "{\"k\":\"v\"}"]]);
}

#[tokio::test]
async fn an_empty_input_is_no_failure() {
    let batch = Batch::new(&[]);
    assert_eq!(batch.run("r1").await.counts.items.total, 0);
}

#[rstest]
#[case("/nowhere/input.jsonl", None, "InputNotFound")]
#[case("/nowhere/input.data", None, "InputFormatUnknown")]
#[case("/nowhere/input.data", Some(TextFormat::Csv), "InputNotFound")]
#[case("/etc", Some(TextFormat::Csv), "InputNotAFile")]
#[tokio::test]
async fn an_input_that_cannot_be_read_ends_the_run(
    #[case] path: &str,
    #[case] format: Option<TextFormat>,
    #[case] reason: &str,
) {
    let mut batch = Batch::new(&[]);
    batch.task.input = InputLocation::File { path: path.to_owned() };
    batch.task.format = format;
    let ended = batch.run_with("r1", Mode::Full, &CancellationToken::new()).await;
    assert_eq!((ended.exit, ended.report.error.unwrap().reason.as_str()), (ExitCode::Configuration, reason));
    assert!(!batch.workspace.store().exists());
}

#[tokio::test]
async fn a_collection_of_another_model_is_refused() {
    let batch = Batch::new(&texts(1..=3));
    batch.run("r1").await;
    let connection = rusqlite::Connection::open(batch.workspace.store()).unwrap();
    connection.execute("UPDATE meta SET value = 'other@1' WHERE key = 'model'", []).unwrap();
    drop(connection);
    let ended = batch.run_with("r2", Mode::Full, &CancellationToken::new()).await;
    let error = ended.report.error.unwrap();
    assert_eq!((ended.exit, error.reason.as_str()), (ExitCode::Configuration, "ModelMismatch"));
    assert!(error.message.contains("other@1") && error.message.contains("fake@1"), "{}", error.message);
}
