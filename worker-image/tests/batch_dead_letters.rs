//! Texts and ranges of a batch that fail: gone, selected by hand, given up, put off.

// helpers panic as tests do
#![allow(clippy::unwrap_used, clippy::panic)]

mod common;

use std::{fs, sync::atomic::Ordering};

use common::{
    batch::Batch,
    job::{QUICK_CIRCUIT, again, retry},
};
use jiff::Timestamp;
use lexigram_api::{
    contract::{InputLocation, Mode, Selection},
    text::TextFormat,
};
use rstest::rstest;
use serde_json::json;

/// A batch of that file, whose circuit opens early.
fn batch(name: &str, input: &str) -> Batch {
    Batch { circuit: QUICK_CIRCUIT, ..Batch::of(name, input) }
}

#[rstest]
#[case::lines("input.txt", TextFormat::Lines, "one\npoison\n", "one\n")]
#[case::lines_that_moved("input.txt", TextFormat::Lines, "one\npoison\n", "poison\none\n")]
#[case::csv("input.csv", TextFormat::Csv, "text\none\npoison\n", "text\none\n")]
#[case::json(
    "input.jsonl",
    TextFormat::JsonLines,
    "{\"text\":\"one\"}\n{\"text\":\"poison\"}\n",
    "{\"text\":\"one\"}\n"
)]
#[tokio::test]
async fn a_text_that_is_gone_is_given_up_in_every_format(
    #[case] name: &str,
    #[case] format: TextFormat,
    #[case] before: &str,
    #[case] after: &str,
) {
    let mut batch = batch(name, before);
    batch.task.format = Some(format);
    assert_eq!(batch.run_as("r1", Mode::Full).await.dead_letters.actions.retrying, 1);
    fs::write(batch.workspace.path(name), after).unwrap();
    let report = batch.run_as("retry1", retry()).await;
    assert_eq!((report.dead_letters.actions.archived, report.recent_failures[0].reason.as_str()), (1, "RowGone"));
    assert_eq!(batch.run_as("retry2", retry()).await.counts.items.total, 0);
}

#[tokio::test]
async fn texts_of_the_spec_that_are_gone_are_given_up() {
    let mut batch = batch("unused", "");
    let texts = |texts: serde_json::Value| InputLocation::Inline { texts: serde_json::from_value(texts).unwrap() };
    batch.task.input = texts(json!([{ "text": "one" }, { "text": "poison" }]));
    batch.run_as("r1", Mode::Full).await;
    batch.task.input = texts(json!([{ "text": "one" }]));
    assert_eq!(batch.run_as("retry1", retry()).await.recent_failures[0].reason, "RowGone");
}

#[tokio::test]
async fn a_range_of_an_input_that_has_changed_is_given_up_as_one() {
    let batch = batch("input.txt", "one\ntwo\n");
    batch.embedder.outage.store(true, Ordering::Relaxed);
    assert_eq!(batch.run_as("r1", Mode::Full).await.dead_letters.actions.retrying, 2);
    batch.embedder.outage.store(false, Ordering::Relaxed);
    fs::write(batch.workspace.path("input.txt"), "one\nthree\n").unwrap();
    let report = batch.run_as("retry1", retry()).await;
    assert_eq!((report.dead_letters.actions.archived, report.recent_failures[0].reason.as_str()), (2, "InputChanged"));
    assert_eq!(batch.run_as("retry2", retry()).await.counts.items.total, 0);
}

#[tokio::test]
async fn a_person_selects_a_text_by_its_name() {
    let mut batch = batch("input.txt", "one\npoison\nmore poison\n");
    batch.task.failure_policy.max_attempts = 1;
    batch.run_as("r1", Mode::Full).await;
    let selection = |id: &str| Selection { categories: Vec::new(), ids: vec![id.to_owned()] };
    let failed_before = Timestamp::now();
    let archive = Mode::Archive { selection: selection("line 2"), failed_before };
    let report = batch.run_as("archive1", archive).await;
    assert_eq!((report.counts.items.total, report.dead_letters.actions.archived), (1, 1));
    batch.embedder.antidote.store(true, Ordering::Relaxed);
    batch.embedder.take_embedded();
    let report = batch.run_as("again1", again(selection("line 2"))).await;
    assert_eq!((report.counts.items.total, report.counts.items.done, batch.embedder.take_embedded()), (1, 1, 1));
    assert_eq!(batch.attempts(), ["rows 1-3 Done 1 0 -", "line 2 Done 1 0 -", "line 3 Failed 1 1 EmbeddingFailed"]);
}

#[tokio::test]
async fn ranges_are_put_off_by_the_circuit_and_land_after_it() {
    let lines: String = (0..5000).map(|number| format!("text {number}\n")).collect();
    let batch = batch("input.txt", &lines);
    batch.embedder.batch_texts.store(1000, Ordering::Relaxed);
    batch.embedder.outage.store(true, Ordering::Relaxed);
    let report = batch.run_as("r1", Mode::Full).await;
    assert!(report.circuit.is_some());
    assert_eq!((report.counts.items.total, report.dead_letters.actions.retrying), (5000, 5000));
    let spent = batch.attempts().iter().filter(|row| row.contains(" 1 ")).count();
    assert!(spent <= 1, "{:?}", batch.attempts());
    batch.embedder.outage.store(false, Ordering::Relaxed);
    let report = batch.run_as("retry1", retry()).await;
    assert_eq!((report.counts.items.done, report.circuit, report.dead_letters), (5000, None, Default::default()));
}
