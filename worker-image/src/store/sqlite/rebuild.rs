//! Another model for a collection in SQLite: its vectors are made in a table beside the one in use, which one
//! transaction puts in its place when no chunk lacks one. Reads and writes the database.

use std::{
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};

use rusqlite::{Connection, OpenFlags, Transaction, TransactionBehavior, params};

use super::{
    super::{Collection, LeftChunk, Rebuild, StoreError, StoreFuture},
    guard::ScopeLock,
    open, schema, vectors, with,
};

/// What the lock of a rebuild is taken for.
pub(super) const SCOPE: &str = "the vectors of another model";

/// Chunks that have their vector of the next model; `chunks` may lose rows and gain others at any time.
const CARRIED: &str = "carried_over";
/// The chunks that have none.
const LACKING: &str = "NOT EXISTS (SELECT 1 FROM carried_over WHERE chunk = chunks.id)";

/// A rebuild in hand. Nobody else rebuilds the same collection meanwhile; runs of the model in use go on.
pub struct SqliteRebuild {
    connection: Arc<Mutex<Connection>>,
    _lock: ScopeLock,
}

impl SqliteRebuild {
    /// Begins to rebuild the collection for another model, or goes on where a process for the same model ended; what was
    /// made for a third one is dropped. Waits up to `patience` for another rebuild to end.
    ///
    /// # Errors
    /// If the file cannot be used, or another rebuild does not end.
    pub async fn begin(path: &Path, collection: &Collection<'_>, patience: Duration) -> Result<Self, StoreError> {
        let lock = ScopeLock::take(path, SCOPE, patience).await?;
        let mut connection = open(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        schema::migrate(&mut connection, &path.display().to_string())?;
        begin(&mut connection, collection)?;
        Ok(Self { connection: Arc::new(Mutex::new(connection)), _lock: lock })
    }
}

impl Rebuild for SqliteRebuild {
    fn left(&self, limit: usize) -> StoreFuture<'_, Vec<LeftChunk>> {
        with(&self.connection, move |connection| left(connection, limit))
    }

    fn carry_over(&self, embedded: Vec<(LeftChunk, Vec<f32>)>) -> StoreFuture<'_, ()> {
        with(&self.connection, move |connection| carry_over(connection, &embedded))
    }

    fn finish(&self) -> StoreFuture<'_, bool> {
        with(&self.connection, finish)
    }
}

fn begin(connection: &mut Connection, collection: &Collection<'_>) -> Result<(), StoreError> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let next = vectors::meta(&transaction, vectors::NEXT_MODEL)?;
    // a rebuild that waited for this one's lock may have done the work
    let is_done = vectors::meta(&transaction, vectors::MODEL)?.as_deref() == Some(collection.model);
    if !is_done && next.as_deref() != Some(collection.model) {
        if next.is_some() {
            drop_next(&transaction)?;
        }
        vectors::create(&transaction, vectors::next(&transaction)?, collection.dimension)?;
        transaction.execute_batch(&format!("CREATE TABLE {CARRIED} (chunk INTEGER PRIMARY KEY) STRICT"))?;
        vectors::set_meta(&transaction, vectors::NEXT_MODEL, collection.model)?;
    }
    transaction.commit()?;
    Ok(())
}

fn drop_next(transaction: &Transaction<'_>) -> Result<(), StoreError> {
    transaction.execute_batch(&format!("DROP TABLE {}; DROP TABLE {CARRIED}", vectors::next(transaction)?))?;
    transaction.execute("DELETE FROM meta WHERE key = ?1", [vectors::NEXT_MODEL])?;
    Ok(())
}

/// Drops what a rebuild has made that ended half-way, and says whether there was one; its lock has to be held. In a dry
/// run it stays.
pub(super) fn give_up(connection: &mut Connection, dry_run: bool) -> Result<bool, StoreError> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let there = vectors::meta(&transaction, vectors::NEXT_MODEL)?.is_some();
    if there && !dry_run {
        drop_next(&transaction)?;
    }
    transaction.commit()?;
    Ok(there)
}

/// Chunks are removed: what the rebuild has made for them goes too, since their ids may be given to others.
pub(super) fn forget(connection: &Connection, chunks: &[i64]) -> rusqlite::Result<()> {
    if vectors::meta(connection, vectors::NEXT_MODEL)?.is_some() {
        vectors::remove_from(connection, vectors::next(connection)?, chunks)?;
        let mut forget = connection.prepare_cached(&format!("DELETE FROM {CARRIED} WHERE chunk = ?1"))?;
        for chunk in chunks {
            forget.execute([chunk])?;
        }
    }
    Ok(())
}

fn left(connection: &mut Connection, limit: usize) -> Result<Vec<LeftChunk>, StoreError> {
    if vectors::meta(connection, vectors::NEXT_MODEL)?.is_none() {
        return Ok(Vec::new());
    }
    // behind the last one that has its vector first: only when there are no more is every chunk looked at, since ids of
    // removed chunks are given to others
    let behind = format!("id > (SELECT coalesce(max(chunk), 0) FROM {CARRIED})");
    let found = lacking(connection, &behind, limit)?;
    if found.is_empty() { lacking(connection, LACKING, limit) } else { Ok(found) }
}

fn lacking(connection: &Connection, matching: &str, limit: usize) -> Result<Vec<LeftChunk>, StoreError> {
    let mut statement =
        connection.prepare_cached(&format!("SELECT uuid, text FROM chunks WHERE {matching} ORDER BY id LIMIT ?1"))?;
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let rows = statement.query_map([limit], |row| {
        Ok(LeftChunk { id: row.get::<_, String>(0)?.parse().unwrap_or_default(), text: row.get(1)? })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

fn carry_over(connection: &mut Connection, embedded: &[(LeftChunk, Vec<f32>)]) -> Result<(), StoreError> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    {
        let table = vectors::next(&transaction)?;
        // a chunk that a run has removed meanwhile needs no vector
        let mut carry = transaction.prepare_cached(&format!(
            "INSERT OR IGNORE INTO {CARRIED} (chunk) SELECT id FROM chunks WHERE uuid = ?1 RETURNING chunk"
        ))?;
        for (chunk, vector) in embedded {
            let added: Vec<i64> =
                carry.query_map(params![chunk.id.to_string()], |row| row.get(0))?.collect::<Result<_, _>>()?;
            for chunk in added {
                vectors::insert_into(&transaction, table, chunk, vector)?;
            }
        }
    }
    transaction.commit()?;
    Ok(())
}

/// Puts the new vectors in the place of the old ones, unless a chunk lacks one.
fn finish(connection: &mut Connection) -> Result<bool, StoreError> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    if let Some(model) = vectors::meta(&transaction, vectors::NEXT_MODEL)? {
        let lacking =
            format!("SELECT 1 FROM chunks WHERE NOT EXISTS (SELECT 1 FROM {CARRIED} WHERE chunk = chunks.id)");
        if transaction.prepare(&lacking)?.exists([])? {
            return Ok(false);
        }
        let (old, new) = (vectors::in_use(&transaction)?, vectors::next(&transaction)?);
        transaction.execute_batch(&format!("DROP TABLE {old}; DROP TABLE {CARRIED}"))?;
        transaction.execute("DELETE FROM meta WHERE key = ?1", [vectors::NEXT_MODEL])?;
        vectors::use_table(&transaction, new)?;
        vectors::set_meta(&transaction, vectors::MODEL, &model)?;
    }
    transaction.commit()?;
    Ok(true)
}
