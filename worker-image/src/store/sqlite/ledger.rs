//! The ledger in SQLite: which documents a run has, where each one stands. Reads and writes the database.

use jiff::Timestamp;
use lexigram_api::{
    contract::{Counts, FailureCounts, ItemCounts, ItemFailure, RECENT_FAILURES},
    failure::{FailureAction, FailureCategory, Stage},
};
use rusqlite::{Connection, OptionalExtension, Row, TransactionBehavior, params};

use super::super::{
    DocumentState, FailedAttempt, LedgerRow, Listing, Outcome, RunKey, RunSummary, StoreError, WorkItem, printable,
};
use crate::source::Listed;

/// Runs whose totals are kept, a scope.
const KEPT_RUNS: i64 = 20;

/// Columns of what a run has written of a row, before it has.
pub(super) const NOTHING_WRITTEN: &str = "run_chunks = 0, run_tokens = 0, run_bytes = 0, run_cached = 0";

/// Columns of a row whose document has not failed.
pub(super) const NO_FAILURE: &str = "stage = NULL, category = NULL, reason = NULL, message = NULL, action = NULL,
     first_failure = NULL, last_failure = NULL, next_attempt = NULL";

pub(super) fn begin_full(connection: &mut Connection, run: &RunKey) -> Result<Listing, StoreError> {
    insert_run(connection, run)?;
    let listed: bool = connection.query_row(
        "SELECT listed FROM runs WHERE scope = ?1 AND run = ?2",
        params![run.scope, run.run],
        |row| row.get(0),
    )?;
    Ok(if listed { Listing::Complete } else { Listing::Open })
}

/// Documents keep their state and failure until they are claimed: a retry that never comes to that stays due.
pub(super) fn begin_retry(connection: &mut Connection, run: &RunKey, due_before: Timestamp) -> Result<(), StoreError> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    if insert_run(&transaction, run)? {
        transaction.execute(
            &format!(
                "UPDATE documents SET run = ?2, outcome = NULL, {NOTHING_WRITTEN}
                 WHERE scope = ?1 AND state = 'Failed' AND action = 'Retry' AND next_attempt <= ?3"
            ),
            params![run.scope, run.run, due_before.as_millisecond()],
        )?;
        end_listing(&transaction, run)?;
    }
    transaction.commit()?;
    Ok(())
}

/// Notes the run, forgets the oldest ones, and says whether it is new.
fn insert_run(connection: &Connection, run: &RunKey) -> Result<bool, StoreError> {
    let new = connection
        .execute("INSERT OR IGNORE INTO runs (scope, run) VALUES (?1, ?2)", params![run.scope, run.run])?
        == 1;
    if new {
        connection.execute(
            "DELETE FROM runs WHERE scope = ?1 AND rowid NOT IN
                 (SELECT rowid FROM runs WHERE scope = ?1 ORDER BY rowid DESC LIMIT ?2)",
            params![run.scope, KEPT_RUNS],
        )?;
    }
    Ok(new)
}

pub(super) fn add_listed(
    connection: &mut Connection,
    run: &RunKey,
    listed: &[Listed],
    pipeline: &str,
) -> Result<(), StoreError> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    {
        // Listed again within the run, by a second process: nothing changes.
        let mut of_this_run = transaction
            .prepare_cached("UPDATE documents SET listed_version = ?4 WHERE scope = ?1 AND name = ?2 AND run = ?3")?;
        // Done in this very version by this very pipeline: its content needs no look.
        let mut unchanged = transaction.prepare_cached(&format!(
            "UPDATE documents SET run = ?3, outcome = 'Skipped', {NOTHING_WRITTEN}
             WHERE scope = ?1 AND name = ?2 AND state = 'Done' AND version = ?4 AND pipeline = ?5",
        ))?;
        // A new run gives a document all its attempts again; only what may have killed a worker keeps its count.
        let mut waiting = transaction.prepare_cached(&format!(
            "INSERT INTO documents (scope, name, state, run, listed_version) VALUES (?1, ?2, 'Pending', ?3, ?4)
             ON CONFLICT (scope, name) DO UPDATE SET state = 'Pending', run = ?3, listed_version = ?4, outcome = NULL,
                 {NOTHING_WRITTEN},
                 attempts = iif(suspect, attempts, 0), {NO_FAILURE}",
        ))?;
        for document in listed {
            let row = params![run.scope, document.name, run.run, document.version];
            if of_this_run.execute(row)? == 0
                && unchanged.execute(params![run.scope, document.name, run.run, document.version, pipeline])? == 0
            {
                waiting.execute(row)?;
            }
        }
    }
    transaction.commit()?;
    Ok(())
}

pub(super) fn end_listing(connection: &Connection, run: &RunKey) -> Result<(), StoreError> {
    connection.execute("UPDATE runs SET listed = 1 WHERE scope = ?1 AND run = ?2", params![run.scope, run.run])?;
    Ok(())
}

pub(super) fn interrupted(connection: &mut Connection, run: &RunKey) -> Result<Vec<WorkItem>, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT id, name, attempts, revision, suspect FROM documents WHERE scope = ?1 AND state = 'InFlight' ORDER BY id",
    )?;
    let items = statement.query_map(params![run.scope], work_item)?.collect::<Result<_, _>>()?;
    Ok(items)
}

pub(super) fn claim(connection: &mut Connection, run: &RunKey) -> Result<Option<WorkItem>, StoreError> {
    let mut statement = connection.prepare_cached(
        "UPDATE documents SET state = 'InFlight' WHERE id = (
             SELECT id FROM documents
             WHERE scope = ?1 AND run = ?2 AND outcome IS NULL AND state IN ('Pending', 'Failed')
             ORDER BY suspect, first_row, id LIMIT 1)
         RETURNING id, name, attempts, revision, suspect",
    )?;
    Ok(statement.query_row(params![run.scope, run.run], work_item).optional()?)
}

pub(super) fn work_item(row: &Row<'_>) -> rusqlite::Result<WorkItem> {
    Ok(WorkItem {
        document: row.get(0)?,
        name: row.get(1)?,
        attempts: row.get(2)?,
        revision: row.get(3)?,
        suspect: row.get(4)?,
    })
}

pub(super) fn release(connection: &mut Connection, run: &RunKey) -> Result<(), StoreError> {
    connection.execute(
        "UPDATE documents SET state = iif(action IS NULL, 'Pending', 'Failed') WHERE scope = ?1 AND state = 'InFlight'",
        params![run.scope],
    )?;
    Ok(())
}

pub(super) fn skip(connection: &mut Connection, document: i64) -> Result<(), StoreError> {
    connection.execute(
        &format!(
            "UPDATE documents SET state = 'Done', outcome = ?2, version = listed_version, attempts = 0, suspect = 0,
                 {NO_FAILURE}
             WHERE id = ?1"
        ),
        params![document, Outcome::Skipped.as_str()],
    )?;
    Ok(())
}

pub(super) fn suspect(connection: &mut Connection, attempt: &FailedAttempt) -> Result<(), StoreError> {
    note_failure(connection, attempt, None, true)
}

pub(super) fn fail(connection: &Connection, attempt: &FailedAttempt) -> Result<(), StoreError> {
    note_failure(connection, attempt, Some(Outcome::Failed), false)
}

fn note_failure(
    connection: &Connection,
    attempt: &FailedAttempt,
    outcome: Option<Outcome>,
    suspect: bool,
) -> Result<(), StoreError> {
    connection.execute(
        "UPDATE documents SET state = ?2, outcome = ?3, attempts = ?4, stage = ?5, category = ?6, reason = ?7,
             message = ?8, action = ?9, first_failure = coalesce(first_failure, ?10), last_failure = ?10,
             next_attempt = ?11, suspect = ?12
         WHERE id = ?1",
        params![
            attempt.document,
            DocumentState::after(attempt.verdict.action).as_str(),
            outcome.map(Outcome::as_str),
            attempt.attempts,
            attempt.stage.as_str(),
            attempt.category.as_str(),
            attempt.reason,
            attempt.message,
            attempt.verdict.action.as_str(),
            attempt.time.as_millisecond(),
            attempt.verdict.next_attempt.map(Timestamp::as_millisecond),
            suspect,
        ],
    )?;
    Ok(())
}

pub(super) fn summary(connection: &mut Connection, run: &RunKey) -> Result<RunSummary, StoreError> {
    let of_run = params![run.scope, run.run];
    let mut summary = connection.query_row(
        "SELECT coalesce(sum(weight), 0), coalesce(sum(weight) FILTER (WHERE outcome = 'Done'), 0),
             coalesce(sum(weight) FILTER (WHERE outcome = 'Skipped'), 0),
             coalesce(sum(weight) FILTER (WHERE outcome = 'Failed'), 0),
             coalesce(sum(weight) FILTER (WHERE outcome = 'Failed' AND action = 'Retry'), 0),
             coalesce(sum(weight) FILTER (WHERE outcome = 'Failed' AND action = 'Archive'), 0),
             coalesce(sum(weight) FILTER (WHERE outcome = 'Failed' AND action = 'Notify'), 0),
             coalesce(sum(run_chunks), 0), coalesce(sum(run_tokens), 0), coalesce(sum(run_bytes), 0),
             coalesce(sum(run_cached), 0)
         FROM documents WHERE scope = ?1 AND run = ?2",
        of_run,
        |row| {
            Ok(RunSummary {
                counts: Counts {
                    items: ItemCounts {
                        total: row.get(0)?,
                        done: row.get(1)?,
                        skipped: row.get(2)?,
                        failed: row.get(3)?,
                        deleted: 0,
                    },
                    failures: FailureCounts { retrying: row.get(4)?, archived: row.get(5)?, notified: row.get(6)? },
                    chunks: row.get(7)?,
                    tokens: row.get(8)?,
                    bytes: row.get(9)?,
                    cached: row.get(10)?,
                },
                next_retry: None,
                recent_failures: Vec::new(),
            })
        },
    )?;
    summary.counts.items.deleted =
        connection.query_row("SELECT deleted FROM runs WHERE scope = ?1 AND run = ?2", of_run, |row| row.get(0))?;
    // of the whole source: a retry run leaves those alone that were not due yet, and they must not be forgotten
    let next_retry =
        "SELECT min(next_attempt) FROM documents WHERE scope = ?1 AND state = 'Failed' AND action = 'Retry'";
    summary.next_retry = time(connection.query_row(next_retry, params![run.scope], |row| row.get(0))?);
    let mut statement = connection.prepare_cached(
        "SELECT name, stage, category, reason, message, attempts, action, last_failure FROM documents
         WHERE scope = ?1 AND run = ?2 AND outcome = 'Failed' ORDER BY last_failure DESC, id DESC LIMIT ?3",
    )?;
    let limit = i64::try_from(RECENT_FAILURES).unwrap_or(i64::MAX);
    let failures = statement.query_map(params![run.scope, run.run, limit], |row| failure(row, 0))?;
    summary.recent_failures = failures.filter_map(Result::transpose).collect::<Result<_, _>>()?;
    Ok(summary)
}

pub(super) fn documents(
    connection: &mut Connection,
    only_failed: bool,
    limit: usize,
) -> Result<Vec<LedgerRow>, StoreError> {
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let mut statement = connection.prepare_cached(
        "SELECT scope, state, revision, chunks, next_attempt,
             name, stage, category, reason, message, attempts, action, last_failure FROM documents
         WHERE ?1 = 0 OR state IN ('Failed', 'Archived') ORDER BY scope, first_row, name LIMIT ?2",
    )?;
    let rows = statement.query_map(params![only_failed, limit], |row| {
        let state: String = row.get(1)?;
        Ok(LedgerRow {
            scope: row.get(0)?,
            document: row.get(5)?,
            state: DocumentState::from_name(&state).unwrap_or(DocumentState::Pending),
            revision: row.get(2)?,
            chunks: row.get(3)?,
            attempts: row.get(10)?,
            failure: failure(row, 5)?,
            next_attempt: time(row.get(4)?),
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// The failure whose columns begin at `first` in the order name, stage, category, reason, message, attempts, action,
/// last_failure; none if the row has not failed.
fn failure(row: &Row<'_>, first: usize) -> rusqlite::Result<Option<ItemFailure>> {
    let text = |offset: usize| row.get::<_, Option<String>>(first + offset);
    let (Some(stage), Some(category), Some(reason), Some(message), Some(action)) =
        (text(1)?, text(2)?, text(3)?, text(4)?, text(6)?)
    else {
        return Ok(None);
    };
    Ok(Some(ItemFailure {
        item: printable(&row.get::<_, String>(first)?),
        stage: Stage::from_name(&stage).unwrap_or(Stage::Store),
        category: FailureCategory::from_name(&category).unwrap_or(FailureCategory::Unknown),
        reason,
        message,
        attempts: row.get(first + 5)?,
        action: FailureAction::from_name(&action).unwrap_or(FailureAction::Notify),
        last_failure_time: time(row.get(first + 7)?).unwrap_or(Timestamp::UNIX_EPOCH),
        next_retry_time: None,
    }))
}

fn time(milliseconds: Option<i64>) -> Option<Timestamp> {
    milliseconds.and_then(|milliseconds| Timestamp::from_millisecond(milliseconds).ok())
}
