//! Dead letters in SQLite: counted, listed, and sent another way by hand. Reads and writes the database.

use jiff::Timestamp;
use lexigram_api::{
    contract::{DeadLetters, OpenCircuit, Selection},
    failure::{FailureCategory, Stage},
};
use rusqlite::{Connection, Transaction, TransactionBehavior, params};

use super::{
    super::{
        CIRCUIT_OPEN, DeadLetterStore, LedgerRow, RunKey, StoreError, StoreFuture, Wanted,
        columns::{NOTHING_WRITTEN, action_of, category_of},
        dead_letters::Group,
    },
    SqliteStore, ledger,
    rows::{columns, ledger_row, time},
};

impl DeadLetterStore for SqliteStore {
    fn dead_letters<'a>(&'a self, scope: &'a str) -> StoreFuture<'a, DeadLetters> {
        let scope = scope.to_owned();
        self.with(move |connection| figures(connection, &scope))
    }

    fn dead_letter_rows<'a>(
        &'a self,
        wanted: &'a Wanted,
        after: i64,
        limit: usize,
    ) -> StoreFuture<'a, Vec<(i64, LedgerRow)>> {
        let wanted = wanted.clone();
        self.with(move |connection| rows(connection, &wanted, after, limit))
    }

    fn retry_dead_letters<'a>(&'a self, wanted: &'a Wanted, due: Timestamp) -> StoreFuture<'a, i64> {
        let wanted = wanted.clone();
        self.with(move |connection| {
            let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let items = retry(&transaction, &wanted, due, None)?;
            transaction.commit()?;
            Ok(items)
        })
    }

    fn archive_dead_letters<'a>(&'a self, wanted: &'a Wanted) -> StoreFuture<'a, i64> {
        let wanted = wanted.clone();
        self.with(move |connection| {
            let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let items = archive(&transaction, &wanted, None)?;
            transaction.commit()?;
            Ok(items)
        })
    }
}

fn figures(connection: &Connection, scope: &str) -> Result<DeadLetters, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT action, category, sum(weight), min(first_failure) FROM documents INDEXED BY documents_by_action
         WHERE scope = ?1 AND action IS NOT NULL GROUP BY action, category",
    )?;
    let groups = statement.query_map([scope], |row| {
        Ok(Group {
            action: action_of(&row.get::<_, String>(0)?),
            category: category_of(&row.get::<_, String>(1)?),
            count: i32::try_from(row.get::<_, i64>(2)?).unwrap_or(i32::MAX),
            first_failure: time(row.get(3)?),
        })
    })?;
    Ok(Group::sum(groups.collect::<Result<Vec<_>, _>>()?))
}

fn rows(
    connection: &Connection,
    wanted: &Wanted,
    after: i64,
    limit: usize,
) -> Result<Vec<(i64, LedgerRow)>, StoreError> {
    let mut statement = connection.prepare_cached(&format!(
        "SELECT id, {} FROM documents
         WHERE id > ?1 AND state IN ('Failed', 'Archived') AND (?2 IS NULL OR scope = ?2) ORDER BY id",
        columns()
    ))?;
    let mut found = Vec::new();
    for row in statement.query_map(params![after, wanted.scope], |row| Ok((row.get(0)?, ledger_row(row, 1)?)))? {
        let (id, row): (i64, LedgerRow) = row?;
        if wanted.takes_row(&row) {
            found.push((id, row));
        }
        if found.len() >= limit {
            break;
        }
    }
    Ok(found)
}

/// Items that a person wants to be tried again belong to the new run and have all their attempts. Until they are claimed
/// they are due: whatever becomes of the run, they are not forgotten.
pub(super) fn begin_again(
    connection: &mut Connection,
    run: &RunKey,
    selection: &Selection,
    failed_before: Timestamp,
) -> Result<(), StoreError> {
    begin(connection, run, selection, failed_before, |transaction, wanted| {
        retry(transaction, wanted, failed_before, Some(run)).map(drop)
    })
}

/// Items that a person gives up belong to the new run, in which they have failed.
pub(super) fn begin_archive(
    connection: &mut Connection,
    run: &RunKey,
    selection: &Selection,
    failed_before: Timestamp,
) -> Result<(), StoreError> {
    begin(connection, run, selection, failed_before, |transaction, wanted| {
        archive(transaction, wanted, Some(run)).map(drop)
    })
}

/// Does what a run is for in its first process only: its items stay its own.
fn begin(
    connection: &mut Connection,
    run: &RunKey,
    selection: &Selection,
    failed_before: Timestamp,
    take: impl FnOnce(&Transaction<'_>, &Wanted) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    if ledger::insert_run(&transaction, run)? {
        take(&transaction, &Wanted::of_run(run, selection, failed_before))?;
        ledger::end_listing(&transaction, run)?;
    }
    transaction.commit()?;
    Ok(())
}

fn retry(
    transaction: &Transaction<'_>,
    wanted: &Wanted,
    due: Timestamp,
    run: Option<&RunKey>,
) -> Result<i64, StoreError> {
    let (found, items) = select(transaction, wanted, "'Failed', 'Archived'")?;
    let mut make_due = transaction.prepare_cached(
        "UPDATE documents SET state = 'Failed', action = 'Retry', attempts = 0, next_attempt = ?2 WHERE id = ?1",
    )?;
    for id in &found {
        make_due.execute(params![id, due.as_millisecond()])?;
    }
    give_to(transaction, run, &found, None)?;
    Ok(items)
}

fn archive(transaction: &Transaction<'_>, wanted: &Wanted, run: Option<&RunKey>) -> Result<i64, StoreError> {
    let (found, items) = select(transaction, wanted, "'Failed'")?;
    let mut give_up = transaction.prepare_cached(
        "UPDATE documents SET state = 'Archived', action = 'Archive', next_attempt = NULL, suspect = 0 WHERE id = ?1",
    )?;
    for id in &found {
        give_up.execute([id])?;
    }
    give_to(transaction, run, &found, Some("Failed"))?;
    Ok(items)
}

/// The rows that are wanted and in one of these states, and how many items they stand for.
fn select(transaction: &Transaction<'_>, wanted: &Wanted, states: &str) -> Result<(Vec<i64>, i64), StoreError> {
    let mut statement = transaction.prepare_cached(&format!(
        "SELECT id, name, category, weight FROM documents INDEXED BY documents_by_failure
         WHERE action IS NOT NULL AND state IN ({states}) AND (?1 IS NULL OR scope = ?1) AND last_failure <= ?2",
    ))?;
    let latest = wanted.failed_before.map_or(i64::MAX, Timestamp::as_millisecond);
    let mut rows = statement.query(params![wanted.scope, latest])?;
    let (mut found, mut items) = (Vec::new(), 0);
    while let Some(row) = rows.next()? {
        if wanted.takes(&row.get::<_, String>(1)?, category_of(&row.get::<_, String>(2)?)) {
            found.push(row.get(0)?);
            items += row.get::<_, i64>(3)?;
        }
    }
    Ok((found, items))
}

fn give_to(
    transaction: &Transaction<'_>,
    run: Option<&RunKey>,
    rows: &[i64],
    outcome: Option<&str>,
) -> Result<(), StoreError> {
    let Some(run) = run else { return Ok(()) };
    let mut give = transaction
        .prepare_cached(&format!("UPDATE documents SET run = ?2, outcome = ?3, {NOTHING_WRITTEN} WHERE id = ?1"))?;
    for id in rows {
        give.execute(params![id, run.run, outcome])?;
    }
    Ok(())
}

/// What the run has not come to waits for the circuit, with as many attempts as it had.
pub(super) fn postpone(
    connection: &mut Connection,
    run: &RunKey,
    circuit: &OpenCircuit,
    now: Timestamp,
) -> Result<(), StoreError> {
    connection.execute(
        "UPDATE documents SET state = 'Failed', outcome = 'Failed', stage = coalesce(stage, ?3),
             category = coalesce(category, ?4), reason = ?5, message = ?6, action = 'Retry',
             first_failure = coalesce(first_failure, ?7), last_failure = coalesce(last_failure, ?7), next_attempt = ?8
         WHERE scope = ?1 AND run = ?2 AND outcome IS NULL",
        params![
            run.scope,
            run.run,
            Stage::Embed.as_str(),
            FailureCategory::Transient.as_str(),
            CIRCUIT_OPEN,
            circuit.message,
            now.as_millisecond(),
            circuit.until.as_millisecond(),
        ],
    )?;
    Ok(())
}
