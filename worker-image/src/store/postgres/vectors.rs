//! The vectors in use: of which model they are, and their index. Reads and writes the database.

use tokio_postgres::Client;

use super::{
    super::{RunKey, StoreError},
    lock, schema,
    session::{Database, Tx},
};

/// Chunks from which on an index is faster than looking at all of them. A smaller collection is searched exactly.
pub(super) const INDEXED_FROM: i64 = 10_000;
/// Most numbers in a vector that pgvector indexes as it is.
const MOST_INDEXED_DIMENSIONS: i32 = 2000;

/// Lets nobody put other vectors in the place of those in use until the transaction ends, and refuses to go on if that
/// has happened since the store was opened for `model`: no search and no write mixes vectors of two models.
pub(super) async fn keep_model(tx: &Tx<'_>, schema_name: &str, model: Option<&str>) -> Result<(), StoreError> {
    tx.execute("SELECT pg_advisory_xact_lock_shared($1)", &[&key(schema_name)]).await?;
    match (schema::meta(tx, schema::MODEL).await?, model) {
        (Some(stored), Some(requested)) if stored != requested => {
            Err(StoreError::ModelReplaced { stored, requested: requested.to_owned() })
        }
        _ => Ok(()),
    }
}

/// Waits for every transaction that keeps the model, and lets none begin until this one ends.
pub(super) async fn change_model(tx: &Tx<'_>, schema: &str) -> Result<(), StoreError> {
    tx.execute("SELECT pg_advisory_xact_lock($1)", &[&key(schema)]).await?;
    Ok(())
}

fn key(schema: &str) -> i64 {
    lock::key(&[schema, "model"]).into()
}

/// Makes the index once a run has loaded a collection that is large enough for one; of several shards the last one does.
pub(super) async fn index_after(database: &Database, run: &RunKey) -> Result<(), StoreError> {
    let client = database.connect().await?;
    client.batch_execute("SET statement_timeout = 0").await?;
    let loading = "SELECT EXISTS (SELECT 1 FROM documents WHERE scope = $1 AND run = $2 AND outcome IS NULL)";
    if client.query_one(loading, &[&run.scope, &run.run]).await?.get(0) {
        return Ok(());
    }
    index_on(&client, database, "embedding").await
}

/// Makes the index of a column of vectors where it is missing, while others read and write. One that was begun by a
/// process that died is of no use, and made again.
pub(super) async fn index(database: &Database, column: &str) -> Result<(), StoreError> {
    let client = database.connect().await?;
    client.batch_execute("SET statement_timeout = 0").await?;
    index_on(&client, database, column).await
}

/// As [`index`], on a connection whose statements may take as long as that takes.
pub(super) async fn index_on(client: &Client, database: &Database, column: &str) -> Result<(), StoreError> {
    let facts = client
        .query_opt(
            "SELECT atttypmod, (SELECT count(*) FROM (SELECT 1 FROM chunks LIMIT $3) AS counted),
                 (SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass(format('%I.%I', $1::text, $4::text)))
             FROM pg_attribute WHERE attrelid = to_regclass(format('%I.chunks', $1::text)) AND attname = $2",
            &[&database.schema, &column, &INDEXED_FROM, &name(column)],
        )
        .await?;
    let Some(facts) = facts else { return Ok(()) };
    let (dimension, chunks, valid): (i32, i64, Option<bool>) = (facts.get(0), facts.get(1), facts.get(2));
    if valid == Some(true) || chunks < INDEXED_FROM || dimension > MOST_INDEXED_DIMENSIONS {
        return Ok(());
    }
    let mine = i64::from(lock::key(&[&database.schema, "index"]));
    if !client.query_one("SELECT pg_try_advisory_lock($1)", &[&mine]).await?.get::<_, bool>(0) {
        return Ok(());
    }
    let index = name(column);
    client.batch_execute(&format!("DROP INDEX IF EXISTS \"{}\".{index}", database.schema)).await?;
    let make = format!("CREATE INDEX CONCURRENTLY {index} ON chunks USING hnsw ({column} vector_cosine_ops)");
    Ok(client.batch_execute(&make).await?)
}

/// The name of a column's index.
pub(super) fn name(column: &str) -> String {
    format!("chunks_by_{column}")
}
