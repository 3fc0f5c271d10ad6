//! The ledger in SQLite: which documents a run has, where each one stands. Reads and writes the database.

use jiff::Timestamp;
use lexigram_api::contract::{Counts, DeadLetters, FailureCounts, ItemCounts};
use rusqlite::{Connection, OptionalExtension, Row, TransactionBehavior, params};

use super::{
    super::{
        CIRCUIT_OPEN, DocumentState, FailedAttempt, Listing, Outcome, RunKey, RunSummary, StoreError, WorkItem,
        columns::{KEPT_RUNS, NO_FAILURE, NOTHING_WRITTEN},
    },
    rows::{newest_failures, time},
    schema::NOW,
};
use crate::source::Listed;

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

/// Sources that have rows.
pub(super) fn scopes(connection: &Connection) -> Result<Vec<String>, StoreError> {
    let mut statement = connection.prepare_cached("SELECT DISTINCT scope FROM documents ORDER BY scope")?;
    Ok(statement.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?)
}

/// Notes the run, forgets the oldest ones, and says whether it is new.
pub(super) fn insert_run(connection: &Connection, run: &RunKey) -> Result<bool, StoreError> {
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
            "UPDATE documents SET run = ?3, outcome = 'Skipped', stored = {NOW}, {NOTHING_WRITTEN}
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
             SELECT id FROM documents INDEXED BY documents_waiting
             WHERE scope = ?1 AND run = ?2 AND outcome IS NULL AND state IN ('Pending', 'Failed')
             ORDER BY suspect, first_failure, first_row, id LIMIT 1)
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
            "UPDATE documents SET state = 'Done', outcome = ?2, version = listed_version, stored = {NOW}, attempts = 0,
                 suspect = 0, {NO_FAILURE}
             WHERE id = ?1"
        ),
        params![document, Outcome::Skipped.as_str()],
    )?;
    Ok(())
}

pub(super) fn suspect(connection: &mut Connection, attempt: &FailedAttempt) -> Result<(), StoreError> {
    note_failure(connection, attempt, None, true)
}

pub(super) fn give_up(connection: &mut Connection, run: &RunKey, attempt: &FailedAttempt) -> Result<(), StoreError> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    fail(&transaction, attempt)?;
    transaction.execute("UPDATE documents SET run = ?2 WHERE id = ?1", params![attempt.document, run.run])?;
    transaction.commit()?;
    Ok(())
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
             coalesce(sum(run_cached), 0), coalesce(max(outcome IS NULL AND reason = ?3), 0)
         FROM documents WHERE scope = ?1 AND run = ?2",
        params![run.scope, run.run, CIRCUIT_OPEN],
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
                after_circuit: row.get(11)?,
                next_retry: None,
                dead_letters: DeadLetters::default(),
                recent_failures: Vec::new(),
            })
        },
    )?;
    summary.counts.items.deleted =
        connection.query_row("SELECT deleted FROM runs WHERE scope = ?1 AND run = ?2", of_run, |row| row.get(0))?;
    // of the whole source: a retry run leaves those alone that were not due yet, and they must not be forgotten
    let next_retry = "SELECT next_attempt FROM documents
         WHERE scope = ?1 AND state = 'Failed' AND action = 'Retry' AND next_attempt IS NOT NULL
         ORDER BY next_attempt LIMIT 1";
    summary.next_retry = time(connection.query_row(next_retry, params![run.scope], |row| row.get(0)).optional()?);
    summary.recent_failures = newest_failures(connection, &run.scope)?;
    Ok(summary)
}
