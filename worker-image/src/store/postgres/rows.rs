//! Rows of the ledger as a person sees them, in Postgres. Reads the database.

use jiff::Timestamp;
use lexigram_api::contract::{ItemFailure, RECENT_FAILURES};
use tokio_postgres::Row;

use super::{
    super::{
        DocumentState, LedgerRow, StoreError,
        columns::{FAILURE, action_of, category_of, stage_of},
        printable,
    },
    session::Tx,
};

/// Columns of a row, in the order that [`ledger_row`] reads.
pub(super) fn columns() -> String {
    format!("scope, state, revision, chunks, weight, first_failure, {FAILURE}, about")
}

pub(super) async fn documents(tx: &Tx<'_>, only_failed: bool, limit: usize) -> Result<Vec<LedgerRow>, StoreError> {
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let sql = format!(
        "SELECT {} FROM documents WHERE NOT $1 OR state IN ('Failed', 'Archived')
         ORDER BY scope, first_row, name LIMIT $2",
        columns()
    );
    Ok(tx.query(&sql, &[&only_failed, &limit]).await?.iter().map(|row| ledger_row(row, 0)).collect())
}

/// The newest failures of a source that nothing has mended, newest first.
pub(super) async fn newest_failures(tx: &Tx<'_>, scope: &str) -> Result<Vec<ItemFailure>, StoreError> {
    let sql = format!(
        "SELECT {FAILURE} FROM documents
         WHERE scope = $1 AND action IS NOT NULL ORDER BY last_failure DESC, id DESC LIMIT $2"
    );
    let limit = i64::try_from(RECENT_FAILURES).unwrap_or(i64::MAX);
    Ok(tx.query(&sql, &[&scope, &limit]).await?.iter().filter_map(|row| failure(row, 0)).collect())
}

/// The row whose [`columns`] begin at `first`.
pub(super) fn ledger_row(row: &Row, first: usize) -> LedgerRow {
    let about: Option<String> = row.get(first + 15);
    LedgerRow {
        scope: row.get(first),
        document: row.get(first + 6),
        state: DocumentState::from_name(row.get(first + 1)).unwrap_or(DocumentState::Pending),
        revision: row.get(first + 2),
        chunks: row.get(first + 3),
        items: row.get(first + 4),
        attempts: row.get(first + 11),
        first_failure: row.get(first + 5),
        failure: failure(row, first + 6),
        next_attempt: row.get(first + 14),
        about: about.and_then(|about| serde_json::from_str(&about).ok()),
    }
}

/// The failure whose columns begin at `first`; none if the row has not failed.
fn failure(row: &Row, first: usize) -> Option<ItemFailure> {
    let text = |offset: usize| row.get::<_, Option<&str>>(first + offset);
    let (stage, category, reason, message, action) = (text(1)?, text(2)?, text(3)?, text(4)?, text(6)?);
    Some(ItemFailure {
        item: printable(row.get(first)),
        stage: stage_of(stage),
        category: category_of(category),
        reason: reason.to_owned(),
        message: message.to_owned(),
        attempts: row.get(first + 5),
        action: action_of(action),
        last_failure_time: row.get::<_, Option<Timestamp>>(first + 7).unwrap_or(Timestamp::UNIX_EPOCH),
        next_retry_time: row.get(first + 8),
    })
}
