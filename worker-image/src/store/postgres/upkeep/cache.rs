//! The bounds of the embedding cache in Postgres. Reads and writes the database.

use std::sync::Arc;

use tokio_postgres::{Client, types::ToSql};

use super::super::{
    super::{
        StoreError,
        upkeep::{CacheBounds, CacheCleaned},
    },
    cache::PostgresCache,
    session::Database,
};

/// Vectors that go in one write.
const AT_ONCE: i64 = 512;
/// Bytes of a vector's row beside the vector, its entries in indexes included.
const BESIDE: i64 = 160;

pub(super) async fn clean(
    client: &Client,
    database: &Arc<Database>,
    bounds: &CacheBounds,
) -> Result<CacheCleaned, StoreError> {
    let there = "SELECT to_regclass(format('%I.vectors', $1::text)) IS NOT NULL";
    if !client.query_one(there, &[&database.cache_schema]).await?.get::<_, bool>(0) {
        return Ok(CacheCleaned::default());
    }
    // brings the table of an older version to the newest
    PostgresCache::open(database).await?;
    let table = format!("\"{}\".vectors", database.cache_schema);
    let size = format!("SELECT pg_total_relation_size('{table}')");
    let bytes_before = client.query_one(&size, &[]).await?.get(0);
    let mut cleaned = CacheCleaned { bytes_before, ..CacheCleaned::default() };
    let CacheBounds { oldest, most_bytes, models } = bounds;
    let by_age = format!("DELETE FROM {table} WHERE id IN (SELECT id FROM {table} WHERE used < $1 LIMIT $2)");
    cleaned.by_age = forget(client, &by_age, &oldest.as_second()).await?;
    if let Some(models) = models {
        // of a vector of an older version the model is not known
        let by_model =
            format!("DELETE FROM {table} WHERE id IN (SELECT id FROM {table} WHERE model <> ALL($1) LIMIT $2)");
        cleaned.by_model = forget(client, &by_model, models).await?;
    }
    let held = format!("SELECT coalesce(sum(pg_column_size(vector) + {BESIDE}), 0)::bigint FROM {table}");
    let mut held: i64 = client.query_one(&held, &[]).await?.get(0);
    let by_size = format!(
        "DELETE FROM {table} WHERE id IN (SELECT id FROM {table} ORDER BY used, model, id LIMIT $1)
         RETURNING pg_column_size(vector) + {BESIDE}"
    );
    while held > *most_bytes {
        let gone = client.query(&by_size, &[&AT_ONCE]).await?;
        if gone.is_empty() {
            break;
        }
        held -= gone.iter().map(|row| i64::from(row.get::<_, i32>(0))).sum::<i64>();
        cleaned.by_size += i64::try_from(gone.len()).unwrap_or(i64::MAX);
    }
    client.batch_execute(&format!("VACUUM (ANALYZE) {table}")).await?;
    cleaned.bytes_after = client.query_one(&size, &[]).await?.get(0);
    Ok(cleaned)
}

/// Forgets what matches, some at a time, and returns how many that were.
async fn forget(client: &Client, some: &str, bound: &(dyn ToSql + Sync)) -> Result<i64, StoreError> {
    let mut gone = 0;
    loop {
        match client.execute(some, &[bound, &AT_ONCE]).await? {
            0 => return Ok(gone),
            some => gone += i64::try_from(some).unwrap_or(i64::MAX),
        }
    }
}
