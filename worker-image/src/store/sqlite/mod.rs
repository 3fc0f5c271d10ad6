//! The embedded store: one SQLite file a collection, vectors by sqlite-vec. Reads and writes that file.
//!
//! Every method takes the one connection and blocks a thread of tokio's blocking pool while it works.

mod cache;
mod chunks;
mod dead_letters;
mod guard;
mod ledger;
mod rebuild;
mod rows;
mod schema;
mod search;
#[cfg(test)]
mod tests;
mod texts;
mod upkeep;
mod vectors;

use std::{
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use jiff::Timestamp;
use lexigram_api::{
    contract::{OpenCircuit, Selection},
    failure::ArchivePolicy,
};
use rusqlite::{Connection, OpenFlags};
use uuid::Uuid;

use super::{
    Collection, DocumentWrite, FailedAttempt, Hit, LedgerRow, ListedRange, Listing, RangeWrite, RunKey, RunSummary,
    Store, StoreError, StoreFuture, TextItem, TextStore, TextWrite, WorkItem,
};
use crate::source::Listed;
pub use cache::SqliteCache;
pub use rebuild::SqliteRebuild;
pub use upkeep::SqliteUpkeep;

use guard::ScopeLock;

/// How long a statement waits for another process to end its write.
const BUSY_TIMEOUT: Duration = Duration::from_secs(30);

/// A store in one SQLite file.
pub struct SqliteStore {
    connection: Arc<Mutex<Connection>>,
    /// Held while this process changes a source; none where it only looks.
    _locks: Vec<ScopeLock>,
}

impl SqliteStore {
    /// Opens the file to ingest the source `scope`, making it and its tables where they are missing. Waits up to
    /// `patience` for another run over the same source to end.
    ///
    /// # Errors
    /// If the file cannot be used, lies on a network file system, was filled with another model, or its source stays
    /// in the hands of another run.
    pub async fn create(
        path: &Path,
        collection: &Collection<'_>,
        scope: &str,
        patience: Duration,
    ) -> Result<Self, StoreError> {
        let (mut connection, lock) = take(path, scope, patience).await?;
        schema::ensure_collection(&mut connection, collection)?;
        Ok(Self { connection: Arc::new(Mutex::new(connection)), _locks: vec![lock] })
    }

    /// As [`Self::create`], for a store that holds a ledger and no vectors.
    ///
    /// # Errors
    /// If the file cannot be used, lies on a network file system, or its source stays in the hands of another run.
    pub async fn create_ledger(path: &Path, scope: &str, patience: Duration) -> Result<Self, StoreError> {
        let (connection, lock) = take(path, scope, patience).await?;
        Ok(Self { connection: Arc::new(Mutex::new(connection)), _locks: vec![lock] })
    }

    /// Opens a file that is there, to look into it.
    ///
    /// # Errors
    /// If there is no such file, or it is no store.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        if !path.exists() {
            return Err(StoreError::NotFound { path: path.display().to_string() });
        }
        let mut connection = open(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        schema::check(&connection, &path.display().to_string())?;
        schema::migrate(&mut connection, &path.display().to_string())?;
        if let Some(model) = schema::stored_model(&connection)? {
            vectors::note_model(&connection, &model)?;
        }
        Ok(Self { connection: Arc::new(Mutex::new(connection)), _locks: Vec::new() })
    }

    /// Opens a file that is there, to change dead letters of `scope`, or of every source. Waits up to `patience` for
    /// each run over one of them to end.
    ///
    /// # Errors
    /// As [`Self::open`], and if a source stays in the hands of a run.
    pub async fn open_dead_letters(path: &Path, scope: Option<&str>, patience: Duration) -> Result<Self, StoreError> {
        let mut store = Self::open(path)?;
        guard::refuse_network_file_system(folder_of(path), path)?;
        let scopes = match scope {
            Some(scope) => vec![scope.to_owned()],
            None => store.with(|connection| ledger::scopes(connection)).await?,
        };
        for scope in scopes {
            store._locks.push(ScopeLock::take(path, &scope, patience).await?);
        }
        Ok(store)
    }

    fn with<'a, T: Send + 'static>(
        &'a self,
        work: impl FnOnce(&mut Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> StoreFuture<'a, T> {
        with(&self.connection, work)
    }
}

/// Does something with a connection, on a thread that may block.
fn with<'a, T: Send + 'static>(
    connection: &Arc<Mutex<Connection>>,
    work: impl FnOnce(&mut Connection) -> Result<T, StoreError> + Send + 'static,
) -> StoreFuture<'a, T> {
    let connection = Arc::clone(connection);
    Box::pin(async move {
        tokio::task::spawn_blocking(move || {
            // a panic elsewhere leaves no half-done work: its transaction was rolled back
            let mut connection = connection.lock().unwrap_or_else(PoisonError::into_inner);
            work(&mut connection)
        })
        .await
        .unwrap_or_else(|error| Err(StoreError::Other(error.to_string())))
    })
}

/// Opens a store for writing `scope`, which nobody else then writes.
async fn take(path: &Path, scope: &str, patience: Duration) -> Result<(Connection, ScopeLock), StoreError> {
    guard::refuse_network_file_system(folder_of(path), path)?;
    let lock = ScopeLock::take(path, scope, patience).await?;
    let mut connection = open(path, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE)?;
    schema::migrate(&mut connection, &path.display().to_string())?;
    Ok((connection, lock))
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn open(path: &Path, flags: OpenFlags) -> Result<Connection, StoreError> {
    lexigram_sqlite_vec::register()?;
    let connection = Connection::open_with_flags(path, flags | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    make_room_returnable(&connection)?;
    // FULL: a write that was acknowledged is still there after the power went; in WAL mode this costs one fsync a write
    let prepared = connection.execute_batch(
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; PRAGMA temp_store = MEMORY;",
    ).and_then(|()| vectors::prepare(&connection)
    );
    prepared.map_err(|error| match error.sqlite_error_code() {
        Some(rusqlite::ErrorCode::NotADatabase | rusqlite::ErrorCode::DatabaseCorrupt) => {
            StoreError::NotAStore { path: path.display().to_string(), problem: error.to_string() }
        }
        _ => error.into(),
    })?;
    Ok(connection)
}

/// Lets a file that is new give free pages back bit by bit: later it would have to be copied for that. It says nothing of
/// a file that is something else.
fn make_room_returnable(connection: &Connection) -> rusqlite::Result<()> {
    match connection.query_row("PRAGMA page_count", [], |row| row.get::<_, i64>(0)) {
        Ok(0) => connection.execute_batch("PRAGMA auto_vacuum = INCREMENTAL"),
        _ => Ok(()),
    }
}

impl Store for SqliteStore {
    fn begin_full<'a>(&'a self, run: &'a RunKey) -> StoreFuture<'a, Listing> {
        let run = run.clone();
        self.with(move |connection| ledger::begin_full(connection, &run))
    }

    fn begin_retry<'a>(&'a self, run: &'a RunKey, due_before: Timestamp) -> StoreFuture<'a, ()> {
        let run = run.clone();
        self.with(move |connection| ledger::begin_retry(connection, &run, due_before))
    }

    fn begin_again<'a>(
        &'a self,
        run: &'a RunKey,
        selection: &'a Selection,
        failed_before: Timestamp,
    ) -> StoreFuture<'a, ()> {
        let (run, selection) = (run.clone(), selection.clone());
        self.with(move |connection| dead_letters::begin_again(connection, &run, &selection, failed_before))
    }

    fn begin_archive<'a>(
        &'a self,
        run: &'a RunKey,
        selection: &'a Selection,
        failed_before: Timestamp,
    ) -> StoreFuture<'a, ()> {
        let (run, selection) = (run.clone(), selection.clone());
        self.with(move |connection| dead_letters::begin_archive(connection, &run, &selection, failed_before))
    }

    fn add_listed<'a>(&'a self, run: &'a RunKey, listed: Vec<Listed>, pipeline: &'a str) -> StoreFuture<'a, ()> {
        let (run, pipeline) = (run.clone(), pipeline.to_owned());
        self.with(move |connection| ledger::add_listed(connection, &run, &listed, &pipeline))
    }

    fn end_listing<'a>(&'a self, run: &'a RunKey) -> StoreFuture<'a, ()> {
        let run = run.clone();
        self.with(move |connection| ledger::end_listing(connection, &run))
    }

    fn interrupted<'a>(&'a self, run: &'a RunKey) -> StoreFuture<'a, Vec<WorkItem>> {
        let run = run.clone();
        self.with(move |connection| ledger::interrupted(connection, &run))
    }

    fn claim<'a>(&'a self, run: &'a RunKey) -> StoreFuture<'a, Option<WorkItem>> {
        let run = run.clone();
        self.with(move |connection| ledger::claim(connection, &run))
    }

    fn release<'a>(&'a self, run: &'a RunKey) -> StoreFuture<'a, ()> {
        let run = run.clone();
        self.with(move |connection| ledger::release(connection, &run))
    }

    fn suspect(&self, attempt: FailedAttempt) -> StoreFuture<'_, ()> {
        self.with(move |connection| ledger::suspect(connection, &attempt))
    }

    fn give_up<'a>(&'a self, run: &'a RunKey, attempt: FailedAttempt) -> StoreFuture<'a, ()> {
        let run = run.clone();
        self.with(move |connection| ledger::give_up(connection, &run, &attempt))
    }

    fn complete(&self, write: DocumentWrite) -> StoreFuture<'_, ()> {
        self.with(move |connection| chunks::complete(connection, &write))
    }

    fn skip(&self, document: i64) -> StoreFuture<'_, ()> {
        self.with(move |connection| ledger::skip(connection, document))
    }

    fn fail(&self, attempt: FailedAttempt) -> StoreFuture<'_, ()> {
        self.with(move |connection| ledger::fail(connection, &attempt))
    }

    fn postpone<'a>(&'a self, run: &'a RunKey, circuit: &'a OpenCircuit, now: Timestamp) -> StoreFuture<'a, ()> {
        let (run, circuit) = (run.clone(), circuit.clone());
        self.with(move |connection| dead_letters::postpone(connection, &run, &circuit, now))
    }

    fn remove_unlisted<'a>(&'a self, run: &'a RunKey) -> StoreFuture<'a, i32> {
        let run = run.clone();
        self.with(move |connection| chunks::remove_unlisted(connection, &run))
    }

    fn prune_archive<'a>(&'a self, policy: &'a ArchivePolicy, now: Timestamp) -> StoreFuture<'a, i64> {
        let policy = policy.clone();
        self.with(move |connection| chunks::prune_archive(connection, &policy, now))
    }

    fn summary<'a>(&'a self, run: &'a RunKey) -> StoreFuture<'a, RunSummary> {
        let run = run.clone();
        self.with(move |connection| ledger::summary(connection, &run))
    }

    fn search<'a>(&'a self, vector: &'a [f32], limit: usize) -> StoreFuture<'a, Vec<Hit>> {
        let vector = vector.to_vec();
        self.with(move |connection| search::by_vector(connection, &vector, limit))
    }

    fn search_words<'a>(&'a self, words: &'a [String], limit: usize) -> StoreFuture<'a, Vec<Hit>> {
        let words = words.to_vec();
        self.with(move |connection| search::by_words(connection, &words, limit))
    }

    fn documents(&self, only_failed: bool, limit: usize) -> StoreFuture<'_, Vec<LedgerRow>> {
        self.with(move |connection| rows::documents(connection, only_failed, limit))
    }

    fn model(&self) -> StoreFuture<'_, String> {
        self.with(|connection| {
            schema::stored_model(connection)?
                .ok_or_else(|| StoreError::Other("the store holds no collection".to_owned()))
        })
    }
}

impl TextStore for SqliteStore {
    fn add_ranges<'a>(&'a self, run: &'a RunKey, listed: Vec<ListedRange>, pipeline: &'a str) -> StoreFuture<'a, ()> {
        let (run, pipeline) = (run.clone(), pipeline.to_owned());
        self.with(move |connection| texts::add_ranges(connection, &run, &listed, &pipeline))
    }

    fn claim_texts<'a>(&'a self, run: &'a RunKey, limit: usize) -> StoreFuture<'a, Vec<TextItem>> {
        let run = run.clone();
        self.with(move |connection| texts::claim(connection, &run, limit))
    }

    fn taken<'a>(&'a self, run: &'a RunKey, full: bool, document: i64, ids: Vec<Uuid>) -> StoreFuture<'a, Vec<Uuid>> {
        let run = run.clone();
        self.with(move |connection| texts::taken(connection, &run, full, document, &ids))
    }

    fn complete_range<'a>(&'a self, run: &'a RunKey, write: RangeWrite) -> StoreFuture<'a, ()> {
        let run = run.clone();
        self.with(move |connection| texts::complete_range(connection, &run, &write))
    }

    fn complete_texts(&self, done: Vec<TextWrite>, failed: Vec<FailedAttempt>) -> StoreFuture<'_, ()> {
        self.with(move |connection| texts::complete_texts(connection, &done, &failed))
    }

    fn revisions<'a>(&'a self, scope: &'a str) -> StoreFuture<'a, Vec<String>> {
        let scope = scope.to_owned();
        self.with(move |connection| texts::revisions(connection, &scope))
    }
}
