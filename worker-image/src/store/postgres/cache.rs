//! The embedding cache in Postgres: a schema of its own, which the collections of a database share. Reads and writes the
//! database.

use std::{collections::HashMap, sync::Arc};

use super::{
    super::{CacheKey, EmbeddingCache, StoreError, StoreFuture},
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
        transaction.commit().await?;
        Ok(Self { database: Arc::clone(database), table })
    }
}

impl EmbeddingCache for PostgresCache {
    fn get(&self, keys: Vec<CacheKey>) -> StoreFuture<'_, Vec<Option<Vec<f32>>>> {
        Box::pin(async move { transact!(self.database, |tx| get(&tx, &self.table, &keys)) })
    }

    fn put(&self, entries: Vec<(CacheKey, Vec<f32>)>) -> StoreFuture<'_, ()> {
        Box::pin(async move { transact!(self.database, |tx| put(&tx, &self.table, &entries)) })
    }
}

async fn get(tx: &Tx<'_>, table: &str, keys: &[CacheKey]) -> Result<Vec<Option<Vec<f32>>>, StoreError> {
    let wanted: Vec<&[u8]> = keys.iter().map(|key| &key.0[..]).collect();
    let rows = tx.query(&format!("SELECT key, vector FROM {table} WHERE key = ANY($1)"), &[&wanted]).await?;
    let found: HashMap<&[u8], Vec<f32>> = rows.iter().map(|row| (row.get(0), row.get(1))).collect();
    Ok(wanted.into_iter().map(|key| found.get(key).cloned()).collect())
}

async fn put(tx: &Tx<'_>, table: &str, entries: &[(CacheKey, Vec<f32>)]) -> Result<(), StoreError> {
    // in the same order everywhere, so that no two writers wait for each other
    let mut entries: Vec<_> = entries.iter().collect();
    entries.sort_by_key(|(key, _)| *key);
    let insert = format!("INSERT INTO {table} (key, vector) VALUES ($1, $2) ON CONFLICT (key) DO NOTHING");
    for (key, vector) in entries {
        tx.execute(&insert, &[&&key.0[..], vector]).await?;
    }
    // ids are as good as a count, which would read the whole table
    let evict = format!(
        "DELETE FROM {table} WHERE id IN (SELECT id FROM {table}
             WHERE (SELECT max(id) - min(id) FROM {table}) > $1 ORDER BY id LIMIT $2)"
    );
    tx.execute(&evict, &[&MOST_ENTRIES, &EVICTED]).await?;
    Ok(())
}
