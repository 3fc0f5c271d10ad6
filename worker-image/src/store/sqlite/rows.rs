//! Rows of the ledger as a person sees them, in SQLite. Reads the database.

use jiff::Timestamp;
use lexigram_api::contract::{ItemFailure, RECENT_FAILURES};
use rusqlite::{Connection, Row, params};

use super::super::{
    DocumentState, LedgerRow, StoreError,
    columns::{FAILURE, action_of, category_of, stage_of},
    printable,
};

/// Columns of a row, in the order that [`ledger_row`] reads.
pub(super) fn columns() -> String {
    format!("scope, state, revision, chunks, weight, first_failure, {FAILURE}, about")
}

pub(super) fn documents(
    connection: &mut Connection,
    only_failed: bool,
    limit: usize,
) -> Result<Vec<LedgerRow>, StoreError> {
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let mut statement = connection.prepare_cached(&format!(
        "SELECT {} FROM documents WHERE ?1 = 0 OR state IN ('Failed', 'Archived')
         ORDER BY scope, first_row, name LIMIT ?2",
        columns()
    ))?;
    let rows = statement.query_map(params![only_failed, limit], |row| ledger_row(row, 0))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// The newest failures of a source that nothing has mended, newest first.
pub(super) fn newest_failures(connection: &Connection, scope: &str) -> Result<Vec<ItemFailure>, StoreError> {
    let mut statement = connection.prepare_cached(&format!(
        "SELECT {FAILURE} FROM documents INDEXED BY documents_by_failure
         WHERE scope = ?1 AND action IS NOT NULL ORDER BY last_failure DESC, id DESC LIMIT ?2"
    ))?;
    let limit = i64::try_from(RECENT_FAILURES).unwrap_or(i64::MAX);
    let failures = statement.query_map(params![scope, limit], |row| failure(row, 0))?;
    Ok(failures.filter_map(Result::transpose).collect::<Result<_, _>>()?)
}

/// The row whose [`columns`] begin at `first`.
pub(super) fn ledger_row(row: &Row<'_>, first: usize) -> rusqlite::Result<LedgerRow> {
    let state: String = row.get(first + 1)?;
    let about: Option<String> = row.get(first + 15)?;
    Ok(LedgerRow {
        scope: row.get(first)?,
        document: row.get(first + 6)?,
        state: DocumentState::from_name(&state).unwrap_or(DocumentState::Pending),
        revision: row.get(first + 2)?,
        chunks: row.get(first + 3)?,
        items: row.get(first + 4)?,
        attempts: row.get(first + 11)?,
        first_failure: time(row.get(first + 5)?),
        failure: failure(row, first + 6)?,
        next_attempt: time(row.get(first + 14)?),
        about: about.and_then(|about| serde_json::from_str(&about).ok()),
    })
}

/// The failure whose columns begin at `first`; none if the row has not failed.
fn failure(row: &Row<'_>, first: usize) -> rusqlite::Result<Option<ItemFailure>> {
    let text = |offset: usize| row.get::<_, Option<String>>(first + offset);
    let (Some(stage), Some(category), Some(reason), Some(message), Some(action)) =
        (text(1)?, text(2)?, text(3)?, text(4)?, text(6)?)
    else {
        return Ok(None);
    };
    Ok(Some(ItemFailure {
        item: printable(&row.get::<_, String>(first)?),
        stage: stage_of(&stage),
        category: category_of(&category),
        reason,
        message,
        attempts: row.get(first + 5)?,
        action: action_of(&action),
        last_failure_time: time(row.get(first + 7)?).unwrap_or(Timestamp::UNIX_EPOCH),
        next_retry_time: time(row.get(first + 8)?),
    }))
}

/// The time as it stands in the ledger.
pub(super) fn time(milliseconds: Option<i64>) -> Option<Timestamp> {
    milliseconds.and_then(|milliseconds| Timestamp::from_millisecond(milliseconds).ok())
}
