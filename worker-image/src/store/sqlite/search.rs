//! Searches in SQLite: by vector, and by words. Reads the database.

use rusqlite::{Connection, Row, params};
use uuid::Uuid;

use super::{
    super::{Hit, StoreError},
    vectors,
};

/// Columns of a hit, in the order that [`hit`] reads.
const HIT: &str = "chunks.uuid, documents.scope, coalesce(chunks.key, documents.name), chunks.ordinal, chunks.headings,
     chunks.page, chunks.text, chunks.metadata";

pub(super) fn by_vector(connection: &mut Connection, vector: &[f32], limit: usize) -> Result<Vec<Hit>, StoreError> {
    // one view of the store: a rebuild that ends meanwhile changes nothing in it
    let transaction = connection.transaction()?;
    vectors::check_model(&transaction)?;
    let mut statement = transaction.prepare_cached(&format!(
        "WITH nearest AS (SELECT rowid, distance FROM {} WHERE embedding MATCH ?1 AND k = ?2)
         SELECT {HIT}, 1.0 - nearest.distance
         FROM nearest JOIN chunks ON chunks.id = nearest.rowid JOIN documents ON documents.id = chunks.document
         ORDER BY nearest.distance, chunks.id",
        vectors::in_use(&transaction)?
    ))?;
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let hits = statement.query_map(params![vectors::bytes_of(vector), limit], hit)?;
    Ok(hits.collect::<Result<_, _>>()?)
}

/// The chunks that hold most of the words, rare ones first (BM25, which is the less the better).
pub(super) fn by_words(connection: &mut Connection, words: &[String], limit: usize) -> Result<Vec<Hit>, StoreError> {
    let query = words.iter().map(|word| format!("\"{word}\"")).collect::<Vec<_>>().join(" OR ");
    if query.is_empty() {
        return Ok(Vec::new());
    }
    let mut statement = connection.prepare_cached(&format!(
        "SELECT {HIT}, -bm25(words) FROM words JOIN chunks ON chunks.id = words.rowid
             JOIN documents ON documents.id = chunks.document
         WHERE words MATCH ?1 ORDER BY bm25(words), chunks.id LIMIT ?2"
    ))?;
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let hits = statement.query_map(params![query, limit], hit)?;
    Ok(hits.collect::<Result<_, _>>()?)
}

fn hit(row: &Row<'_>) -> rusqlite::Result<Hit> {
    let (id, headings): (String, String) = (row.get(0)?, row.get(4)?);
    Ok(Hit {
        id: Uuid::parse_str(&id).unwrap_or_default(),
        score: row.get(8)?,
        scope: row.get(1)?,
        document: row.get(2)?,
        ordinal: row.get(3)?,
        headings: serde_json::from_str(&headings).unwrap_or_default(),
        page: row.get(5)?,
        text: row.get(6)?,
        metadata: row.get::<_, Option<String>>(7)?.and_then(|json| serde_json::from_str(&json).ok()),
    })
}
