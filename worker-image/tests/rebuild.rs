//! `onModelChange: Rebuild`: a collection goes from one model to another, whole.

// helpers panic as tests do
#![allow(clippy::unwrap_used, clippy::panic)]

mod common;

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use common::{MODEL, Workspace, count, fake::FakeEmbedder, job::Job, models, query, run, wait_until};
use lexigram_api::{
    contract::{ExitCode, Mode},
    embedding::ModelChange,
};
use lexigram_worker::store::{Collection, SqliteStore, Store};

/// A job with `documents` of ten chunks each in its collection, filled by the model fake@1.
async fn filled(documents: usize) -> Job {
    let mut job = Job::new();
    for document in 0..documents {
        job.workspace.write(&format!("{document}.txt"), text(document));
    }
    assert_eq!(job.run_of_task("r1", Mode::Full).await.exit, ExitCode::Finished);
    job.task.embedding.on_model_change = ModelChange::Rebuild;
    job
}

/// Paragraphs that fill a chunk each, and are of different lengths.
fn text(document: usize) -> String {
    let paragraph = |number: usize| {
        format!("paragraph {number} of document {document} tells of {} and of the sea\n\n", "gulls".repeat(number + 1))
    };
    (0..10).map(paragraph).collect()
}

fn model(job: &Job) -> String {
    query(&job.workspace.store(), "SELECT value FROM meta WHERE key = 'model'")[0][0].clone()
}

/// Chunks whose vector is that of their text; the fake's vectors hold the text's length. Fails if the collection holds
/// any other vector, or a chunk without one.
fn sound(job: &Job) -> i64 {
    let store = job.workspace.store();
    let table = query(&store, "SELECT value FROM meta WHERE key = 'vectors'");
    let table = table.first().map_or("vectors", |row| row[0].as_str());
    let right = format!(
        "SELECT count(*) FROM chunks JOIN {table} ON rowid = chunks.id
         WHERE length(CAST(text AS BLOB)) = CAST(json_extract(vec_to_json(embedding), '$[1]') AS INTEGER)"
    );
    let right = count(&store, &right);
    assert_eq!(count(&store, "SELECT count(*) FROM chunks"), right, "a chunk has no vector, or a wrong one");
    assert_eq!(count(&store, &format!("SELECT count(*) FROM {table}")), right, "a vector has no chunk");
    let tables = "SELECT count(*) FROM sqlite_schema WHERE sql LIKE 'CREATE VIRTUAL TABLE%vec0%'";
    assert_eq!(count(&store, tables), 1, "vectors of another model are left over");
    right
}

/// What a search for the text of that many letters finds.
async fn search(store: &SqliteStore, letters: u16, dimension: usize) -> Vec<String> {
    let mut query = vec![1.0, f32::from(letters), 0.0, -0.5];
    query.resize(dimension, 0.25);
    store.search(&query, 3).await.unwrap().into_iter().map(|hit| hit.text).collect()
}

#[tokio::test]
async fn every_text_of_every_source_gets_a_vector_of_the_new_model() {
    let mut job = filled(3).await;
    // of another source, which this job does not read
    let own = std::mem::replace(&mut job.task.scope, "configMap/others".to_owned());
    assert_eq!(job.run_of_task("others", Mode::Full).await.exit, ExitCode::Finished);
    job.task.scope = own;
    assert_eq!(sound(&job), 60);

    job.embedder = FakeEmbedder::of("fake@2", 6);
    let ended = job.run_of_task("r2", Mode::Full).await;
    assert_eq!((ended.exit, ended.report.error), (ExitCode::Finished, None));
    assert_eq!((model(&job).as_str(), sound(&job)), ("fake@2", 60));
    let store = SqliteStore::open(&job.workspace.store()).unwrap();
    assert_eq!(search(&store, 80, 6).await.len(), 3);

    // and back, into the table that is free again
    job.embedder = FakeEmbedder::new();
    assert_eq!(job.run_of_task("r3", Mode::Full).await.exit, ExitCode::Finished);
    assert_eq!((model(&job).as_str(), sound(&job)), ("fake@1", 60));
}

#[tokio::test]
async fn searches_see_the_old_vectors_until_all_new_ones_are_there() {
    let mut job = filled(30).await;
    let store = Arc::new(SqliteStore::open(&job.workspace.store()).unwrap());
    let before = search(&store, 80, 4).await;
    job.embedder = FakeEmbedder::of("fake@2", 6);
    let (path, seen) = (job.workspace.store(), Arc::new(Mutex::new(Vec::new())));
    let saw = Arc::clone(&seen);
    *job.embedder.before.lock().unwrap() = Some(Box::new(move || {
        let model = query(&path, "SELECT value FROM meta WHERE key = 'model'")[0][0].clone();
        saw.lock().unwrap().push((model, count(&path, "SELECT count(*) FROM vectors")));
    }));
    let looker = async {
        common::until("the rebuild is at work", || (seen.lock().unwrap().len() > 1).then_some(())).await;
        store.search(&[1.0, 80.0, 0.0, -0.5], 3).await
    };
    let (ended, found) = tokio::join!(job.run_of_task("r2", Mode::Full), looker);
    assert_eq!(ended.exit, ExitCode::Finished);
    // either the search was before the swap and saw what was there, or it was after it and said so
    match found {
        Ok(hits) => assert_eq!(hits.into_iter().map(|hit| hit.text).collect::<Vec<_>>(), before),
        Err(error) => assert!(error.to_string().contains("rebuilt for fake@2"), "{error}"),
    }
    let seen = seen.lock().unwrap();
    assert_eq!(seen[..3], [("fake@1".to_owned(), 300), ("fake@1".to_owned(), 300), ("fake@1".to_owned(), 300)]);
    assert_eq!(sound(&job), 300);
}

#[tokio::test]
async fn a_rebuild_that_breaks_off_changes_nothing_and_goes_on_later() {
    let mut job = filled(30).await;
    job.embedder = FakeEmbedder::of("fake@2", 6);
    let calls = AtomicUsize::new(0);
    let embedder = Arc::clone(&job.embedder);
    *job.embedder.before.lock().unwrap() = Some(Box::new(move || {
        embedder.down.store(calls.fetch_add(1, Ordering::Relaxed) == 1, Ordering::Relaxed);
    }));
    let ended = job.run_of_task("r2", Mode::Full).await;
    assert_eq!(ended.report.error.unwrap().reason, "EmbeddingFailed");
    assert_eq!((model(&job).as_str(), job.embedder.take_embedded()), ("fake@1", 128));
    let store = SqliteStore::open(&job.workspace.store()).unwrap();
    assert_eq!(search(&store, 80, 4).await.len(), 3);

    // a run of the old model meanwhile: chunks go, and others take their ids
    let new = std::mem::replace(&mut job.embedder, FakeEmbedder::new());
    (0..15).for_each(|document| job.workspace.write(&format!("{document}.txt"), text(document + 100)));
    job.task.embedding.on_model_change = ModelChange::Refuse;
    assert_eq!(job.run_of_task("r3", Mode::Full).await.exit, ExitCode::Finished);

    job.embedder = new;
    *job.embedder.before.lock().unwrap() = None;
    job.embedder.down.store(false, Ordering::Relaxed);
    job.task.embedding.on_model_change = ModelChange::Rebuild;
    let ended = job.run_of_task("r4", Mode::Full).await;
    assert_eq!((ended.exit, ended.report.error), (ExitCode::Finished, None));
    assert_eq!((model(&job).as_str(), sound(&job)), ("fake@2", 300));
}

#[tokio::test]
async fn what_was_begun_for_a_third_model_is_dropped() {
    let mut job = filled(30).await;
    job.embedder = FakeEmbedder::of("fake@2", 6);
    job.embedder.down.store(true, Ordering::Relaxed);
    assert_eq!(job.run_of_task("r2", Mode::Full).await.report.error.unwrap().reason, "EmbeddingFailed");
    job.embedder = FakeEmbedder::of("fake@3", 5);
    assert_eq!(job.run_of_task("r3", Mode::Full).await.exit, ExitCode::Finished);
    assert_eq!((model(&job).as_str(), sound(&job)), ("fake@3", 300));
}

#[tokio::test]
async fn a_text_that_the_new_model_refuses_leaves_the_old_vectors() {
    let mut job = Job::new();
    job.workspace.write("a.txt", "some poison");
    job.embedder.antidote.store(true, Ordering::Relaxed);
    assert_eq!(job.run_of_task("r1", Mode::Full).await.exit, ExitCode::Finished);
    job.task.embedding.on_model_change = ModelChange::Rebuild;
    job.embedder = FakeEmbedder::of("fake@2", 6);
    let error = job.run_of_task("r2", Mode::Full).await.report.error.unwrap();
    let chunk = query(&job.workspace.store(), "SELECT uuid FROM chunks")[0][0].clone();
    assert!(error.message.contains(&format!("stays as it is; its chunk {chunk}")), "{}", error.message);
    assert_eq!(model(&job), "fake@1");
}

#[tokio::test]
async fn a_run_of_the_old_model_writes_nothing_more() {
    let mut job = filled(1).await;
    let collection = Collection { name: "docs", model: "fake@1", dimension: 4 };
    let path = job.workspace.store();
    let old = SqliteStore::create(&path, &collection, "configMap/others", Duration::ZERO).await.unwrap();
    job.embedder = FakeEmbedder::of("fake@2", 6);
    assert_eq!(job.run_of_task("r2", Mode::Full).await.exit, ExitCode::Finished);
    let error = old.search(&[1.0, 2.0, 3.0, 4.0], 1).await.unwrap_err().to_string();
    assert!(error.contains("fake@1") && error.contains("rebuilt for fake@2"), "{error}");
}

#[test]
fn a_worker_that_is_killed_while_it_rebuilds_is_followed_by_one_that_ends_it() {
    let workspace = Workspace::new();
    (0..40).for_each(|document| workspace.write(&format!("{document}.txt"), text(document)));
    let folder = tempfile::tempdir().unwrap();
    for name in [MODEL, "second"] {
        std::os::unix::fs::symlink(models().join(MODEL), folder.path().join(name)).unwrap();
    }
    let mut spec = workspace.spec("r1");
    // a chunk for each paragraph
    spec["task"]["chunking"] = serde_json::json!({ "maxTokens": 48, "overlapTokens": 0 });
    let pod = |spec: &serde_json::Value| {
        let mut pod = workspace.pod(spec);
        pod.env("LEXIGRAM_MODELS", folder.path());
        pod
    };
    let (code, _, log) = run(&mut pod(&spec));
    assert_eq!(code, 0, "{log}");
    let before = count(&workspace.store(), "SELECT count(*) FROM chunks");

    spec["run"] = "r2".into();
    spec["task"]["embedding"] = serde_json::json!({
        "provider": { "type": "Local", "model": "second" }, "onModelChange": "Rebuild"
    });
    let mut killed = pod(&spec).stderr(std::process::Stdio::null()).spawn().unwrap();
    wait_until("the rebuild is at work", || count(&workspace.store(), "SELECT count(*) FROM carried_over") > 0);
    killed.kill().unwrap();
    killed.wait().unwrap();
    let (code, _, log) = run(&mut pod(&spec));
    assert_eq!(code, 0, "{log}");
    let count_of = |sql: &str| count(&workspace.store(), sql);
    assert_eq!(count_of("SELECT count(*) FROM chunks JOIN vectors_rebuilt ON rowid = chunks.id"), before);
    assert_eq!(count_of("SELECT count(*) FROM meta WHERE key = 'model' AND value LIKE 'second@%'"), 1);
    assert_eq!(count_of("SELECT count(*) FROM sqlite_schema WHERE name IN ('vectors', 'carried_over')"), 0);
}
