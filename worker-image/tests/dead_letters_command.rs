//! `lexigram-worker dead-letters`: what a person sees and does, on a store that runs have filled.

// helpers panic as tests do
#![allow(clippy::unwrap_used, clippy::panic)]

mod common;

use common::{
    job::{Job, retry},
    run,
    source::Answer,
    worker,
};
use lexigram_api::contract::Mode;
use lexigram_worker::store::{Collection, SqliteStore};
use serde_json::Value;

async fn job() -> Job {
    let job = Job::new();
    job.source.set("a.txt", Answer::Unavailable);
    job.source.set("b.txt", Answer::Timeout);
    job.source.set("c.txt", Answer::Text(""));
    job.source.set("done.txt", Answer::Text("text"));
    job.run("r1", Mode::Full).await;
    job
}

fn command(job: &Job, arguments: &[&str]) -> (i32, String, String) {
    run(worker().arg("dead-letters").arg("--store").arg(job.workspace.store()).args(arguments))
}

/// The output of a command that ends well.
fn output(job: &Job, arguments: &[&str]) -> String {
    let (code, output, errors) = command(job, arguments);
    assert_eq!((code, errors.as_str()), (0, ""));
    output
}

fn documents(json: &str) -> Vec<String> {
    let rows: Vec<Value> = serde_json::from_str(json).unwrap();
    rows.iter().map(|row| row["document"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn dead_letters_are_listed_and_filtered() {
    let job = job().await;
    let table = output(&job, &["list"]);
    let mut lines = table.lines();
    assert!(lines.next().unwrap().starts_with("STATE     DOCUMENT  CATEGORY      ATTEMPTS  NEXT RETRY"), "{table}");
    let words = |line: &str| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(words(lines.next().unwrap())[..4], ["Failed", "a.txt", "Transient", "1"]);
    assert_eq!(words(lines.next().unwrap())[..4], ["Failed", "b.txt", "Timeout", "1"]);
    assert_eq!(words(lines.next().unwrap())[..5], ["Archived", "c.txt", "InvalidInput", "1", "DocumentEmpty"]);
    assert_eq!(lines.next(), None);

    let listed = |filters: &[&str]| documents(&output(&job, &[&["list", "--json"], filters].concat()));
    assert_eq!(listed(&[]), ["a.txt", "b.txt", "c.txt"]);
    assert_eq!(listed(&["--category", "Timeout", "--category", "InvalidInput"]), ["b.txt", "c.txt"]);
    assert_eq!(listed(&["--id", "a.txt"]), ["a.txt"]);
    assert_eq!(listed(&["--scope", "persistentVolumeClaim/docs", "--limit", "1"]), ["a.txt"]);
    assert_eq!(listed(&["--scope", "elsewhere"]), [""; 0]);
    assert_eq!(output(&job, &["list", "--id", "done.txt"]), "There are no such dead letters.\n");
    let (code, _, errors) = command(&job, &["list", "--category", "Slow"]);
    assert!(code == 2 && errors.contains("Timeout, ResourceExhausted"), "{errors}");
}

#[tokio::test]
async fn an_export_has_a_line_with_every_field_for_each() {
    let job = job().await;
    let lines: Vec<Value> = output(&job, &["export"]).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 3);
    let first = &lines[0];
    assert_eq!((&first["scope"], &first["state"]), (&"persistentVolumeClaim/docs".into(), &"Failed".into()));
    assert_eq!((&first["items"], &first["attempts"]), (&1.into(), &1.into()));
    assert_eq!(first["failure"]["reason"], "SourceServerError");
    assert_eq!(first["nextAttempt"], first["failure"]["nextRetryTime"]);
    assert!(first["firstFailure"].is_string() && first["failure"]["message"].as_str().unwrap().contains("HTTP 503"));
}

#[tokio::test]
async fn what_is_given_up_and_taken_back_comes_with_the_next_run() {
    let job = job().await;
    assert_eq!(output(&job, &["archive", "--category", "Transient", "--category", "Timeout"]), "2 given up\n");
    assert_eq!(job.run("retry1", retry()).await.counts.items.total, 0);
    assert_eq!(output(&job, &["retry", "--id", "b.txt", "--json"]), "{\n  \"items\": 1\n}\n");
    job.source.set("b.txt", Answer::Text("text"));
    // due at once: no later than the next run begins
    let due = Mode::Retry { due_before: jiff::Timestamp::now() };
    let report = job.run("retry2", due).await;
    assert_eq!((report.counts.items.total, report.counts.items.done), (1, 1));
    assert_eq!(job.rows()[..2], ["a.txt Archived 1 SourceServerError", "b.txt Done 0 -"]);
}

#[tokio::test]
async fn nothing_is_changed_while_a_run_writes() {
    let job = job().await;
    let collection = Collection { name: "docs", model: "fake@1", dimension: common::fake::DIMENSION };
    let scope = "persistentVolumeClaim/docs";
    let writing = SqliteStore::create(&job.workspace.store(), &collection, scope, std::time::Duration::ZERO).await;
    let (code, _, errors) = command(&job, &["retry"]);
    assert!(code == 75 && errors.contains("another run is writing persistentVolumeClaim/docs"), "{errors}");
    assert_eq!(documents(&output(&job, &["list", "--json"])).len(), 3, "looking is free");
    assert_eq!(output(&job, &["archive", "--scope", "configMap/other"]), "0 given up\n");
    drop(writing);
    assert_eq!(output(&job, &["archive"]), "2 given up\n");
}

#[tokio::test]
async fn a_store_that_is_not_there_is_named() {
    let job = Job::new();
    let (code, _, errors) = command(&job, &["retry"]);
    assert!(code == 78 && errors.contains("there is no store at"), "{errors}");
}
