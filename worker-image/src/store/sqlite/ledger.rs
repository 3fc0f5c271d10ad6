//! The ledger in SQLite: which documents a run has, where each one stands. Reads and writes the database.

use jiff::Timestamp;
use lexigram_api::{
    contract::{DocumentCounts, DocumentFailure, FailureCounts, RECENT_FAILURES},
    failure::{FailureAction, FailureCategory, Stage},
};
use rusqlite::{Connection, Row, TransactionBehavior, params};

use super::super::{
    DocumentState, FailedAttempt, LedgerRow, Listing, Outcome, RunKey, RunSummary, StoreError, WorkItem,
};
use crate::source::Listed;

/// Runs whose totals are kept, a scope.
const KEPT_RUNS: i64 = 20;

pub(super) fn begin_full(connection: &mut Connection, run: &RunKey) -> Result<Listing, StoreError> {
    insert_run(connection, run)?;
    let listed: bool = connection.query_row(
        "SELECT listed FROM runs WHERE scope = ?1 AND run = ?2",
        params![run.scope, run.run],
        |row| row.get(0),
    )?;
    Ok(if listed { Listing::Complete } else { Listing::Open })
}

pub(super) fn begin_retry(connection: &mut Connection, run: &RunKey, due_before: Timestamp) -> Result<(), StoreError> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    if insert_run(&transaction, run)? {
        transaction.execute(
            "UPDATE documents SET run = ?2, outcome = NULL, state = 'Pending', next_attempt = NULL,
                 run_chunks = 0, run_tokens = 0, run_bytes = 0
             WHERE scope = ?1 AND state = 'Failed' AND action = 'Retry' AND next_attempt <= ?3",
            params![run.scope, run.run, due_before.as_millisecond()],
        )?;
        transaction.execute(
            "UPDATE runs SET listed = 1 WHERE scope = ?1 AND run = ?2",
            params![run.scope, run.run],
        )?;
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
        // A document that is done in this very version by this very pipeline needs no look at its content.
        // One that is in flight stays so: its attempt has still to be counted.
        let mut upsert = transaction.prepare_cached(
            "INSERT INTO documents (scope, name, state, listed_version, run) VALUES (?1, ?2, 'Pending', ?3, ?4)
             ON CONFLICT (scope, name) DO UPDATE SET
                 outcome = CASE
                     WHEN run = excluded.run THEN outcome
                     WHEN state = 'Done' AND version IS NOT NULL AND version = excluded.listed_version AND pipeline = ?5
                         THEN 'Skipped'
                     END,
                 attempts = CASE WHEN run = excluded.run OR state = 'InFlight' THEN attempts ELSE 0 END,
                 run_chunks = CASE WHEN run = excluded.run THEN run_chunks ELSE 0 END,
                 run_tokens = CASE WHEN run = excluded.run THEN run_tokens ELSE 0 END,
                 run_bytes = CASE WHEN run = excluded.run THEN run_bytes ELSE 0 END,
                 state = CASE
                     WHEN run = excluded.run OR state = 'InFlight' THEN state
                     WHEN state = 'Done' AND version IS NOT NULL AND version = excluded.listed_version AND pipeline = ?5
                         THEN 'Done'
                     ELSE 'Pending'
                     END,
                 listed_version = excluded.listed_version,
                 run = excluded.run",
        )?;
        for document in listed {
            upsert.execute(params![run.scope, document.name, document.version, run.run, pipeline])?;
        }
    }
    transaction.commit()?;
    Ok(())
}

pub(super) fn end_listing(connection: &mut Connection, run: &RunKey) -> Result<(), StoreError> {
    connection.execute("UPDATE runs SET listed = 1 WHERE scope = ?1 AND run = ?2", params![run.scope, run.run])?;
    Ok(())
}

pub(super) fn interrupted(connection: &mut Connection, run: &RunKey) -> Result<Vec<WorkItem>, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT id, name, attempts, revision FROM documents WHERE scope = ?1 AND state = 'InFlight' ORDER BY id",
    )?;
    let items = statement.query_map(params![run.scope], work_item)?.collect::<Result<_, _>>()?;
    Ok(items)
}

pub(super) fn claim(connection: &mut Connection, run: &RunKey, limit: usize) -> Result<Vec<WorkItem>, StoreError> {
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let mut statement = connection.prepare_cached(
        // documents that took a worker with them once come last, so that they keep no other from being ingested
        "UPDATE documents SET state = 'InFlight' WHERE id IN (
             SELECT id FROM documents WHERE scope = ?1 AND run = ?2 AND outcome IS NULL AND state = 'Pending'
             ORDER BY attempts, id LIMIT ?3)
         RETURNING id, name, attempts, revision",
    )?;
    let items = statement.query_map(params![run.scope, run.run, limit], work_item)?.collect::<Result<_, _>>()?;
    Ok(items)
}

fn work_item(row: &Row<'_>) -> rusqlite::Result<WorkItem> {
    Ok(WorkItem { document: row.get(0)?, name: row.get(1)?, attempts: row.get(2)?, revision: row.get(3)? })
}

pub(super) fn release(connection: &mut Connection, document: i64, attempts: i32) -> Result<(), StoreError> {
    connection.execute(
        "UPDATE documents SET state = 'Pending', attempts = ?2 WHERE id = ?1 AND state = 'InFlight'",
        params![document, attempts],
    )?;
    Ok(())
}

pub(super) fn skip(connection: &mut Connection, document: i64) -> Result<(), StoreError> {
    connection.execute(
        "UPDATE documents SET state = 'Done', outcome = ?2, version = listed_version, attempts = 0, stage = NULL,
             category = NULL, reason = NULL, message = NULL, action = NULL, first_failure = NULL, last_failure = NULL,
             next_attempt = NULL
         WHERE id = ?1",
        params![document, Outcome::Skipped.as_str()],
    )?;
    Ok(())
}

pub(super) fn fail(connection: &mut Connection, attempt: &FailedAttempt) -> Result<(), StoreError> {
    connection.execute(
        "UPDATE documents SET state = ?2, outcome = ?3, attempts = ?4, stage = ?5, category = ?6, reason = ?7,
             message = ?8, action = ?9, first_failure = coalesce(first_failure, ?10), last_failure = ?10,
             next_attempt = ?11
         WHERE id = ?1",
        params![
            attempt.document,
            DocumentState::after(attempt.verdict.action).as_str(),
            Outcome::Failed.as_str(),
            attempt.attempts,
            attempt.stage.as_str(),
            attempt.category.as_str(),
            attempt.reason,
            attempt.message,
            attempt.verdict.action.as_str(),
            attempt.time.as_millisecond(),
            attempt.verdict.next_attempt.map(Timestamp::as_millisecond),
        ],
    )?;
    Ok(())
}

pub(super) fn summary(connection: &mut Connection, run: &RunKey) -> Result<RunSummary, StoreError> {
    let of_run = params![run.scope, run.run];
    let mut summary = connection.query_row(
        "SELECT count(*), count(*) FILTER (WHERE outcome = 'Done'), count(*) FILTER (WHERE outcome = 'Skipped'),
             count(*) FILTER (WHERE outcome = 'Failed'),
             count(*) FILTER (WHERE outcome = 'Failed' AND action = 'Retry'),
             count(*) FILTER (WHERE outcome = 'Failed' AND action = 'Archive'),
             count(*) FILTER (WHERE outcome = 'Failed' AND action = 'Notify'),
             coalesce(sum(run_chunks), 0), coalesce(sum(run_tokens), 0), coalesce(sum(run_bytes), 0),
             min(next_attempt) FILTER (WHERE outcome = 'Failed' AND action = 'Retry')
         FROM documents WHERE scope = ?1 AND run = ?2",
        of_run,
        |row| {
            Ok(RunSummary {
                documents: DocumentCounts {
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
                next_retry: time(row.get(10)?),
                recent_failures: Vec::new(),
            })
        },
    )?;
    summary.documents.deleted =
        connection.query_row("SELECT deleted FROM runs WHERE scope = ?1 AND run = ?2", of_run, |row| row.get(0))?;
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
         WHERE ?1 = 0 OR state IN ('Failed', 'Archived') ORDER BY scope, name LIMIT ?2",
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
fn failure(row: &Row<'_>, first: usize) -> rusqlite::Result<Option<DocumentFailure>> {
    let text = |offset: usize| row.get::<_, Option<String>>(first + offset);
    let (Some(stage), Some(category), Some(reason), Some(message), Some(action)) =
        (text(1)?, text(2)?, text(3)?, text(4)?, text(6)?)
    else {
        return Ok(None);
    };
    Ok(Some(DocumentFailure {
        document: row.get(first)?,
        stage: Stage::from_name(&stage).unwrap_or(Stage::Store),
        category: FailureCategory::from_name(&category).unwrap_or(FailureCategory::Unknown),
        reason,
        message,
        attempts: row.get(first + 5)?,
        action: FailureAction::from_name(&action).unwrap_or(FailureAction::Notify),
        last_failure_time: time(row.get(first + 7)?).unwrap_or(Timestamp::UNIX_EPOCH),
    }))
}

fn time(milliseconds: Option<i64>) -> Option<Timestamp> {
    milliseconds.and_then(|milliseconds| Timestamp::from_millisecond(milliseconds).ok())
}
