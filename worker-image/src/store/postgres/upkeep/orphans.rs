//! What does not fit together in a collection in Postgres. Reads and writes the database.
//!
//! A document's chunks and its ledger row are written in one transaction: what one view of the database shows to be apart
//! was not just being written. Whoever changes a row meanwhile ends the transaction, which is made again.

use super::super::{
    super::{StoreError, upkeep::Orphans},
    schema::{self, MODEL},
    session::Tx,
};

/// Chunks that nobody can find.
const CHUNKS: &str = "NOT EXISTS (SELECT 1 FROM documents WHERE documents.id = chunks.document) OR embedding IS NULL";
/// Documents that have lost chunks. What a worker has in hand is decided by that worker.
const DOCUMENTS: &str = "state <> 'InFlight' AND documents.chunks > (SELECT count(*) FROM chunks
     WHERE chunks.document = documents.id AND embedding IS NOT NULL)";

/// Makes a transaction see one view of the database, and lets its statements take so long.
pub(super) async fn one_view(tx: &Tx<'_>, seconds: u64) -> Result<(), StoreError> {
    tx.batch(&format!("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ; SET LOCAL statement_timeout = '{seconds}s'"))
        .await
}

pub(super) async fn clean(tx: &Tx<'_>, seconds: u64, dry_run: bool) -> Result<Orphans, StoreError> {
    one_view(tx, seconds).await?;
    if schema::meta(tx, MODEL).await?.is_none() {
        // a ledger: what it tells of lies elsewhere
        return Ok(Orphans::default());
    }
    let found = count(tx).await?;
    if !dry_run && found.total() > 0 {
        tx.batch(&format!("DELETE FROM chunks WHERE {CHUNKS}")).await?;
        // the next run finds the document changed, and ingests it
        tx.batch(&format!(
            "UPDATE documents SET version = NULL, revision = NULL, pipeline = NULL,
                 chunks = (SELECT count(*) FROM chunks WHERE chunks.document = documents.id)
             WHERE {DOCUMENTS}"
        ))
        .await?;
    }
    Ok(found)
}

/// What there is, in a collection that has vectors.
pub(super) async fn count(tx: &Tx<'_>) -> Result<Orphans, StoreError> {
    let count = format!(
        "SELECT (SELECT count(*) FROM chunks WHERE {CHUNKS}), (SELECT count(*) FROM documents WHERE {DOCUMENTS})"
    );
    let row = tx.query_one(&count, &[]).await?;
    Ok(Orphans { chunks: row.get(0), documents: row.get(1), ..Orphans::default() })
}
