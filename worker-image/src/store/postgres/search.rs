//! Searches in Postgres: by vector, and by words. Reads the database.

use pgvector::Vector;
use tokio_postgres::Row;

use super::{
    super::{Hit, StoreError},
    session::Tx,
};

/// Columns of a hit, in the order that [`hit`] reads.
const HIT: &str = "chunks.uuid, documents.scope, coalesce(chunks.key, documents.name), chunks.ordinal, chunks.headings,
     chunks.page, chunks.text, chunks.metadata::text";

/// The chunks nearest to a vector. Where there is an index it may miss some, the less the more it looks at.
pub(super) async fn by_vector(tx: &Tx<'_>, vector: &[f32], limit: usize) -> Result<Vec<Hit>, StoreError> {
    let looked_at = (4 * limit).clamp(100, 1000);
    tx.batch(&format!("SET LOCAL hnsw.ef_search = {looked_at}")).await?;
    let sql = format!(
        "WITH nearest AS MATERIALIZED
             (SELECT id, embedding <=> $1 AS distance FROM chunks ORDER BY embedding <=> $1 LIMIT $2)
         SELECT {HIT}, 1 - distance FROM nearest JOIN chunks USING (id)
             JOIN documents ON documents.id = chunks.document
         ORDER BY distance, chunks.id"
    );
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    Ok(tx.query(&sql, &[&Vector::from(vector.to_vec()), &limit]).await?.iter().map(hit).collect())
}

/// The chunks that hold most of the words, rare and close ones first.
pub(super) async fn by_words(tx: &Tx<'_>, words: &[String], limit: usize) -> Result<Vec<Hit>, StoreError> {
    let query = words.iter().map(|word| format!("'{word}'")).collect::<Vec<_>>().join(" | ");
    let sql = format!(
        "SELECT {HIT}, ts_rank_cd(words, query)::float8 AS score
         FROM to_tsquery('simple', $1) AS query JOIN chunks ON words @@ query
             JOIN documents ON documents.id = chunks.document
         ORDER BY score DESC, chunks.id LIMIT $2"
    );
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    Ok(tx.query(&sql, &[&query, &limit]).await?.iter().map(hit).collect())
}

fn hit(row: &Row) -> Hit {
    Hit {
        id: row.get(0),
        score: row.get(8),
        scope: row.get(1),
        document: row.get(2),
        ordinal: i32::try_from(row.get::<_, i64>(3)).unwrap_or(i32::MAX),
        headings: row.get(4),
        page: row.get(5),
        text: row.get(6),
        metadata: row.get::<_, Option<&str>>(7).and_then(|json| serde_json::from_str(json).ok()),
    }
}
