//! What a second run does: nothing that need not be done, and nothing that must not.

// helpers panic as tests do
#![allow(clippy::unwrap_used, clippy::panic)]

mod common;

use std::{collections::BTreeSet, fs, sync::atomic::Ordering};

use common::{contents, count, fake::FakeEmbedder, job::Job, source::Answer};
use lexigram_api::{
    contract::{Counts, ExitCode, Mode, StoreLocation},
    document::SyncMode,
};

/// Paragraphs that fill a chunk each.
fn text(document: usize, paragraphs: usize) -> String {
    let paragraph = |number| format!("paragraph {number} of document {document} tells of gulls and of the sea\n\n");
    (0..paragraphs).map(paragraph).collect()
}

/// A folder of four documents with ten chunks each, and a job with a cache.
fn job(sync: SyncMode) -> Job {
    let mut job = Job::new();
    (0..4).for_each(|document| job.workspace.write(&format!("{document}.txt"), text(document, 10)));
    let path = job.workspace.store().to_str().unwrap().to_owned();
    job.task.store = StoreLocation::Sqlite { cache: Some(path.replace("docs.db", "cache.db")), path };
    job.task.sync = sync;
    job
}

/// What a full run has come to, and how many texts it gave to the model.
async fn run(job: &Job, run: &str) -> (Counts, usize) {
    job.embedder.take_embedded();
    let ended = job.run_of_task(run, Mode::Full).await;
    assert_eq!((ended.exit, ended.report.error), (ExitCode::Finished, None));
    (ended.report.counts, job.embedder.take_embedded())
}

/// Names of documents that have chunks.
fn searchable(job: &Job) -> Vec<String> {
    let names: BTreeSet<String> = contents(&job.workspace.store()).into_keys().map(|(name, _)| name).collect();
    names.into_iter().collect()
}

#[tokio::test]
async fn a_second_run_over_the_same_documents_embeds_nothing() {
    let job = job(SyncMode::Append);
    let (counts, embedded) = run(&job, "r1").await;
    assert_eq!((counts.items.done, counts.chunks, embedded), (4, 40, 40));
    let before = contents(&job.workspace.store());
    let (counts, embedded) = run(&job, "r2").await;
    assert_eq!((counts.items.skipped, counts.items.done, counts.chunks, embedded), (4, 0, 0, 0));
    assert_eq!(contents(&job.workspace.store()), before);
}

#[tokio::test]
async fn a_document_that_was_only_touched_is_read_and_not_embedded() {
    let job = job(SyncMode::Append);
    run(&job, "r1").await;
    // the same content in another file: its version is another one
    fs::rename(job.workspace.docs().join("2.txt"), job.workspace.path("moved.txt")).unwrap();
    job.workspace.write("2.txt", text(2, 10));
    let (counts, embedded) = run(&job, "r2").await;
    assert_eq!((counts.items.skipped, counts.items.done, embedded), (4, 0, 0));
}

#[tokio::test]
async fn a_changed_paragraph_costs_its_own_chunk() {
    let job = job(SyncMode::Append);
    run(&job, "r1").await;
    let changed =
        text(1, 10).replace("paragraph 4 of document 1 tells of gulls", "paragraph 4 of document 1 tells of eels");
    job.workspace.write("1.txt", &changed);
    let (counts, embedded) = run(&job, "r2").await;
    assert_eq!((counts.items.done, counts.items.skipped, counts.chunks), (1, 3, 10));
    assert_eq!((counts.cached, embedded), (9, 1));
    let store = job.workspace.store();
    assert_eq!(count(&store, "SELECT count(*) FROM chunks WHERE text LIKE '%eels%'"), 1);
    assert_eq!(count(&store, "SELECT count(*) FROM chunks WHERE text LIKE 'paragraph 4 of document 1 %gulls%'"), 0);
    assert_eq!(contents(&store).len(), 40);
}

#[tokio::test]
async fn a_renamed_document_moves_without_being_embedded() {
    let job = job(SyncMode::Mirror);
    run(&job, "r1").await;
    fs::rename(job.workspace.docs().join("3.txt"), job.workspace.docs().join("renamed.txt")).unwrap();
    let (counts, embedded) = run(&job, "r2").await;
    assert_eq!((counts.items.done, counts.items.deleted, counts.cached, embedded), (1, 1, 10, 0));
    assert_eq!(searchable(&job), ["0.txt", "1.txt", "2.txt", "renamed.txt"]);
    assert_eq!(contents(&job.workspace.store()).len(), 40);
}

#[rstest::rstest]
#[case::mirror(SyncMode::Mirror, 1, &["0.txt", "1.txt", "2.txt"])]
#[case::append(SyncMode::Append, 0, &["0.txt", "1.txt", "2.txt", "3.txt"])]
#[tokio::test]
async fn a_deleted_document_goes_only_from_a_mirror(
    #[case] sync: SyncMode,
    #[case] deleted: i32,
    #[case] left: &[&str],
) {
    let job = job(sync);
    run(&job, "r1").await;
    fs::remove_file(job.workspace.docs().join("3.txt")).unwrap();
    let (counts, embedded) = run(&job, "r2").await;
    assert_eq!((counts.items.deleted, counts.items.skipped, embedded), (deleted, 3, 0));
    assert_eq!(searchable(&job), left);
}

#[tokio::test]
async fn a_listing_that_breaks_off_deletes_nothing() {
    let mut job = Job::new();
    job.task.sync = SyncMode::Mirror;
    ["a.txt", "b.txt", "c.txt"].into_iter().for_each(|name| job.source.set(name, Answer::Text("text")));
    job.run("r1", Mode::Full).await;
    let before = contents(&job.workspace.store());
    job.source.listing_breaks.store(true, Ordering::Relaxed);
    job.source.remove("c.txt");
    let (tracker, stop) = (lexigram_worker::report::Tracker::new("r2"), Default::default());
    let ended = job.run_with("r2", Mode::Full, &tracker, &stop).await;
    assert_eq!((ended.exit, ended.report.error.unwrap().reason.as_str()), (ExitCode::Retryable, "ListingPartial"));
    assert_eq!(contents(&job.workspace.store()), before);
    // once it is whole, what has gone goes
    job.source.listing_breaks.store(false, Ordering::Relaxed);
    assert_eq!(job.run("r2", Mode::Full).await.counts.items.deleted, 1);
    assert_eq!(searchable(&job), ["a.txt", "b.txt"]);
}

#[tokio::test]
async fn another_size_of_chunks_cuts_everything_again_and_embeds_what_is_new() {
    let mut job = job(SyncMode::Append);
    run(&job, "r1").await;
    let before = contents(&job.workspace.store());
    job.task.chunking.max_tokens = 6;
    let (counts, embedded) = run(&job, "r2").await;
    let chunks = usize::try_from(counts.chunks).unwrap();
    assert!(counts.items.done == 4 && chunks > 40, "{counts:?}");
    // no chunk of a few words was there before; texts that are equal are embedded once
    assert_eq!(embedded + usize::try_from(counts.cached).unwrap(), chunks);
    assert_eq!(contents(&job.workspace.store()).len(), chunks, "none of the old ones is left");
    job.task.chunking.max_tokens = lexigram_api::document::Chunking::default().max_tokens;
    let (counts, embedded) = run(&job, "r3").await;
    assert_eq!((counts.items.done, counts.chunks, embedded), (4, 40, 0), "the model is the same, so its vectors are");
    let texts = |contents: std::collections::BTreeMap<_, Vec<String>>| -> Vec<String> {
        contents.into_values().map(|columns| columns[2].clone()).collect()
    };
    assert_eq!(texts(contents(&job.workspace.store())), texts(before));
}

#[tokio::test]
async fn another_model_is_refused_and_changes_nothing() {
    let mut job = job(SyncMode::Mirror);
    run(&job, "r1").await;
    let before = contents(&job.workspace.store());
    fs::remove_file(job.workspace.docs().join("0.txt")).unwrap();
    job.embedder = FakeEmbedder::of("fake@2", 6);
    let ended = job.run_of_task("r2", Mode::Full).await;
    assert_eq!((ended.exit, ended.report.error.unwrap().reason.as_str()), (ExitCode::Configuration, "ModelMismatch"));
    assert_eq!((contents(&job.workspace.store()), job.embedder.take_embedded()), (before, 0));
    // into a collection of its own it embeds everything: no vector of another model is taken from the cache
    let StoreLocation::Sqlite { path, .. } = &mut job.task.store else { panic!("a file") };
    *path = path.replace("docs.db", "second.db");
    let (counts, embedded) = run(&job, "r3").await;
    assert_eq!((counts.items.done, counts.cached, embedded), (3, 0, 30));
}
