//! A run in this process, with an embedder that is a fake: what becomes of documents that fail.

// helpers panic as tests do
#![allow(clippy::unwrap_used, clippy::panic)]

mod common;

use std::{collections::BTreeMap, path::PathBuf, sync::Arc, time::Duration};

use common::{Workspace, count, query};
use futures::{
    FutureExt, StreamExt,
    future::{self, BoxFuture},
    stream::BoxStream,
};
use jiff::Timestamp;
use lexigram_api::contract::{ExitCode, IngestTask, Mode, Task, WorkSpec};
use lexigram_worker::{
    embed::{EmbedError, Embedded, Embedder, Outcomes, TokenCounter},
    pipeline::{Machine, ingest, ingest_from},
    report::Tracker,
    run::{CircuitSettings, Ended},
    source::{Fetched, Listed, Source, SourceError},
};
use tokenizers::{Tokenizer, models::wordlevel::WordLevel, pre_tokenizers::whitespace::Whitespace};
use tokio_util::sync::CancellationToken;

/// Vectors that depend on nothing but the text's length. A text that holds the word "poison" has none.
struct FakeEmbedder(Arc<Tokenizer>);

impl FakeEmbedder {
    fn new() -> Self {
        let words = WordLevel::builder().vocab([("?".to_owned(), 0)].into_iter().collect()).unk_token("?".to_owned());
        let mut tokenizer = Tokenizer::new(words.build().unwrap());
        tokenizer.with_pre_tokenizer(Some(Whitespace {}));
        Self(Arc::new(tokenizer))
    }
}

impl Embedder for FakeEmbedder {
    fn embed(&self, texts: Vec<String>) -> BoxFuture<'_, Outcomes> {
        let outcome = |text: String| match text.contains("poison") {
            true => Err(EmbedError::Computation("a number is not finite".to_owned())),
            false => {
                let vector = vec![1.0, f32::from(u16::try_from(text.len()).unwrap())];
                Ok(Embedded { vector, tokens: 1, cached: false })
            }
        };
        future::ready(Ok(texts.into_iter().map(outcome).collect())).boxed()
    }

    fn batch_texts(&self) -> usize {
        32
    }

    fn dimension(&self) -> usize {
        2
    }

    fn max_tokens(&self) -> usize {
        256
    }

    fn tokens(&self) -> Arc<dyn TokenCounter> {
        Arc::clone(&self.0) as Arc<dyn TokenCounter>
    }

    fn fingerprint(&self) -> &str {
        "fake@1"
    }
}

/// Documents and errors, as they stand there.
struct FakeSource {
    documents: BTreeMap<&'static str, Option<&'static str>>,
    listing_fails: bool,
}

impl Source for FakeSource {
    fn list(&self) -> BoxStream<'_, Result<Listed, SourceError>> {
        let listed = self.documents.keys().map(|name| Ok(Listed { name: (*name).to_owned(), version: None }));
        let error = self.listing_fails.then(|| Err(SourceError::Connection("reset by peer".to_owned())));
        futures::stream::iter(listed.chain(error)).boxed()
    }

    fn fetch<'a>(&'a self, name: &'a str, _limit: u64) -> BoxFuture<'a, Result<Fetched, SourceError>> {
        let fetched = match self.documents.get(name) {
            Some(Some(text)) => Ok(Fetched { content: text.as_bytes().to_vec().into(), media_type: None }),
            Some(None) => Err(SourceError::ServerError { status: 503 }),
            None => Err(SourceError::Gone { detail: "HTTP 404".to_owned() }),
        };
        async { fetched }.boxed()
    }
}

fn source(documents: &[(&'static str, Option<&'static str>)]) -> FakeSource {
    FakeSource { documents: documents.iter().copied().collect(), listing_fails: false }
}

fn task(workspace: &Workspace, change: impl FnOnce(&mut IngestTask)) -> IngestTask {
    let spec: WorkSpec = serde_json::from_value(workspace.spec("unused")).unwrap();
    let Task::Ingest(mut task) = spec.task else { panic!("no ingestion") };
    change(&mut task);
    *task
}

fn machine() -> Machine {
    Machine {
        embedder: Arc::new(FakeEmbedder::new()),
        parser_program: PathBuf::from(env!("CARGO_BIN_EXE_lexigram-worker")),
        patience: Duration::ZERO,
        shard: 0,
        circuit: CircuitSettings::default(),
    }
}

async fn run(source: FakeSource, name: &str, task: &IngestTask) -> Ended {
    ingest_from(Box::new(source), &machine(), name, task, &Tracker::new(name), &CancellationToken::new()).await
}

fn rows(workspace: &Workspace) -> Vec<String> {
    let sql = "SELECT name, state, attempts, coalesce(reason, '-') FROM documents ORDER BY name";
    query(&workspace.store(), sql).into_iter().map(|row| row.join(" ")).collect()
}

fn in_an_hour() -> Timestamp {
    Timestamp::now().checked_add(Duration::from_secs(3600)).unwrap()
}

#[tokio::test]
async fn a_text_that_the_model_refuses_fails_alone() {
    let workspace = Workspace::new();
    workspace.write("a.txt", "A good text.");
    workspace.write("b.txt", "This text is poison.");
    workspace.write("c.txt", "Another good text.");
    let task = task(&workspace, |_| {});
    let ended = ingest(&machine(), "r1", &task, &Tracker::new("r1"), &CancellationToken::new()).await;
    assert_eq!(ended.exit, ExitCode::Finished);
    assert_eq!(rows(&workspace), ["a.txt Done 0 -", "b.txt Failed 1 EmbeddingFailed", "c.txt Done 0 -"]);
    assert!(ended.report.next_retry_time.is_some() && ended.report.counts.failures.retrying == 1, "{:?}", ended.report);
}

#[tokio::test]
async fn a_retry_counts_on_until_attempts_run_out() {
    let workspace = Workspace::new();
    let documents = [("a.txt", Some("text")), ("b.txt", None)];
    let full = task(&workspace, |task| task.failure_policy.max_attempts = 3);
    run(source(&documents), "r1", &full).await;
    assert_eq!(rows(&workspace), ["a.txt Done 0 -", "b.txt Failed 1 SourceServerError"]);

    let retry = |due_before| IngestTask { mode: Mode::Retry { due_before }, ..full.clone() };
    let ended = run(source(&documents), "retry0", &retry(Timestamp::now())).await;
    assert_eq!(ended.report.counts.items.total, 0, "nothing was due yet");
    run(source(&documents), "retry1", &retry(in_an_hour())).await;
    assert_eq!(rows(&workspace)[1], "b.txt Failed 2 SourceServerError");
    let ended = run(source(&documents), "retry2", &retry(in_an_hour())).await;
    assert_eq!(rows(&workspace)[1], "b.txt Archived 3 SourceServerError");
    assert_eq!((ended.report.counts.items.total, ended.report.counts.failures.archived), (1, 1));
    let ended = run(source(&documents), "retry3", &retry(in_an_hour())).await;
    assert_eq!(ended.report.counts.items.total, 0, "what is archived is not tried again");
}

#[tokio::test]
async fn a_retry_that_works_leaves_no_trace_of_the_failure() {
    let workspace = Workspace::new();
    let full = task(&workspace, |_| {});
    run(source(&[("a.txt", None)]), "r1", &full).await;
    let retry = IngestTask { mode: Mode::Retry { due_before: in_an_hour() }, ..full };
    let ended = run(source(&[("a.txt", Some("text"))]), "retry1", &retry).await;
    assert_eq!((ended.report.counts.items.done, ended.report.counts.chunks), (1, 1));
    assert_eq!(rows(&workspace), ["a.txt Done 0 -"]);
}

#[tokio::test]
async fn a_retry_of_what_is_gone_is_archived() {
    let workspace = Workspace::new();
    let full = task(&workspace, |_| {});
    run(source(&[("a.txt", None)]), "r1", &full).await;
    let retry = IngestTask { mode: Mode::Retry { due_before: in_an_hour() }, ..full };
    run(source(&[]), "retry1", &retry).await;
    assert_eq!(rows(&workspace), ["a.txt Archived 2 SourceGone"]);
}

#[tokio::test]
async fn a_partial_listing_ingests_what_it_has_removes_nothing_and_fails() {
    let workspace = Workspace::new();
    let mirror = task(&workspace, |task| task.sync = lexigram_api::document::SyncMode::Mirror);
    run(source(&[("a.txt", Some("text")), ("b.txt", Some("text"))]), "r1", &mirror).await;

    let partial = || FakeSource { listing_fails: true, ..source(&[("c.txt", Some("text"))]) };
    let ended = run(partial(), "r2", &mirror).await;
    let error = ended.report.error.unwrap();
    assert_eq!((ended.exit, error.reason.as_str()), (ExitCode::Retryable, "ListingPartial"));
    assert!(
        error.message.contains("1 documents found") && error.message.contains("reset by peer"),
        "{}",
        error.message
    );
    assert_eq!(rows(&workspace), ["a.txt Done 0 -", "b.txt Done 0 -", "c.txt Done 0 -"]);

    // the next pod of the run lists again, and then the mirror is complete
    let ended = run(source(&[("a.txt", Some("text")), ("c.txt", Some("text"))]), "r2", &mirror).await;
    assert_eq!((ended.exit, ended.report.counts.items.deleted), (ExitCode::Finished, 1));
    assert_eq!(rows(&workspace), ["a.txt Done 0 -", "c.txt Done 0 -"]);
}

#[tokio::test]
async fn a_listing_that_yields_nothing_but_an_error_is_that_error() {
    let workspace = Workspace::new();
    let ended = run(FakeSource { listing_fails: true, ..source(&[]) }, "r1", &task(&workspace, |_| {})).await;
    assert_eq!((ended.exit, ended.report.error.unwrap().reason.as_str()), (ExitCode::Retryable, "SourceUnreachable"));
}

#[tokio::test]
async fn a_document_that_kills_its_worker_again_and_again_is_given_up() {
    let workspace = Workspace::new();
    let documents = [("a.txt", Some("text")), ("killer.txt", Some("text"))];
    let task = task(&workspace, |task| task.failure_policy.max_attempts = 3);
    run(source(&documents), "r1", &task).await;
    for death in 1..=3 {
        // what a worker leaves behind that dies with the document in hand
        let connection = rusqlite::Connection::open(workspace.store()).unwrap();
        let leave = "UPDATE documents SET state = 'InFlight', outcome = NULL, attempts = ?1 WHERE name = 'killer.txt'";
        assert_eq!(connection.execute(leave, [death - 1]).unwrap(), 1);
        drop(connection);
        let ended = run(source(&documents), "r1", &task).await;
        assert_eq!(ended.exit, ExitCode::Finished);
        let expected = if death < 3 { "killer.txt Done 0 -" } else { "killer.txt Failed 3 WorkerDied" };
        assert_eq!(rows(&workspace)[1], expected, "after death {death}");
    }
    assert_eq!(count(&workspace.store(), "SELECT count(*) FROM documents WHERE action = 'Notify'"), 1);
}

#[tokio::test]
async fn what_killed_a_whole_run_is_given_up_by_the_next_one() {
    let workspace = Workspace::new();
    let documents = [("a.txt", Some("text")), ("killer.txt", Some("text"))];
    let task = task(&workspace, |task| task.failure_policy.max_attempts = 3);
    run(source(&documents), "r1", &task).await;
    // the last of its workers has left this
    let connection = rusqlite::Connection::open(workspace.store()).unwrap();
    let leave = "UPDATE documents SET state = 'InFlight', outcome = NULL, attempts = 2, suspect = 1
        WHERE name = 'killer.txt'";
    assert_eq!(connection.execute(leave, []).unwrap(), 1);
    drop(connection);
    let ended = run(source(&documents), "r2", &task).await;
    assert_eq!(rows(&workspace), ["a.txt Done 0 -", "killer.txt Failed 3 WorkerDied"]);
    let items = ended.report.counts.items;
    assert_eq!((ended.exit, items.total, items.skipped, items.failed), (ExitCode::Finished, 2, 1, 1));
}

#[tokio::test]
async fn a_report_counts_what_the_archive_does_not_keep() {
    let workspace = Workspace::new();
    let task = task(&workspace, |task| task.failure_policy.archive.max_items = 0);
    let ended = run(source(&[("a.txt", Some("text")), ("empty.txt", Some(""))]), "r1", &task).await;
    assert_eq!((ended.report.counts.items.total, ended.report.counts.failures.archived), (2, 1));
    assert_eq!(rows(&workspace), ["a.txt Done 0 -"]);
}

#[tokio::test]
async fn two_runs_over_one_source_do_not_mix() {
    let workspace = Workspace::new();
    let task = task(&workspace, |_| {});
    let (tracker, stop, machine) = (Tracker::new("r1"), CancellationToken::new(), machine());
    let (first, second) = tokio::join!(
        ingest_from(Box::new(source(&[("a.txt", Some("text"))])), &machine, "r1", &task, &tracker, &stop),
        ingest_from(Box::new(source(&[("a.txt", Some("text"))])), &machine, "r2", &task, &tracker, &stop),
    );
    assert_eq!((first.exit, second.exit), (ExitCode::Finished, ExitCode::Retryable));
    assert_eq!(second.report.error.unwrap().reason, "StoreLocked");
}
