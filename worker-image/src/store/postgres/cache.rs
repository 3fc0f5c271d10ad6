//! The embedding cache in Postgres: a schema of its own, which the collections of a database share. Reads and writes the
//! database.

use std::{collections::HashMap, sync::Arc};

use jiff::Timestamp;
use tokio_postgres::Row;

use super::{
    super::{
        CacheKey, EmbeddingCache, StoreError, StoreFuture,
        cache::{USE_NOTED_EVERY, model_number},
    },
    schema,
    session::{Database, Tx, transact},
};

/// Entries at the most; the oldest go. Vectors of 384 numbers take some 2 GB.
const MOST_ENTRIES: i64 = 1_000_000;
/// Entries that go at once when there are too many: little more than one write can bring.
const EVICTED: i64 = 2048;

/// A cache in one table.
pub struct PostgresCache {
    database: Arc<Database>,
    table: String,
}

impl PostgresCache {
    /// Makes the table where it is missing.
    ///
    /// # Errors
    /// If the database cannot be used.
    pub async fn open(database: &Arc<Database>) -> Result<Self, StoreError> {
        let (schema, table) = (&database.cache_schema, format!("\"{}\".vectors", database.cache_schema));
        let mut client = database.connect().await?;
        let transaction = client.transaction().await?;
        schema::gate(&transaction, schema).await?;
        schema::create_schema(&transaction, schema).await?;
        let there = "SELECT to_regclass(format('%I.vectors', $1::text)) IS NOT NULL";
        if !transaction.query_one(there, &[&schema]).await?.get::<_, bool>(0) {
            // the ids grow with time: the lowest are the oldest
            let make = format!(
                "CREATE TABLE {table} (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
                     key bytea NOT NULL UNIQUE, vector real[] NOT NULL)"
            );
            transaction.batch_execute(&make).await?;
        }
        let known = "SELECT EXISTS (SELECT 1 FROM pg_attribute
             WHERE attrelid = to_regclass(format('%I.vectors', $1::text)) AND attname = 'used')";
        if !transaction.query_one(known, &[&schema]).await?.get::<_, bool>(0) {
            // the number of the model, and seconds since 1970, up to a day too few; when the vectors of an older version
            // were used is not known: they count as used now
            let add = format!(
                "ALTER TABLE {table} ADD COLUMN model bigint, ADD COLUMN used bigint NOT NULL DEFAULT {};
                 CREATE INDEX vectors_by_use ON {table} (used, model)",
                Timestamp::now().as_second()
            );
            transaction.batch_execute(&add).await?;
        }
        transaction.commit().await?;
        Ok(Self { database: Arc::clone(database), table })
    }
}

impl EmbeddingCache for PostgresCache {
    fn get(&self, keys: Vec<CacheKey>) -> StoreFuture<'_, Vec<Option<Vec<f32>>>> {
        Box::pin(async move { transact!(self.database, |tx| get(&tx, &self.table, &keys)) })
    }

    fn put<'a>(&'a self, model: &'a str, entries: Vec<(CacheKey, Vec<f32>)>) -> StoreFuture<'a, ()> {
        Box::pin(async move { transact!(self.database, |tx| put(&tx, &self.table, model_number(model), &entries)) })
    }
}

async fn get(tx: &Tx<'_>, table: &str, keys: &[CacheKey]) -> Result<Vec<Option<Vec<f32>>>, StoreError> {
    let wanted: Vec<&[u8]> = keys.iter().map(|key| &key.0[..]).collect();
    let rows = tx.query(&format!("SELECT key, vector, used, id FROM {table} WHERE key = ANY($1)"), &[&wanted]).await?;
    let now = Timestamp::now().as_second();
    let is_stale = |row: &&Row| row.get::<_, i64>(2) < now - USE_NOTED_EVERY;
    let stale: Vec<i64> = rows.iter().filter(is_stale).map(|row| row.get(3)).collect();
    if !stale.is_empty() {
        // whoever has a row in hand notes the same
        let note = format!(
            "UPDATE {table} SET used = $2
             WHERE id IN (SELECT id FROM {table} WHERE id = ANY($1) FOR UPDATE SKIP LOCKED)"
        );
        tx.execute(&note, &[&stale, &now]).await?;
    }
    let found: HashMap<&[u8], Vec<f32>> = rows.iter().map(|row| (row.get(0), row.get(1))).collect();
    Ok(wanted.into_iter().map(|key| found.get(key).cloned()).collect())
}

async fn put(tx: &Tx<'_>, table: &str, model: i64, entries: &[(CacheKey, Vec<f32>)]) -> Result<(), StoreError> {
    // in the same order everywhere, so that no two writers wait for each other
    let mut entries: Vec<_> = entries.iter().collect();
    entries.sort_by_key(|(key, _)| *key);
    let insert =
        format!("INSERT INTO {table} (key, vector, model, used) VALUES ($1, $2, $3, $4) ON CONFLICT (key) DO NOTHING");
    let now = Timestamp::now().as_second();
    for (key, vector) in entries {
        tx.execute(&insert, &[&&key.0[..], vector, &model, &now]).await?;
    }
    // ids are as good as a count, which would read the whole table
    let evict = format!(
        "DELETE FROM {table} WHERE id IN (SELECT id FROM {table}
             WHERE (SELECT max(id) - min(id) FROM {table}) > $1 ORDER BY id LIMIT $2)"
    );
    tx.execute(&evict, &[&MOST_ENTRIES, &EVICTED]).await?;
    Ok(())
}
