//! What every store has to do, asked of each of them: files, and a real Postgres.

// helpers panic as tests do
#![allow(clippy::unwrap_used, clippy::panic)]

#[path = "../common/mod.rs"]
mod common;

mod cache;
mod dead_letters;
mod ledger;
mod rebuild;
mod search;
mod texts;

use std::time::Duration;

use common::postgres::Database;
use jiff::Timestamp;
use lexigram_api::{
    contract::StoreLocation,
    failure::{ArchivePolicy, FailureAction, FailureCategory, Stage, Verdict},
};
use lexigram_worker::{
    parse::About,
    source::Listed,
    store::{
        Collection, DocumentState, DocumentWrite, EmbeddedChunk, FailedAttempt, Listing, Place, RunKey, Shard,
        StoreError, TextStore, WorkItem, Writer,
    },
};
use rstest::rstest;
use tempfile::TempDir;
use uuid::Uuid;

const COLLECTION: Collection<'_> = Collection { name: "docs", model: "tiny@1", dimension: 4 };
const SCOPE: &str = "configMap/handbook";

/// The stores that there are.
#[derive(Clone, Copy, Debug)]
enum Kind {
    Sqlite,
    Postgres,
}

struct Fixture {
    store: Box<dyn TextStore>,
    place: Place,
    _folder: TempDir,
}

impl Fixture {
    async fn new(kind: Kind) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = |name| folder.path().join(name).to_str().unwrap().to_owned();
        let location = match kind {
            Kind::Sqlite => StoreLocation::Sqlite { path: path("docs.db"), cache: Some(path("cache.db")) },
            Kind::Postgres => Database::new().await.location("docs"),
        };
        let place = Place::find(&location, 1).unwrap();
        let store = place.create(&COLLECTION, &writer("r1")).await.unwrap();
        Self { store, place, _folder: folder }
    }

    /// As another run over the same source, after this one.
    async fn again(self, run: &str) -> Self {
        let Self { store, place, _folder } = self;
        drop(store);
        let store =
            place.create(&COLLECTION, &Writer { patience: Duration::from_secs(10), ..writer(run) }).await.unwrap();
        Self { store, place, _folder }
    }

    /// A full run that lists these names and versions.
    async fn list(&self, run: &str, documents: &[(&str, &str)]) -> RunKey {
        let run = RunKey { scope: SCOPE.to_owned(), run: run.to_owned() };
        self.store.begin_full(&run).await.unwrap();
        let listed = documents
            .iter()
            .map(|(name, version)| Listed { name: (*name).to_owned(), version: Some((*version).to_owned()) })
            .collect();
        self.store.add_listed(&run, listed, "p1").await.unwrap();
        self.store.end_listing(&run).await.unwrap();
        run
    }

    async fn claim(&self, run: &RunKey) -> Option<WorkItem> {
        self.store.claim(run).await.unwrap()
    }

    async fn complete(&self, item: &WorkItem, revision: &str, chunks: u128) {
        let chunk = |ordinal: u128| EmbeddedChunk {
            id: Uuid::from_u128(
                u128::try_from(item.document).unwrap() << 64 | u128::from(revision.as_bytes()[0]) << 32 | ordinal,
            ),
            ordinal: i32::try_from(ordinal).unwrap(),
            text: format!("{} {revision} {ordinal}", item.name),
            headings: vec!["Top".to_owned()],
            page: Some(1),
            bytes: 0..10,
            tokens: 7,
            vector: vec![1.0, f32::from(u16::try_from(ordinal).unwrap()), 0.0, 0.0],
        };
        let write = DocumentWrite {
            document: item.document,
            revision: revision.to_owned(),
            pipeline: "p1".to_owned(),
            tokens: 7,
            cached: 0,
            bytes: 100,
            about: About { format: format!("format {revision}"), ..About::default() },
            chunks: (0..chunks).map(chunk).collect(),
        };
        self.store.complete(write).await.unwrap();
    }

    async fn fail(&self, item: &WorkItem, action: FailureAction, next_attempt: Option<Timestamp>) {
        self.store.fail(attempt(item, action, next_attempt)).await.unwrap();
    }

    async fn texts(&self) -> Vec<String> {
        let mut texts: Vec<_> =
            self.store.search(&[1.0, 0.0, 0.0, 0.0], 100).await.unwrap().into_iter().map(|hit| hit.text).collect();
        texts.sort();
        texts
    }

    async fn states(&self) -> Vec<(String, DocumentState, i32)> {
        let rows = self.store.documents(false, 100).await.unwrap();
        rows.into_iter().map(|row| (row.document, row.state, row.attempts)).collect()
    }
}

fn writer(run: &str) -> Writer<'_> {
    Writer { scope: SCOPE, run, shard: Shard::WHOLE, patience: Duration::ZERO }
}

fn attempt(item: &WorkItem, action: FailureAction, next_attempt: Option<Timestamp>) -> FailedAttempt {
    FailedAttempt {
        document: item.document,
        attempts: item.attempts + 1,
        stage: Stage::Parse,
        category: FailureCategory::Transient,
        reason: "Test".to_owned(),
        message: "it failed".to_owned(),
        time: at(50),
        verdict: Verdict { action, next_attempt },
    }
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}
