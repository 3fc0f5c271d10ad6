//! Room of a SQLite file: how much of it is free, and giving it back. Reads and writes the file.

use std::time::{Duration, Instant};

use rusqlite::Connection;
use tokio_util::sync::CancellationToken;

use super::{super::super::StoreError, BUSY_TIMEOUT, within};

/// How long work that others have to wait for waits itself: it is not begun in the middle of a run's write.
const PATIENCE: Duration = Duration::from_secs(1);
/// Pages that are given back in one write: 8 MiB, so that nobody waits long.
const PAGES: i64 = 2048;
/// `PRAGMA auto_vacuum` of a file whose pages can be given back bit by bit.
const INCREMENTAL: i64 = 2;

/// How long runs may still be made to wait.
pub(super) struct Allowance(pub(super) Duration);

impl Allowance {
    /// Does something that holds the write lock all the time. Says why if it was not done.
    pub(super) fn block(
        &mut self,
        connection: &mut Connection,
        stop: &CancellationToken,
        what: &str,
        work: impl FnOnce(&mut Connection) -> Result<(), StoreError>,
    ) -> Result<Option<String>, StoreError> {
        let begun = Instant::now();
        connection.busy_timeout(PATIENCE)?;
        let done = within(connection, stop, self.0, work);
        connection.busy_timeout(BUSY_TIMEOUT)?;
        let left = match done {
            Ok(Some(())) => None,
            Ok(None) => {
                Some(format!("{what} was left: runs would have had to wait for more than {} s", self.0.as_secs()))
            }
            Err(StoreError::Busy) => Some(format!("{what} was left: a run was writing")),
            Err(StoreError::Full) => Some(format!("{what} was left: there is no room for a copy")),
            Err(error) => return Err(error),
        };
        self.0 = self.0.saturating_sub(begun.elapsed());
        Ok(left)
    }
}

pub(super) fn number(connection: &Connection, query: &str) -> rusqlite::Result<i64> {
    connection.query_row(query, [], |row| row.get(0))
}

/// Bytes in pages that hold nothing, and bytes in all pages.
pub(super) fn free(connection: &Connection) -> rusqlite::Result<(i64, i64)> {
    let size = number(connection, "PRAGMA page_size")?;
    Ok((number(connection, "PRAGMA freelist_count")? * size, number(connection, "PRAGMA page_count")? * size))
}

/// Gives free pages back. Says why if that was not done.
pub(super) fn give_back(
    connection: &mut Connection,
    stop: &CancellationToken,
    allowance: &mut Allowance,
) -> Result<Option<String>, StoreError> {
    if number(connection, "PRAGMA auto_vacuum")? == INCREMENTAL {
        loop {
            let free = number(connection, "PRAGMA freelist_count")?;
            let mut statement = connection.prepare(&format!("PRAGMA incremental_vacuum({PAGES})"))?;
            // a row for each page
            let mut rows = statement.query([])?;
            while rows.next()?.is_some() {}
            drop(rows);
            drop(statement);
            if number(connection, "PRAGMA freelist_count")? >= free || stop.is_cancelled() {
                return Ok(None);
            }
        }
    }
    // a file of an older version has to be copied; afterwards it needs that no more
    allowance.block(connection, stop, "writing the file anew", |connection| {
        // not in memory, where a large file has no room
        connection.execute_batch("PRAGMA temp_store = FILE; PRAGMA auto_vacuum = INCREMENTAL; VACUUM")?;
        Ok(())
    })
}

/// Puts what was written into the file itself, and empties the log beside it, unless somebody reads it.
pub(super) fn checkpoint(connection: &Connection) -> Result<(), StoreError> {
    connection.busy_timeout(PATIENCE)?;
    connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    Ok(())
}
