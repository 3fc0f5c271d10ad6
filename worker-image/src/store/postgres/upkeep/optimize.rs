//! Room and speed of a collection in Postgres. Reads and writes the database; neither VACUUM nor REINDEX CONCURRENTLY
//! makes those wait who write.

use std::time::Instant;

use lexigram_api::maintenance::IndexOptimization;
use tokio_postgres::Client;

use super::super::{
    super::{
        StoreError,
        upkeep::{Condition, Optimized},
    },
    schema::MODEL,
    session::Database,
    vectors,
};

/// The key of `meta` for how many chunks had been removed when the indexes were made last.
const REMOVED: &str = "removed_when_indexed";

pub(super) async fn optimize(
    client: &Client,
    database: &Database,
    settings: &IndexOptimization,
) -> Result<Optimized, StoreError> {
    let before = condition(client, database).await?;
    let IndexOptimization { max_free_percent, max_block_seconds } = settings;
    client.batch_execute(&format!("SET lock_timeout = '{max_block_seconds}s'")).await?;
    let mut left = Vec::new();
    for table in ["documents", "chunks", "runs"] {
        let vacuum = client.batch_execute(&format!("VACUUM (ANALYZE) {table}")).await;
        left.extend(attempted(vacuum, &format!("VACUUM of {table}"), *max_block_seconds)?);
    }
    remove_half_made(client, database).await?;
    if before.free_percent > i64::from(*max_free_percent) {
        let removed = Rows::of(client, database).await?.removed.to_string();
        let reindex = client.batch_execute("REINDEX TABLE CONCURRENTLY chunks").await;
        match attempted(reindex, "REINDEX of chunks", *max_block_seconds)? {
            Some(why) => left.push(why),
            None => {
                let note = "INSERT INTO meta (key, value) VALUES ($1, $2) ON CONFLICT (key) DO UPDATE SET value = $2";
                client.execute(note, &[&REMOVED, &removed]).await?;
            }
        }
    }
    vectors::index_on(client, database, "embedding").await?;
    Ok(Optimized { before, after: condition(client, database).await?, left })
}

/// Why something was left, if it was.
fn attempted(done: Result<(), tokio_postgres::Error>, what: &str, seconds: i32) -> Result<Option<String>, StoreError> {
    match done.map_err(StoreError::from) {
        Ok(()) => Ok(None),
        Err(StoreError::Conflict(_)) => {
            Ok(Some(format!("{what} was left: others held the table for more than {seconds} s")))
        }
        Err(StoreError::DatabaseFull(_)) => {
            Ok(Some(format!("{what} was left: the disk of the database has no room for it")))
        }
        Err(error) => Err(error),
    }
}

/// Removes indexes that a REINDEX has left which was stopped: nobody uses them, and every write fills them.
async fn remove_half_made(client: &Client, database: &Database) -> Result<(), StoreError> {
    let half_made = "SELECT relname::text FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid
         JOIN pg_namespace ON pg_namespace.oid = relnamespace
         WHERE nspname = $1 AND NOT indisvalid AND relname ~ '_cc(new|old)[0-9]*$'
             AND NOT EXISTS (SELECT 1 FROM pg_stat_progress_create_index WHERE index_relid = indexrelid)";
    for row in client.query(half_made, &[&database.schema]).await? {
        client.batch_execute(&format!("DROP INDEX CONCURRENTLY \"{}\"", row.get::<_, &str>(0))).await?;
    }
    Ok(())
}

/// Rows of the table of chunks.
struct Rows {
    live: i64,
    dead: i64,
    /// Ever removed or changed: each has left an entry in every index.
    removed: i64,
}

impl Rows {
    async fn of(client: &Client, database: &Database) -> Result<Self, StoreError> {
        let rows = "SELECT n_live_tup, n_dead_tup, n_tup_del + n_tup_upd FROM pg_stat_user_tables
             WHERE schemaname = $1 AND relname = 'chunks'";
        let row = client.query_one(rows, &[&database.schema]).await?;
        Ok(Self { live: row.get(0), dead: row.get(1), removed: row.get(2) })
    }
}

async fn condition(client: &Client, database: &Database) -> Result<Condition, StoreError> {
    let size = "SELECT coalesce(sum(pg_total_relation_size(pg_class.oid)), 0)::bigint FROM pg_class
         JOIN pg_namespace ON pg_namespace.oid = relnamespace WHERE nspname = $1 AND relkind = 'r'";
    let bytes = client.query_one(size, &[&database.schema]).await?.get(0);
    let rows = Rows::of(client, database).await?;
    let meta = "SELECT value FROM meta WHERE key = $1";
    let indexed = client.query_opt(meta, &[&REMOVED]).await?;
    let indexed = indexed.and_then(|row| row.get::<_, String>(0).parse::<i64>().ok()).unwrap_or(0);
    // statistics that were reset begin anew
    let since = if indexed <= rows.removed { rows.removed - indexed } else { rows.removed };
    let free = rows.dead.max(since);
    let free_percent = free * 100 / (rows.live + free).max(1);
    let search = match client.query_opt(meta, &[&MODEL]).await? {
        None => None,
        Some(_) => {
            let begun = Instant::now();
            let nearest = "SELECT id FROM chunks
                 ORDER BY embedding <=> (SELECT embedding FROM chunks WHERE embedding IS NOT NULL LIMIT 1) LIMIT 10";
            let found = client.query(nearest, &[]).await?;
            (!found.is_empty()).then(|| begun.elapsed())
        }
    };
    Ok(Condition { bytes, free_percent, search })
}
