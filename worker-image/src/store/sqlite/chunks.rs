//! Chunks and vectors in SQLite: written and removed. Reads and writes the database.

use jiff::{SignedDuration, Timestamp};
use lexigram_api::failure::ArchivePolicy;
use rusqlite::{Connection, Transaction, TransactionBehavior, params};

use super::{
    super::{DocumentWrite, EmbeddedChunk, Outcome, RunKey, StoreError, columns::NO_FAILURE},
    rebuild,
    schema::NOW,
    vectors,
};

pub(super) fn complete(connection: &mut Connection, write: &DocumentWrite) -> Result<(), StoreError> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    // The same revision may be there already, from an attempt that died before its row said Done.
    remove_chunks(&transaction, "document = ?1 AND revision = ?2", params![write.document, write.revision])?;
    for chunk in &write.chunks {
        insert_chunk(&transaction, write, chunk)?;
    }
    transaction.execute(
        &format!(
            "UPDATE documents SET state = 'Done', outcome = ?2, revision = ?3, pipeline = ?4, version = listed_version,
                 chunks = ?5, run_chunks = ?5, run_tokens = ?6, run_bytes = ?7, run_cached = ?8,
                 about = ?9, stored = {NOW}, attempts = 0, suspect = 0, {NO_FAILURE}
             WHERE id = ?1"
        ),
        params![
            write.document,
            Outcome::Done.as_str(),
            write.revision,
            write.pipeline,
            i64::try_from(write.chunks.len()).unwrap_or(i64::MAX),
            write.tokens,
            write.bytes,
            write.cached,
            serde_json::to_string(&write.about).map_err(|error| StoreError::Other(error.to_string()))?,
        ],
    )?;
    remove_chunks(&transaction, "document = ?1 AND revision <> ?2", params![write.document, write.revision])?;
    transaction.commit()?;
    Ok(())
}

fn insert_chunk(transaction: &Transaction<'_>, write: &DocumentWrite, chunk: &EmbeddedChunk) -> Result<(), StoreError> {
    let headings = serde_json::to_string(&chunk.headings).map_err(|error| StoreError::Other(error.to_string()))?;
    transaction
        .prepare_cached(
            "INSERT INTO chunks (uuid, document, revision, ordinal, text, headings, page, byte_start, byte_end, tokens)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
        )?
        .execute(params![
            chunk.id.to_string(),
            write.document,
            write.revision,
            chunk.ordinal,
            chunk.text,
            headings,
            chunk.page,
            i64::try_from(chunk.bytes.start).unwrap_or(i64::MAX),
            i64::try_from(chunk.bytes.end).unwrap_or(i64::MAX),
            chunk.tokens,
        ])?;
    vectors::insert(transaction, &chunk.vector)
}

/// Removes the chunks that match, and their vectors.
pub(super) fn remove_chunks(
    transaction: &Transaction<'_>,
    matching: &str,
    values: &[&dyn rusqlite::ToSql],
) -> Result<(), StoreError> {
    let mut statement = transaction.prepare_cached(&format!("SELECT id FROM chunks WHERE {matching}"))?;
    let ids: Vec<i64> = statement.query_map(values, |row| row.get(0))?.collect::<Result<_, _>>()?;
    if ids.is_empty() {
        // the ledger of batches that write files has no vectors at all
        return Ok(());
    }
    vectors::remove_from(transaction, &vectors::in_use(transaction)?, &ids)?;
    rebuild::forget(transaction, &ids)?;
    let mut remove_chunk = transaction.prepare_cached("DELETE FROM chunks WHERE id = ?1")?;
    for id in ids {
        remove_chunk.execute([id])?;
    }
    Ok(())
}

pub(super) fn remove_unlisted(connection: &mut Connection, run: &RunKey) -> Result<i32, StoreError> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let of_run = params![run.scope, run.run];
    let unlisted = "document IN (SELECT id FROM documents WHERE scope = ?1 AND run <> ?2)";
    remove_chunks(&transaction, unlisted, of_run)?;
    // What had failed from the beginning was never in the store, and is only forgotten. Rows that a batch cuts into
    // other ranges than before are not gone either: only those are that lie behind its present end.
    let removed: i32 = transaction.query_row(
        "WITH present AS (SELECT coalesce(sum(weight), 0) AS rows FROM documents WHERE scope = ?1 AND run = ?2)
         SELECT coalesce(sum(iif(place IS NULL, weight, max(0, min(weight, first_row + weight - present.rows)))), 0)
         FROM documents, present WHERE scope = ?1 AND run <> ?2 AND chunks > 0",
        of_run,
        |row| row.get(0),
    )?;
    transaction.execute("DELETE FROM documents WHERE scope = ?1 AND run <> ?2", of_run)?;
    // added to, not set: an earlier process of this run may have removed some and died before its report
    transaction.execute(
        "UPDATE runs SET deleted = deleted + ?3 WHERE scope = ?1 AND run = ?2",
        params![run.scope, run.run, removed],
    )?;
    transaction.commit()?;
    Ok(removed)
}

pub(super) fn prune_archive(
    connection: &mut Connection,
    policy: &ArchivePolicy,
    now: Timestamp,
) -> Result<i64, StoreError> {
    let oldest = now
        .checked_sub(SignedDuration::from_secs(i64::from(policy.retention_seconds)))
        .unwrap_or(Timestamp::MIN)
        .as_millisecond();
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let expired = "state = 'Archived' AND (last_failure < ?1 OR id NOT IN
         (SELECT id FROM documents WHERE state = 'Archived' ORDER BY last_failure DESC, id DESC LIMIT ?2))";
    let bounds = params![oldest, policy.max_items];
    let removed = transaction.execute(&format!("DELETE FROM documents WHERE chunks = 0 AND {expired}"), bounds)?;
    // a document that was ingested before stays, as it then was
    let forgotten = transaction
        .execute(&format!("UPDATE documents SET state = 'Done', attempts = 0, {NO_FAILURE} WHERE {expired}"), bounds)?;
    transaction.commit()?;
    Ok(i64::try_from(removed + forgotten).unwrap_or(i64::MAX))
}
