//! The table of vectors in SQLite: each model has one of its own, and `meta` says which one is in use. Reads and writes
//! the database.

use rusqlite::{Connection, OptionalExtension, Transaction, params};

use super::super::{Collection, StoreError};

/// The names that tables of vectors take in turn: the one in use, and one that a rebuild fills beside it.
const NAMES: [&str; 2] = ["vectors", "vectors_rebuilt"];

/// Keys of `meta`.
pub(super) const MODEL: &str = "model";
pub(super) const NEXT_MODEL: &str = "next_model";
const TABLE: &str = "vectors";

/// The table in use.
pub(super) fn in_use(connection: &Connection) -> rusqlite::Result<String> {
    Ok(meta(connection, TABLE)?.unwrap_or_else(|| NAMES[0].to_owned()))
}

/// The name that is free for the table of a rebuild.
pub(super) fn next(connection: &Connection) -> rusqlite::Result<&'static str> {
    let in_use = in_use(connection)?;
    Ok(if in_use == NAMES[0] { NAMES[1] } else { NAMES[0] })
}

/// The table that is in use from now on.
pub(super) fn use_table(connection: &Connection, table: &str) -> rusqlite::Result<()> {
    set_meta(connection, TABLE, table)
}

pub(super) fn create(connection: &Connection, table: &str, dimension: usize) -> rusqlite::Result<()> {
    connection.execute_batch(&format!(
        "CREATE VIRTUAL TABLE {table} USING vec0 (embedding float[{dimension}] distance_metric=cosine)"
    ))
}

/// Numbers in a vector of the table in use; none if there is no such table.
pub(super) fn dimension(connection: &Connection) -> rusqlite::Result<Option<i64>> {
    if meta(connection, MODEL)?.is_none() {
        return Ok(None);
    }
    let made = "SELECT sql FROM sqlite_schema WHERE name = ?1";
    let made: Option<String> =
        connection.prepare_cached(made)?.query_row([in_use(connection)?], |row| row.get(0)).optional()?;
    Ok(made.and_then(|made| made.split_once("float[")?.1.split_once(']')?.0.parse().ok()))
}

/// Makes room in a connection for [`note_model`].
pub(super) fn prepare(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute_batch("CREATE TEMP TABLE works_with (model TEXT NOT NULL)")
}

/// Notes which model this connection writes and searches with, see [`check_model`].
pub(super) fn note_model(connection: &Connection, model: &str) -> rusqlite::Result<()> {
    connection.execute("INSERT INTO temp.works_with (model) VALUES (?1)", params![model])?;
    Ok(())
}

/// Refuses to go on with a collection that was rebuilt for another model since this connection was opened: no search
/// and no write mixes vectors of two models. To be asked within the transaction that reads or writes vectors.
pub(super) fn check_model(connection: &Connection) -> Result<(), StoreError> {
    let both: Option<(String, String)> = connection
        .prepare_cached("SELECT meta.value, works_with.model FROM meta, temp.works_with WHERE meta.key = 'model'")?
        .query_row([], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    match both {
        Some((stored, requested)) if stored != requested => Err(StoreError::ModelReplaced { stored, requested }),
        _ => Ok(()),
    }
}

/// Adds the vector of the chunk that was inserted last.
pub(super) fn insert(transaction: &Transaction<'_>, vector: &[f32]) -> Result<(), StoreError> {
    let chunk = transaction.last_insert_rowid();
    check_model(transaction)?;
    Ok(insert_into(transaction, &in_use(transaction)?, chunk, vector)?)
}

/// Adds the vector of a chunk to a table.
pub(super) fn insert_into(connection: &Connection, table: &str, chunk: i64, vector: &[f32]) -> rusqlite::Result<()> {
    connection
        .prepare_cached(&format!("INSERT INTO {table} (rowid, embedding) VALUES (?1, ?2)"))?
        .execute(params![chunk, bytes_of(vector)])?;
    Ok(())
}

/// Removes the vectors of chunks from a table. One by one: sqlite-vec finds a single row at once, and reads all of them
/// for `rowid IN (…)`.
pub(super) fn remove_from(connection: &Connection, table: &str, chunks: &[i64]) -> rusqlite::Result<()> {
    let mut remove = connection.prepare_cached(&format!("DELETE FROM {table} WHERE rowid = ?1"))?;
    for chunk in chunks {
        remove.execute([chunk])?;
    }
    Ok(())
}

/// Makes the table of vectors on first use; afterwards the model must be the same.
pub(super) fn ensure(transaction: &Transaction<'_>, collection: &Collection<'_>) -> Result<(), StoreError> {
    match meta(transaction, MODEL)? {
        Some(stored) if stored == collection.model => Ok(()),
        Some(stored) => Err(StoreError::ModelMismatch {
            collection: collection.name.to_owned(),
            stored,
            requested: collection.model.to_owned(),
        }),
        None => {
            create(transaction, NAMES[0], collection.dimension)?;
            Ok(set_meta(transaction, MODEL, collection.model)?)
        }
    }
}

pub(super) fn meta(connection: &Connection, key: &str) -> rusqlite::Result<Option<String>> {
    connection.prepare_cached("SELECT value FROM meta WHERE key = ?1")?.query_row([key], |row| row.get(0)).optional()
}

pub(super) fn set_meta(connection: &Connection, key: &str, value: &str) -> rusqlite::Result<()> {
    connection.execute("INSERT OR REPLACE INTO meta (key, value) VALUES (?1, ?2)", params![key, value])?;
    Ok(())
}

/// The vector that [`bytes_of`] wrote; none if it was not a vector of 32-bit floats.
pub(super) fn vector_of(bytes: &[u8]) -> Option<Vec<f32>> {
    let (numbers, rest) = bytes.as_chunks::<4>();
    rest.is_empty().then(|| numbers.iter().map(|&number| f32::from_le_bytes(number)).collect())
}

/// A vector as sqlite-vec reads it: little-endian 32-bit floats.
pub(super) fn bytes_of(vector: &[f32]) -> Vec<u8> {
    vector.iter().flat_map(|number| number.to_le_bytes()).collect()
}
