//! Another model for a collection in Postgres: its vectors are made in a column beside the one in use, which one
//! transaction puts in its place when no chunk lacks one. Reads and writes the database.

use std::{sync::Arc, time::Duration};

use pgvector::Vector;
use tokio_postgres::Transaction;
use uuid::Uuid;

use super::{
    super::{Collection, LeftChunk, Rebuild, StoreError, StoreFuture},
    lock::{Claim, RunLock},
    schema::{self, MODEL, NEXT_MODEL},
    session::{Database, Tx, transact},
    vectors,
};
use crate::run::run_by_hand;

/// The column that is filled.
const NEXT: &str = "next_embedding";

/// A rebuild in hand. Nobody else rebuilds the same collection meanwhile; runs of the model in use go on.
pub struct PostgresRebuild {
    database: Arc<Database>,
    lock: RunLock,
}

impl PostgresRebuild {
    /// Begins to rebuild the collection for another model, or goes on where a process for the same model ended; what was
    /// made for a third one is dropped. Waits up to `patience` for another rebuild to end.
    ///
    /// # Errors
    /// If the database cannot be used, or another rebuild does not end.
    pub async fn begin(
        database: Arc<Database>,
        collection: &Collection<'_>,
        patience: Duration,
    ) -> Result<Self, StoreError> {
        let lock = take(&database, patience).await?;
        let mut client = database.connect().await?;
        let transaction = client.transaction().await?;
        schema::gate(&transaction, &database.schema).await?;
        begin(&transaction, collection).await?;
        transaction.commit().await?;
        Ok(Self { database, lock })
    }

    async fn client(&self) -> Result<deadpool_postgres::Object, StoreError> {
        self.lock.hold().await?;
        self.database.client().await
    }
}

impl Rebuild for PostgresRebuild {
    fn left(&self, limit: usize) -> StoreFuture<'_, Vec<LeftChunk>> {
        Box::pin(async move { transact!(self, |tx| left(&tx, limit)) })
    }

    fn carry_over(&self, embedded: Vec<(LeftChunk, Vec<f32>)>) -> StoreFuture<'_, ()> {
        Box::pin(async move { transact!(self, |tx| carry_over(&tx, &embedded)) })
    }

    fn finish(&self) -> StoreFuture<'_, bool> {
        Box::pin(async move {
            vectors::index(&self.database, NEXT).await?;
            transact!(self, |tx| finish(&tx, &self.database.schema))
        })
    }
}

/// Keeps other rebuilds of the collection out.
async fn take(database: &Arc<Database>, patience: Duration) -> Result<RunLock, StoreError> {
    let scopes = vec!["the vectors of another model".to_owned()];
    RunLock::take(database, Claim { scopes, run: run_by_hand(), shard: 0 }, patience).await
}

/// Drops what a rebuild has made that ended half-way, and says whether there was one that nobody goes on with. In a dry
/// run it stays.
pub(super) async fn give_up(database: &Arc<Database>, dry_run: bool) -> Result<bool, StoreError> {
    let _lock = match take(database, Duration::ZERO).await {
        Ok(lock) => lock,
        Err(StoreError::Locked { .. }) => return Ok(false),
        Err(error) => return Err(error),
    };
    let mut client = database.connect().await?;
    let transaction = client.transaction().await?;
    schema::gate(&transaction, &database.schema).await?;
    let there = schema::read_meta(&transaction, NEXT_MODEL).await?.is_some();
    if there && !dry_run {
        let drop = format!("DROP INDEX IF EXISTS chunks_left; ALTER TABLE chunks DROP COLUMN IF EXISTS {NEXT}");
        transaction.batch_execute(&format!("SET LOCAL lock_timeout = '5s'; {drop}")).await?;
        transaction.execute("DELETE FROM meta WHERE key = $1", &[&NEXT_MODEL]).await?;
    }
    transaction.commit().await?;
    Ok(there)
}

async fn begin(transaction: &Transaction<'_>, collection: &Collection<'_>) -> Result<(), StoreError> {
    let next = schema::read_meta(transaction, NEXT_MODEL).await?;
    // a rebuild that waited for this one's lock may have done the work
    let is_done = schema::read_meta(transaction, MODEL).await?.as_deref() == Some(collection.model);
    if !is_done && next.as_deref() != Some(collection.model) {
        let dimension = collection.dimension;
        let make = format!(
            "ALTER TABLE chunks DROP COLUMN IF EXISTS {NEXT};
             ALTER TABLE chunks ADD COLUMN {NEXT} vector({dimension});
             CREATE INDEX chunks_left ON chunks (id) WHERE {NEXT} IS NULL"
        );
        transaction.batch_execute(&make).await?;
        let note = "INSERT INTO meta (key, value) VALUES ($1, $2) ON CONFLICT (key) DO UPDATE SET value = $2";
        transaction.execute(note, &[&NEXT_MODEL, &collection.model]).await?;
    }
    Ok(())
}

async fn left(tx: &Tx<'_>, limit: usize) -> Result<Vec<LeftChunk>, StoreError> {
    // none if they are in use already
    if schema::meta(tx, NEXT_MODEL).await?.is_none() {
        return Ok(Vec::new());
    }
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let sql = format!("SELECT uuid, text FROM chunks WHERE {NEXT} IS NULL ORDER BY id LIMIT $1");
    let rows = tx.query(&sql, &[&limit]).await?;
    Ok(rows.iter().map(|row| LeftChunk { id: row.get(0), text: row.get(1) }).collect())
}

async fn carry_over(tx: &Tx<'_>, embedded: &[(LeftChunk, Vec<f32>)]) -> Result<(), StoreError> {
    let ids: Vec<Uuid> = embedded.iter().map(|(chunk, _)| chunk.id).collect();
    let made: Vec<Vector> = embedded.iter().map(|(_, vector)| vector.clone().into()).collect();
    // a chunk that a run has removed meanwhile needs no vector
    let sql = format!(
        "UPDATE chunks SET {NEXT} = made.vector FROM unnest($1::uuid[], $2::vector[]) AS made (id, vector)
         WHERE uuid = made.id"
    );
    tx.execute(&sql, &[&ids, &made]).await?;
    Ok(())
}

/// Puts the new vectors in the place of the old ones, unless a chunk lacks one.
async fn finish(tx: &Tx<'_>, schema: &str) -> Result<bool, StoreError> {
    vectors::change_model(tx, schema).await?;
    let Some(model) = schema::meta(tx, NEXT_MODEL).await? else { return Ok(true) };
    let lacking = format!("SELECT EXISTS (SELECT 1 FROM chunks WHERE {NEXT} IS NULL)");
    if tx.query_one(&lacking, &[]).await?.get(0) {
        return Ok(false);
    }
    let (new, used) = (vectors::name(NEXT), vectors::name("embedding"));
    tx.batch(&format!(
        "DROP INDEX chunks_left; ALTER TABLE chunks DROP COLUMN embedding;
         ALTER TABLE chunks RENAME COLUMN {NEXT} TO embedding; ALTER INDEX IF EXISTS {new} RENAME TO {used}"
    ))
    .await?;
    tx.execute("DELETE FROM meta WHERE key = $1", &[&NEXT_MODEL]).await?;
    tx.execute("UPDATE meta SET value = $2 WHERE key = $1", &[&MODEL, &model]).await?;
    Ok(true)
}
