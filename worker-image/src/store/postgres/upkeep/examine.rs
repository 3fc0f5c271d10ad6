//! A look at a collection in Postgres. Reads the database.

use super::{
    super::{
        super::{StoreError, upkeep::Examined},
        schema::{self, MODEL},
        session::Tx,
    },
    orphans,
};

pub(super) async fn examine(tx: &Tx<'_>, schema: &str, seconds: u64) -> Result<Examined, StoreError> {
    orphans::one_view(tx, seconds).await?;
    let Some(model) = schema::meta(tx, MODEL).await? else { return Ok(Examined::default()) };
    // one that is being made is not valid yet
    let invalid = "SELECT relname::text FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid
         JOIN pg_namespace ON pg_namespace.oid = relnamespace
         WHERE nspname = $1 AND NOT indisvalid
             AND NOT EXISTS (SELECT 1 FROM pg_stat_progress_create_index WHERE index_relid = indexrelid)";
    let broken = tx.query(invalid, &[&schema]).await?;
    let remedy = "is not valid; a task of type IndexOptimization, or REINDEX INDEX CONCURRENTLY, makes it anew";
    let broken = broken.iter().map(|row| format!("the index {} {remedy}", row.get::<_, &str>(0))).collect();
    let facts = "SELECT
         (SELECT atttypmod FROM pg_attribute WHERE attrelid = 'chunks'::regclass AND attname = 'embedding')::bigint,
         (SELECT count(*) FROM chunks),
         (SELECT coalesce(sum(weight), 0)::bigint FROM documents WHERE action IS NOT NULL AND action <> 'Archive'),
         (SELECT max(stored) FROM documents)";
    let facts = tx.query_one(facts, &[]).await?;
    Ok(Examined {
        model: Some(model),
        dimension: facts.get(0),
        broken,
        // the type of the column keeps others out
        misfits: 0,
        chunks: facts.get(1),
        orphans: orphans::count(tx).await?,
        dead_letters: facts.get(2),
        newest: facts.get(3),
    })
}
