//! A look at a collection in SQLite. Reads the database.

use rusqlite::Connection;

use super::{
    super::{
        super::{StoreError, upkeep::Examined},
        rows::time,
        vectors,
    },
    orphans,
    room::number,
};

pub(super) fn examine(connection: &mut Connection) -> Result<Examined, StoreError> {
    let said: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    if said != "ok" {
        return Err(StoreError::Damaged(said));
    }
    let Some(dimension) = vectors::dimension(connection)? else { return Ok(Examined::default()) };
    let table = vectors::in_use(connection)?;
    // every block has room for the same number of vectors
    let misfits = format!(
        "SELECT coalesce(sum(blocks.size), 0) FROM {table}_vector_chunks00 AS held
             JOIN {table}_chunks AS blocks ON blocks.rowid = held.rowid
         WHERE length(held.vectors) <> blocks.size * {dimension} * 4"
    );
    let dead_letters =
        "SELECT coalesce(sum(weight), 0) FROM documents WHERE action IS NOT NULL AND action <> 'Archive'";
    let newest = connection.query_row("SELECT max(stored) FROM documents", [], |row| row.get(0))?;
    Ok(Examined {
        model: vectors::meta(connection, vectors::MODEL)?,
        dimension,
        broken: Vec::new(),
        misfits: number(connection, &misfits)?,
        chunks: number(connection, "SELECT count(*) FROM chunks")?,
        orphans: orphans::clean(connection, true)?,
        dead_letters: number(connection, dead_letters)?,
        newest: time(newest),
    })
}
