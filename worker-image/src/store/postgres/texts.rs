//! Ranges and texts of batches in Postgres. Reads and writes the database.

use tokio_postgres::types::ToSql;
use uuid::Uuid;

use super::{
    super::{
        FailedAttempt, FailedText, ListedRange, RangeWrite, RunKey, Shard, StoreError, StoredText, TextItem, TextWrite,
        columns::{NO_FAILURE, NOTHING_WRITTEN},
    },
    chunks::{NewChunk, copy},
    ledger::{self, ITEM, bucket, text, waiting},
    session::Tx,
};

pub(super) async fn add_ranges(
    tx: &Tx<'_>,
    run: &RunKey,
    listed: &[ListedRange],
    pipeline: &str,
) -> Result<(), StoreError> {
    // Listed again within the run, by a second process: nothing changes.
    let of_this_run = "SELECT 1 FROM documents WHERE scope = $1 AND name = $2 AND run = $3";
    // Done in this very version, and no text of it is missing: those that failed first and were done later count.
    let unchanged = format!(
        "UPDATE documents SET run = $3, outcome = 'Skipped', stored = clock_timestamp(), {NOTHING_WRITTEN}
         WHERE scope = $1 AND name = $2 AND state = 'Done' AND version = $4 AND pipeline = $5
             AND $7 AND weight + (SELECT count(*) FROM documents AS single
                 WHERE single.part_of = documents.id AND single.state = 'Done') = $6
         RETURNING id"
    );
    let its_singles =
        format!("UPDATE documents SET run = $2, outcome = 'Skipped', {NOTHING_WRITTEN} WHERE part_of = $1");
    // A new run gives a range all its attempts again; only what may have killed a worker keeps its count.
    let waiting = format!(
        "INSERT INTO documents (scope, name, state, run, listed_version, weight, first_row, place, bucket)
         VALUES ($1, $2, 'Pending', $3, $4, $5, $6, $7, $8)
         ON CONFLICT (scope, name) DO UPDATE SET state = 'Pending', run = $3, listed_version = $4, weight = $5,
             first_row = $6, place = $7, bucket = $8, part_of = NULL, outcome = NULL, {NOTHING_WRITTEN},
             attempts = CASE WHEN documents.suspect THEN documents.attempts ELSE 0 END, {NO_FAILURE}"
    );
    for ListedRange { name, version, kept, rows, first_row, place } in listed {
        if tx.query_opt(of_this_run, &[&run.scope, name, &run.run]).await?.is_some() {
            continue;
        }
        let rows = i64::from(*rows);
        let same: [&(dyn ToSql + Sync); 7] = [&run.scope, name, &run.run, version, &pipeline, &rows, kept];
        match tx.query_opt(&unchanged, &same).await? {
            Some(range) => tx.execute(&its_singles, &[&range.get::<_, i64>(0), &run.run]).await?,
            None => {
                let row: [&(dyn ToSql + Sync); 8] =
                    [&run.scope, name, &run.run, version, &rows, first_row, place, &bucket(name)];
                tx.execute(&waiting, &row).await?
            }
        };
    }
    Ok(())
}

/// What is claimed next: as for a document, choosing and taking are two steps.
pub(super) async fn next(tx: &Tx<'_>, run: &RunKey, limit: usize, shard: Shard) -> Result<Vec<TextItem>, StoreError> {
    let sql = format!(
        "SELECT {ITEM}, weight, place, listed_version, part_of FROM documents WHERE {} LIMIT $3",
        waiting(shard)
    );
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let mut items = Vec::new();
    for row in tx.query(&sql, &[&run.scope, &run.run, &limit]).await? {
        let item = TextItem {
            item: ledger::work_item(&row),
            weight: i32::try_from(row.get::<_, i64>(5)).unwrap_or(i32::MAX),
            place: row.get::<_, Option<String>>(6).unwrap_or_default(),
            version: row.get(7),
            part_of: row.get(8),
        };
        let alone = item.part_of.is_none() || item.item.suspect;
        if alone && !items.is_empty() {
            break;
        }
        items.push(item);
        if alone {
            break;
        }
    }
    Ok(items)
}

pub(super) async fn taken(
    tx: &Tx<'_>,
    run: &RunKey,
    full: bool,
    document: i64,
    ids: &[Uuid],
) -> Result<Vec<Uuid>, StoreError> {
    let held = "SELECT chunks.uuid FROM chunks JOIN documents ON documents.id = chunks.document
         WHERE chunks.uuid = ANY($1) AND documents.id <> $2 AND documents.part_of IS DISTINCT FROM $2
             AND state NOT IN ('Pending', 'InFlight') AND (NOT $3 OR (run = $4 AND outcome IS NOT NULL))";
    let rows = tx.query(held, &[&ids, &document, &full, &run.run]).await?;
    let held: Vec<Uuid> = rows.iter().map(|row| row.get(0)).collect();
    Ok(ids.iter().filter(|id| held.contains(id)).copied().collect())
}

pub(super) async fn complete_range(tx: &Tx<'_>, run: &RunKey, write: &RangeWrite) -> Result<(), StoreError> {
    let range = &write.document;
    tx.execute("DELETE FROM chunks WHERE document = $1", &[range]).await?;
    // their chunks go with them
    tx.execute("DELETE FROM documents WHERE part_of = $1", &[range]).await?;
    insert(tx, write.texts.iter().map(|text| (write.document, write.revision.as_str(), text)).collect()).await?;
    for failed in &write.failed {
        insert_failed(tx, run, write.document, failed).await?;
    }
    let done = format!(
        "UPDATE documents SET state = 'Done', outcome = 'Done', revision = $2, pipeline = $3, version = listed_version,
             stored = clock_timestamp(), weight = $4, chunks = $4, run_chunks = $4, run_tokens = $5, run_bytes = $6, run_cached = $7,
             attempts = 0, suspect = false, {NO_FAILURE}
         WHERE id = $1"
    );
    let spent = &write.spent;
    let values: [&(dyn ToSql + Sync); 7] =
        [range, &write.revision, &write.pipeline, &i64::from(write.done), &spent.tokens, &spent.bytes, &spent.cached];
    tx.execute(&done, &values).await?;
    Ok(())
}

pub(super) async fn complete_texts(
    tx: &Tx<'_>,
    done: &[TextWrite],
    failed: &[FailedAttempt],
) -> Result<(), StoreError> {
    let documents: Vec<i64> = done.iter().map(|write| write.document).collect();
    tx.execute("DELETE FROM chunks WHERE document = ANY($1)", &[&documents]).await?;
    let texts = done.iter().filter_map(|write| Some((write.document, write.revision.as_str(), write.text.as_ref()?)));
    insert(tx, texts.collect()).await?;
    let note = format!(
        "UPDATE documents SET state = 'Done', outcome = 'Done', revision = $2, pipeline = $3,
             version = listed_version, stored = clock_timestamp(), chunks = 1, run_chunks = 1, run_tokens = $4, run_bytes = $5,
             run_cached = $6, attempts = 0, suspect = false, {NO_FAILURE}
         WHERE id = $1"
    );
    for TextWrite { document, revision, pipeline, spent, text: _ } in done {
        let values: [&(dyn ToSql + Sync); 6] =
            [document, revision, pipeline, &spent.tokens, &spent.bytes, &spent.cached];
        tx.execute(&note, &values).await?;
    }
    for attempt in failed {
        ledger::fail(tx, attempt).await?;
    }
    Ok(())
}

pub(super) async fn revisions(tx: &Tx<'_>, scope: &str) -> Result<Vec<String>, StoreError> {
    let sql = "SELECT DISTINCT revision FROM documents WHERE scope = $1 AND revision IS NOT NULL AND chunks > 0";
    Ok(tx.query(sql, &[&scope]).await?.iter().map(|row| row.get(0)).collect())
}

/// Adds texts, each with its row of the ledger and its revision.
async fn insert(tx: &Tx<'_>, texts: Vec<(i64, &str, &StoredText)>) -> Result<(), StoreError> {
    let ids: Vec<Uuid> = texts.iter().map(|(_, _, text)| text.id).collect();
    // whoever held an id is worked through again in this run, or is no longer in the input
    tx.execute("DELETE FROM chunks WHERE uuid = ANY($1)", &[&ids]).await?;
    let chunks = texts.into_iter().map(|(document, revision, stored)| NewChunk {
        id: stored.id,
        document,
        revision: revision.to_owned(),
        ordinal: stored.row,
        text: text(&stored.text),
        headings: Vec::new(),
        page: None,
        bytes: [0, i64::try_from(stored.text.len()).unwrap_or(i64::MAX)],
        tokens: stored.tokens,
        key: Some(text(&stored.key)),
        metadata: stored.metadata.clone(),
        vector: stored.vector.clone().into(),
    });
    copy(tx, chunks.collect()).await
}

async fn insert_failed(tx: &Tx<'_>, run: &RunKey, range: i64, failed: &FailedText) -> Result<(), StoreError> {
    let FailedText { name, first_row, place, version, attempt } = failed;
    let name = text(name);
    // a row of the same name is left from another range, which an earlier input had there
    tx.execute("DELETE FROM documents WHERE scope = $1 AND name = $2", &[&run.scope, &name]).await?;
    // it stays with the shard of its range
    let insert = "INSERT INTO documents (scope, name, state, run, listed_version, first_row, place, part_of, bucket)
        SELECT $1, $2, 'Pending', $3, $4, $5, $6, id, bucket FROM documents WHERE id = $7 RETURNING id";
    let row: [&(dyn ToSql + Sync); 7] = [&run.scope, &name, &run.run, version, first_row, place, &range];
    let document = tx.query_one(insert, &row).await?.get(0);
    ledger::fail(tx, &FailedAttempt { document, ..attempt.clone() }).await
}
