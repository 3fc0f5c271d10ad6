//! The store for many workers: a schema of a Postgres database a collection, vectors by pgvector. Reads and writes that
//! database.
//!
//! Every method is one transaction, made again where a connection is lost or another transaction was in the way; each is
//! such that doing it twice changes nothing.

mod cache;
mod chunks;
mod dead_letters;
mod error;
mod ledger;
mod lock;
mod rebuild;
mod rows;
mod schema;
mod search;
mod session;
mod texts;
mod tls;
mod upkeep;
mod uri;
mod vectors;

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use lexigram_api::{
    contract::{DeadLetters, OpenCircuit, PostgresLocation, Selection},
    failure::ArchivePolicy,
};
use uuid::Uuid;

use super::{
    Collection, DeadLetterStore, DocumentWrite, FailedAttempt, Hit, LedgerRow, ListedRange, Listing, RangeWrite,
    RunKey, RunSummary, Shard, Store, StoreError, StoreFuture, TextItem, TextStore, TextWrite, Wanted, WorkItem,
    Writer,
};
use crate::{run::run_by_hand, source::Listed};
use lock::{Claim, RunLock};
use session::transact;

pub use cache::PostgresCache;
pub use rebuild::PostgresRebuild;
pub use session::Database;
pub use upkeep::PostgresUpkeep;
pub(crate) use uri::is_uri;

/// A collection in a Postgres database.
pub struct PostgresStore {
    database: Arc<Database>,
    /// The model that this process writes and searches with.
    model: Option<String>,
    shard: Shard,
    /// Held while this process changes sources; none where it only looks.
    lock: Option<RunLock>,
}

/// The database of a location, whose connections so many processes share.
///
/// # Errors
/// If a setting cannot be used.
pub(super) fn reach(location: &PostgresLocation, shards: u32) -> Result<Arc<Database>, StoreError> {
    Ok(Arc::new(Database::new(location, shards)?))
}

impl PostgresStore {
    /// Opens the collection to ingest a source, making it where it is missing. Waits up to the writer's patience for
    /// another run over the same source to end.
    ///
    /// # Errors
    /// If the database cannot be used, the collection was filled with another model, or its source stays in the hands of
    /// another run.
    pub async fn create(
        database: &Arc<Database>,
        collection: &Collection<'_>,
        writer: &Writer<'_>,
    ) -> Result<Self, StoreError> {
        let store = Self::create_ledger(database, writer).await?;
        schema::ensure_collection(database, collection).await?;
        Ok(Self { model: Some(collection.model.to_owned()), ..store })
    }

    /// As [`Self::create`], for a store that holds a ledger and no vectors.
    ///
    /// # Errors
    /// If the database cannot be used, or its source stays in the hands of another run.
    pub async fn create_ledger(database: &Arc<Database>, writer: &Writer<'_>) -> Result<Self, StoreError> {
        schema::migrate(database).await?;
        let claim =
            Claim { scopes: vec![writer.scope.to_owned()], run: writer.run.to_owned(), shard: writer.shard.index };
        let lock = RunLock::take(database, claim, writer.patience).await?;
        Ok(Self { database: Arc::clone(database), model: None, shard: writer.shard, lock: Some(lock) })
    }

    /// Opens a collection that is there, to look into it.
    ///
    /// # Errors
    /// If there is none.
    pub async fn open(database: &Arc<Database>) -> Result<Self, StoreError> {
        schema::check(database).await?;
        let mut store = Self { database: Arc::clone(database), model: None, shard: Shard::WHOLE, lock: None };
        store.model = store.stored_model().await?;
        Ok(store)
    }

    /// Opens a collection that is there, to change dead letters of `scope`, or of every source. Waits up to `patience`
    /// for each run over one of them to end.
    ///
    /// # Errors
    /// As [`Self::open`], and if a source stays in the hands of a run.
    pub async fn open_dead_letters(
        database: &Arc<Database>,
        scope: Option<&str>,
        patience: Duration,
    ) -> Result<Self, StoreError> {
        let store = Self::open(database).await?;
        let scopes = match scope {
            Some(scope) => vec![scope.to_owned()],
            None => transact!(store, |tx| ledger::scopes(&tx))?,
        };
        let claim = Claim { scopes, run: run_by_hand(), shard: 0 };
        let lock = RunLock::take(database, claim, patience).await?;
        Ok(Self { lock: Some(lock), ..store })
    }

    /// A connection; only while the locks are held.
    async fn client(&self) -> Result<deadpool_postgres::Object, StoreError> {
        if let Some(lock) = &self.lock {
            lock.hold().await?;
        }
        self.database.client().await
    }

    async fn stored_model(&self) -> Result<Option<String>, StoreError> {
        transact!(self, |tx| schema::meta(&tx, schema::MODEL))
    }
}

/// Does something with the vectors in use, in the transaction `$tx`.
macro_rules! with_vectors {
    ($store:expr, |$tx:ident| $work:expr) => {
        transact!($store, |$tx| async {
            vectors::keep_model(&$tx, &$store.database.schema, $store.model.as_deref()).await?;
            $work.await
        })
    };
}

impl DeadLetterStore for PostgresStore {
    fn dead_letters<'a>(&'a self, scope: &'a str) -> StoreFuture<'a, DeadLetters> {
        Box::pin(async move { transact!(self, |tx| dead_letters::figures(&tx, scope)) })
    }

    fn dead_letter_rows<'a>(
        &'a self,
        wanted: &'a Wanted,
        after: i64,
        limit: usize,
    ) -> StoreFuture<'a, Vec<(i64, LedgerRow)>> {
        Box::pin(async move { transact!(self, |tx| dead_letters::rows(&tx, wanted, after, limit)) })
    }

    fn retry_dead_letters<'a>(&'a self, wanted: &'a Wanted, due: Timestamp) -> StoreFuture<'a, i64> {
        Box::pin(async move { transact!(self, |tx| dead_letters::retry(&tx, wanted, due, None, self.shard)) })
    }

    fn archive_dead_letters<'a>(&'a self, wanted: &'a Wanted) -> StoreFuture<'a, i64> {
        Box::pin(async move { transact!(self, |tx| dead_letters::archive(&tx, wanted, None, self.shard)) })
    }
}

impl Store for PostgresStore {
    fn begin_full<'a>(&'a self, run: &'a RunKey) -> StoreFuture<'a, Listing> {
        Box::pin(async move { transact!(self, |tx| ledger::begin_full(&tx, run, self.shard)) })
    }

    fn begin_retry<'a>(&'a self, run: &'a RunKey, due_before: Timestamp) -> StoreFuture<'a, ()> {
        Box::pin(async move { transact!(self, |tx| ledger::begin_retry(&tx, run, due_before, self.shard)) })
    }

    fn begin_again<'a>(
        &'a self,
        run: &'a RunKey,
        selection: &'a Selection,
        failed_before: Timestamp,
    ) -> StoreFuture<'a, ()> {
        let shard = self.shard;
        Box::pin(
            async move { transact!(self, |tx| dead_letters::begin_again(&tx, run, selection, failed_before, shard)) },
        )
    }

    fn begin_archive<'a>(
        &'a self,
        run: &'a RunKey,
        selection: &'a Selection,
        failed_before: Timestamp,
    ) -> StoreFuture<'a, ()> {
        let shard = self.shard;
        Box::pin(
            async move { transact!(self, |tx| dead_letters::begin_archive(&tx, run, selection, failed_before, shard)) },
        )
    }

    fn add_listed<'a>(&'a self, run: &'a RunKey, listed: Vec<Listed>, pipeline: &'a str) -> StoreFuture<'a, ()> {
        Box::pin(async move { transact!(self, |tx| ledger::add_listed(&tx, run, &listed, pipeline)) })
    }

    fn end_listing<'a>(&'a self, run: &'a RunKey) -> StoreFuture<'a, ()> {
        Box::pin(async move { transact!(self, |tx| ledger::end_listing(&tx, run, self.shard)) })
    }

    fn interrupted<'a>(&'a self, run: &'a RunKey) -> StoreFuture<'a, Vec<WorkItem>> {
        Box::pin(async move { transact!(self, |tx| ledger::interrupted(&tx, run, self.shard)) })
    }

    fn suspect(&self, attempt: FailedAttempt) -> StoreFuture<'_, ()> {
        Box::pin(async move { transact!(self, |tx| ledger::suspect(&tx, &attempt)) })
    }

    fn give_up<'a>(&'a self, run: &'a RunKey, attempt: FailedAttempt) -> StoreFuture<'a, ()> {
        Box::pin(async move { transact!(self, |tx| ledger::give_up(&tx, run, &attempt)) })
    }

    fn claim<'a>(&'a self, run: &'a RunKey) -> StoreFuture<'a, Option<WorkItem>> {
        Box::pin(async move {
            let item = transact!(self, |tx| ledger::next(&tx, run, self.shard))?;
            if let Some(item) = &item {
                transact!(self, |tx| ledger::take(&tx, &[item.document]))?;
            }
            Ok(item)
        })
    }

    fn release<'a>(&'a self, run: &'a RunKey) -> StoreFuture<'a, ()> {
        Box::pin(async move { transact!(self, |tx| ledger::release(&tx, run, self.shard)) })
    }

    fn complete(&self, write: DocumentWrite) -> StoreFuture<'_, ()> {
        Box::pin(async move { with_vectors!(self, |tx| chunks::complete(&tx, &write)) })
    }

    fn skip(&self, document: i64) -> StoreFuture<'_, ()> {
        Box::pin(async move { transact!(self, |tx| ledger::skip(&tx, document)) })
    }

    fn fail(&self, attempt: FailedAttempt) -> StoreFuture<'_, ()> {
        Box::pin(async move { transact!(self, |tx| ledger::fail(&tx, &attempt)) })
    }

    fn postpone<'a>(&'a self, run: &'a RunKey, circuit: &'a OpenCircuit, now: Timestamp) -> StoreFuture<'a, ()> {
        Box::pin(async move { transact!(self, |tx| dead_letters::postpone(&tx, run, circuit, now, self.shard)) })
    }

    fn remove_unlisted<'a>(&'a self, run: &'a RunKey) -> StoreFuture<'a, i32> {
        Box::pin(async move { transact!(self, |tx| chunks::remove_unlisted(&tx, run, self.shard)) })
    }

    fn prune_archive<'a>(&'a self, policy: &'a ArchivePolicy, now: Timestamp) -> StoreFuture<'a, i64> {
        Box::pin(async move { transact!(self, |tx| chunks::prune_archive(&tx, policy, now)) })
    }

    fn summary<'a>(&'a self, run: &'a RunKey) -> StoreFuture<'a, RunSummary> {
        Box::pin(async move { transact!(self, |tx| ledger::summary(&tx, run, self.shard)) })
    }

    fn index<'a>(&'a self, run: &'a RunKey) -> StoreFuture<'a, ()> {
        Box::pin(vectors::index_after(&self.database, run))
    }

    fn search<'a>(&'a self, vector: &'a [f32], limit: usize) -> StoreFuture<'a, Vec<Hit>> {
        Box::pin(async move { with_vectors!(self, |tx| search::by_vector(&tx, vector, limit)) })
    }

    fn search_words<'a>(&'a self, words: &'a [String], limit: usize) -> StoreFuture<'a, Vec<Hit>> {
        Box::pin(async move { transact!(self, |tx| search::by_words(&tx, words, limit)) })
    }

    fn documents(&self, only_failed: bool, limit: usize) -> StoreFuture<'_, Vec<LedgerRow>> {
        Box::pin(async move { transact!(self, |tx| rows::documents(&tx, only_failed, limit)) })
    }

    fn model(&self) -> StoreFuture<'_, String> {
        Box::pin(async move {
            let model = self.stored_model().await?;
            model.ok_or_else(|| StoreError::CollectionNotFound { store: self.database.name() })
        })
    }
}

impl TextStore for PostgresStore {
    fn add_ranges<'a>(&'a self, run: &'a RunKey, listed: Vec<ListedRange>, pipeline: &'a str) -> StoreFuture<'a, ()> {
        Box::pin(async move { transact!(self, |tx| texts::add_ranges(&tx, run, &listed, pipeline)) })
    }

    fn claim_texts<'a>(&'a self, run: &'a RunKey, limit: usize) -> StoreFuture<'a, Vec<TextItem>> {
        Box::pin(async move {
            let items = transact!(self, |tx| texts::next(&tx, run, limit, self.shard))?;
            let documents: Vec<i64> = items.iter().map(|item| item.item.document).collect();
            transact!(self, |tx| ledger::take(&tx, &documents))?;
            Ok(items)
        })
    }

    fn taken<'a>(&'a self, run: &'a RunKey, full: bool, document: i64, ids: Vec<Uuid>) -> StoreFuture<'a, Vec<Uuid>> {
        Box::pin(async move { transact!(self, |tx| texts::taken(&tx, run, full, document, &ids)) })
    }

    fn complete_range<'a>(&'a self, run: &'a RunKey, write: RangeWrite) -> StoreFuture<'a, ()> {
        Box::pin(async move { with_vectors!(self, |tx| texts::complete_range(&tx, run, &write)) })
    }

    fn complete_texts(&self, done: Vec<TextWrite>, failed: Vec<FailedAttempt>) -> StoreFuture<'_, ()> {
        Box::pin(async move { with_vectors!(self, |tx| texts::complete_texts(&tx, &done, &failed)) })
    }

    fn revisions<'a>(&'a self, scope: &'a str) -> StoreFuture<'a, Vec<String>> {
        Box::pin(async move { transact!(self, |tx| texts::revisions(&tx, scope)) })
    }
}
