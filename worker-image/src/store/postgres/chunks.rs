//! Chunks and vectors in Postgres: written and removed. Reads and writes the database.

use std::pin::pin;

use jiff::{SignedDuration, Timestamp};
use lexigram_api::failure::ArchivePolicy;
use pgvector::Vector;
use tokio_postgres::{
    binary_copy::BinaryCopyInWriter,
    types::{ToSql, Type},
};
use uuid::Uuid;

use super::{
    super::{DocumentWrite, Outcome, RunKey, Shard, StoreError, columns::NO_FAILURE},
    ledger::{mine, number, text},
    session::Tx,
};

/// What is written of a chunk, in the order of [`copy`].
const COLUMNS: &str = "uuid, document, revision, ordinal, text, headings, page, byte_start, byte_end, tokens, key,
     metadata, embedding";

/// A row of `chunks`.
pub(super) struct NewChunk {
    pub(super) id: Uuid,
    pub(super) document: i64,
    pub(super) revision: String,
    pub(super) ordinal: i64,
    pub(super) text: String,
    pub(super) headings: Vec<String>,
    pub(super) page: Option<i32>,
    pub(super) bytes: [i64; 2],
    pub(super) tokens: i64,
    pub(super) key: Option<String>,
    pub(super) metadata: Option<String>,
    pub(super) vector: Vector,
}

/// Adds chunks, all in one stream.
pub(super) async fn copy(tx: &Tx<'_>, chunks: Vec<NewChunk>) -> Result<(), StoreError> {
    if chunks.is_empty() {
        return Ok(());
    }
    // the number of the type `vector` differs between databases; JSON is sent as the text that it is
    let columns = tx.raw().prepare_cached(&format!("SELECT {COLUMNS} FROM chunks LIMIT 0")).await?;
    let types = columns.columns().iter().map(|column| column.type_().clone());
    let types: Vec<Type> = types.map(|kind| if kind == Type::JSON { Type::TEXT } else { kind }).collect();
    let sink = tx.raw().copy_in(&format!("COPY chunks ({COLUMNS}) FROM STDIN BINARY")).await?;
    let mut writer = pin!(BinaryCopyInWriter::new(sink, &types));
    for chunk in &chunks {
        let row: [&(dyn ToSql + Sync); 13] = [
            &chunk.id,
            &chunk.document,
            &chunk.revision,
            &chunk.ordinal,
            &chunk.text,
            &chunk.headings,
            &chunk.page,
            &chunk.bytes[0],
            &chunk.bytes[1],
            &chunk.tokens,
            &chunk.key,
            &chunk.metadata,
            &chunk.vector,
        ];
        writer.as_mut().write(&row).await?;
    }
    writer.finish().await?;
    Ok(())
}

pub(super) async fn complete(tx: &Tx<'_>, write: &DocumentWrite) -> Result<(), StoreError> {
    // The same revision may be there already, from an attempt that died before its row said Done.
    let same = "DELETE FROM chunks WHERE document = $1 AND revision = $2";
    tx.execute(same, &[&write.document, &write.revision]).await?;
    let size = |bytes: usize| i64::try_from(bytes).unwrap_or(i64::MAX);
    let chunks = write.chunks.iter().map(|chunk| NewChunk {
        id: chunk.id,
        document: write.document,
        revision: write.revision.clone(),
        ordinal: chunk.ordinal.into(),
        text: text(&chunk.text),
        headings: chunk.headings.iter().map(|heading| text(heading)).collect(),
        page: chunk.page,
        bytes: [size(chunk.bytes.start), size(chunk.bytes.end)],
        tokens: chunk.tokens.into(),
        key: None,
        metadata: None,
        vector: chunk.vector.clone().into(),
    });
    copy(tx, chunks.collect()).await?;
    let about = serde_json::to_string(&write.about).map_err(|error| StoreError::Other(error.to_string()))?;
    let done = format!(
        "UPDATE documents SET state = 'Done', outcome = $2, revision = $3, pipeline = $4, version = listed_version,
             chunks = $5, run_chunks = $5, run_tokens = $6, run_bytes = $7, run_cached = $8,
             about = $9, stored = clock_timestamp(), attempts = 0, suspect = false, {NO_FAILURE}
         WHERE id = $1"
    );
    let values: [&(dyn ToSql + Sync); 9] = [
        &write.document,
        &Outcome::Done.as_str(),
        &write.revision,
        &write.pipeline,
        &size(write.chunks.len()),
        &write.tokens,
        &write.bytes,
        &write.cached,
        &about,
    ];
    tx.execute(&done, &values).await?;
    let old = "DELETE FROM chunks WHERE document = $1 AND revision <> $2";
    tx.execute(old, &[&write.document, &write.revision]).await?;
    Ok(())
}

/// Removes this shard's part of what was not listed; the chunks go with their documents.
pub(super) async fn remove_unlisted(tx: &Tx<'_>, run: &RunKey, shard: Shard) -> Result<i32, StoreError> {
    let mine = mine(shard);
    // What had failed from the beginning was never in the store, and is only forgotten. Rows that a batch cuts into
    // other ranges than before are not gone either: only those are that lie behind its present end.
    let gone = format!(
        "WITH present AS (SELECT coalesce(sum(weight), 0) AS rows FROM documents WHERE scope = $1 AND run = $2)
         SELECT coalesce(sum(CASE WHEN place IS NULL THEN weight
             ELSE greatest(0, least(weight, first_row + weight - present.rows)) END), 0)::bigint
         FROM documents, present WHERE scope = $1 AND run <> $2 AND chunks > 0 AND {mine}"
    );
    let removed: i64 = tx.query_one(&gone, &[&run.scope, &run.run]).await?.get(0);
    let removed = i32::try_from(removed).unwrap_or(i32::MAX);
    let remove = format!("DELETE FROM documents WHERE scope = $1 AND run <> $2 AND {mine}");
    tx.execute(&remove, &[&run.scope, &run.run]).await?;
    // added to, not set: an earlier process of this run may have removed some and died before its report
    let count = "UPDATE runs SET deleted = deleted + $3 WHERE scope = $1 AND run = $2 AND shard = $4";
    tx.execute(count, &[&run.scope, &run.run, &removed, &number(shard)]).await?;
    Ok(removed)
}

pub(super) async fn prune_archive(tx: &Tx<'_>, policy: &ArchivePolicy, now: Timestamp) -> Result<i64, StoreError> {
    let kept = SignedDuration::from_secs(i64::from(policy.retention_seconds));
    let oldest = now.checked_sub(kept).unwrap_or(Timestamp::UNIX_EPOCH);
    let most = i64::from(policy.max_items);
    let expired = "state = 'Archived' AND (last_failure < $1 OR id NOT IN
         (SELECT id FROM documents WHERE state = 'Archived' ORDER BY last_failure DESC, id DESC LIMIT $2))";
    let removed =
        tx.execute(&format!("DELETE FROM documents WHERE chunks = 0 AND {expired}"), &[&oldest, &most]).await?;
    // a document that was ingested before stays, as it then was
    let as_before = format!("UPDATE documents SET state = 'Done', attempts = 0, {NO_FAILURE} WHERE {expired}");
    let forgotten = tx.execute(&as_before, &[&oldest, &most]).await?;
    Ok(i64::try_from(removed + forgotten).unwrap_or(i64::MAX))
}
