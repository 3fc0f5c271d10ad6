//! Ranges and texts of batches in SQLite. Reads and writes the database.

use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior, params};
use uuid::Uuid;

use super::{
    super::{
        FailedAttempt, FailedText, ListedRange, RangeWrite, RunKey, StoreError, StoredText, TextItem, TextWrite,
        columns::{NO_FAILURE, NOTHING_WRITTEN},
    },
    chunks::remove_chunks,
    ledger,
    schema::NOW,
    vectors,
};

pub(super) fn add_ranges(
    connection: &mut Connection,
    run: &RunKey,
    listed: &[ListedRange],
    pipeline: &str,
) -> Result<(), StoreError> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    {
        // Listed again within the run, by a second process: nothing changes.
        let mut of_this_run =
            transaction.prepare_cached("SELECT 1 FROM documents WHERE scope = ?1 AND name = ?2 AND run = ?3")?;
        // Done in this very version, and no text of it is missing: those that failed first and were done later count.
        let mut unchanged = transaction.prepare_cached(&format!(
            "UPDATE documents SET run = ?3, outcome = 'Skipped', stored = {NOW}, {NOTHING_WRITTEN}
             WHERE scope = ?1 AND name = ?2 AND state = 'Done' AND version = ?4 AND pipeline = ?5
                 AND ?7 AND weight + (SELECT count(*) FROM documents AS single
                     WHERE single.part_of = documents.id AND single.state = 'Done') = ?6
             RETURNING id"
        ))?;
        let mut its_singles = transaction.prepare_cached(&format!(
            "UPDATE documents SET run = ?2, outcome = 'Skipped', {NOTHING_WRITTEN} WHERE part_of = ?1"
        ))?;
        // A new run gives a range all its attempts again; only what may have killed a worker keeps its count.
        let mut waiting = transaction.prepare_cached(&format!(
            "INSERT INTO documents (scope, name, state, run, listed_version, weight, first_row, place)
             VALUES (?1, ?2, 'Pending', ?3, ?4, ?5, ?6, ?7)
             ON CONFLICT (scope, name) DO UPDATE SET state = 'Pending', run = ?3, listed_version = ?4, weight = ?5,
                 first_row = ?6, place = ?7, part_of = NULL, outcome = NULL, {NOTHING_WRITTEN},
                 attempts = iif(suspect, attempts, 0), {NO_FAILURE}",
        ))?;
        for ListedRange { name, version, kept, rows, first_row, place } in listed {
            if of_this_run.exists(params![run.scope, name, run.run])? {
                continue;
            }
            let same = params![run.scope, name, run.run, version, pipeline, rows, kept];
            match unchanged.query_row(same, |row| row.get::<_, i64>(0)).optional()? {
                Some(range) => its_singles.execute(params![range, run.run])?,
                None => waiting.execute(params![run.scope, name, run.run, version, rows, first_row, place])?,
            };
        }
    }
    transaction.commit()?;
    Ok(())
}

pub(super) fn claim(connection: &mut Connection, run: &RunKey, limit: usize) -> Result<Vec<TextItem>, StoreError> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let mut items = Vec::new();
    {
        let mut waiting = transaction.prepare_cached(
            "SELECT id, name, attempts, revision, suspect, weight, place, listed_version, part_of
             FROM documents INDEXED BY documents_waiting
             WHERE scope = ?1 AND run = ?2 AND outcome IS NULL AND state IN ('Pending', 'Failed')
             ORDER BY suspect, first_failure, first_row, id LIMIT ?3",
        )?;
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let waiting = waiting.query_map(params![run.scope, run.run, limit], |row| {
            Ok(TextItem {
                item: ledger::work_item(row)?,
                weight: row.get(5)?,
                place: row.get::<_, Option<String>>(6)?.unwrap_or_default(),
                version: row.get(7)?,
                part_of: row.get(8)?,
            })
        })?;
        let mut take = transaction.prepare_cached("UPDATE documents SET state = 'InFlight' WHERE id = ?1")?;
        for item in waiting {
            let item: TextItem = item?;
            let alone = item.part_of.is_none() || item.item.suspect;
            if alone && !items.is_empty() {
                break;
            }
            take.execute([item.item.document])?;
            items.push(item);
            if alone {
                break;
            }
        }
    }
    transaction.commit()?;
    Ok(items)
}

pub(super) fn taken(
    connection: &mut Connection,
    run: &RunKey,
    full: bool,
    document: i64,
    ids: &[Uuid],
) -> Result<Vec<Uuid>, StoreError> {
    let mut holder = connection.prepare_cached(
        "SELECT 1 FROM chunks JOIN documents ON documents.id = chunks.document
         WHERE chunks.uuid = ?1 AND documents.id <> ?2 AND documents.part_of IS NOT ?2
             AND state NOT IN ('Pending', 'InFlight') AND (NOT ?3 OR (run = ?4 AND outcome IS NOT NULL))",
    )?;
    let mut taken = Vec::new();
    for id in ids {
        if holder.exists(params![id.to_string(), document, full, run.run])? {
            taken.push(*id);
        }
    }
    Ok(taken)
}

pub(super) fn complete_range(connection: &mut Connection, run: &RunKey, write: &RangeWrite) -> Result<(), StoreError> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let range = params![write.document];
    remove_chunks(&transaction, "document IN (SELECT id FROM documents WHERE id = ?1 OR part_of = ?1)", range)?;
    transaction.execute("DELETE FROM documents WHERE part_of = ?1", range)?;
    for text in &write.texts {
        insert_text(&transaction, write.document, &write.revision, text)?;
    }
    for failed in &write.failed {
        insert_failed(&transaction, run, write.document, failed)?;
    }
    transaction.execute(
        &format!(
            "UPDATE documents SET state = 'Done', outcome = 'Done', revision = ?2, pipeline = ?3, version = listed_version,
                 stored = {NOW}, weight = ?4, chunks = ?4, run_chunks = ?4, run_tokens = ?5, run_bytes = ?6, run_cached = ?7,
                 attempts = 0, suspect = 0, {NO_FAILURE}
             WHERE id = ?1"
        ),
        params![
            write.document,
            write.revision,
            write.pipeline,
            write.done,
            write.spent.tokens,
            write.spent.bytes,
            write.spent.cached,
        ],
    )?;
    transaction.commit()?;
    Ok(())
}

pub(super) fn complete_texts(
    connection: &mut Connection,
    done: &[TextWrite],
    failed: &[FailedAttempt],
) -> Result<(), StoreError> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    for write in done {
        remove_chunks(&transaction, "document = ?1", params![write.document])?;
        if let Some(text) = &write.text {
            insert_text(&transaction, write.document, &write.revision, text)?;
        }
        transaction.execute(
            &format!(
                "UPDATE documents SET state = 'Done', outcome = 'Done', revision = ?2, pipeline = ?3,
                     version = listed_version, stored = {NOW}, chunks = 1, run_chunks = 1, run_tokens = ?4, run_bytes = ?5,
                     run_cached = ?6, attempts = 0, suspect = 0, {NO_FAILURE}
                 WHERE id = ?1"
            ),
            params![
                write.document,
                write.revision,
                write.pipeline,
                write.spent.tokens,
                write.spent.bytes,
                write.spent.cached
            ],
        )?;
    }
    for attempt in failed {
        ledger::fail(&transaction, attempt)?;
    }
    transaction.commit()?;
    Ok(())
}

pub(super) fn revisions(connection: &mut Connection, scope: &str) -> Result<Vec<String>, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT DISTINCT revision FROM documents WHERE scope = ?1 AND revision IS NOT NULL AND chunks > 0",
    )?;
    let revisions = statement.query_map([scope], |row| row.get(0))?.collect::<Result<_, _>>()?;
    Ok(revisions)
}

fn insert_text(
    transaction: &Transaction<'_>,
    document: i64,
    revision: &str,
    text: &StoredText,
) -> Result<(), StoreError> {
    let id = text.id.to_string();
    // whoever held the id is worked through again in this run, or is no longer in the input
    remove_chunks(transaction, "uuid = ?1", params![id])?;
    transaction
        .prepare_cached(
            "INSERT INTO chunks (uuid, document, revision, ordinal, text, headings, byte_start, byte_end, tokens, key,
                 metadata)
             VALUES (?1, ?2, ?3, ?4, ?5, '[]', 0, ?6, ?7, ?8, ?9)",
        )?
        .execute(params![
            id,
            document,
            revision,
            text.row,
            text.text,
            i64::try_from(text.text.len()).unwrap_or(i64::MAX),
            text.tokens,
            text.key,
            text.metadata,
        ])?;
    vectors::insert(transaction, &text.vector)
}

fn insert_failed(
    transaction: &Transaction<'_>,
    run: &RunKey,
    range: i64,
    failed: &FailedText,
) -> Result<(), StoreError> {
    let FailedText { name, first_row, place, version, attempt } = failed;
    // a row of the same name is left from another range, which an earlier input had there
    let same = params![run.scope, name];
    remove_chunks(transaction, "document IN (SELECT id FROM documents WHERE scope = ?1 AND name = ?2)", same)?;
    transaction.execute("DELETE FROM documents WHERE scope = ?1 AND name = ?2", same)?;
    transaction.execute(
        "INSERT INTO documents (scope, name, state, run, listed_version, first_row, place, part_of)
         VALUES (?1, ?2, 'Pending', ?3, ?4, ?5, ?6, ?7)",
        params![run.scope, name, run.run, version, first_row, place, range],
    )?;
    let attempt = FailedAttempt { document: transaction.last_insert_rowid(), ..attempt.clone() };
    ledger::fail(transaction, &attempt)
}
