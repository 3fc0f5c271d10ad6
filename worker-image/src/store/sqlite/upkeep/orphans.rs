//! What does not fit together in a collection in SQLite. Reads and writes the database.
//!
//! A document's chunks, their vectors and its ledger row are written in one transaction: what one view of the database
//! shows to be apart was not just being written. It is looked for without keeping anybody waiting, and each find is looked
//! at again in the transaction that mends it.

use rusqlite::{Connection, Transaction, TransactionBehavior};

use super::{
    super::{
        super::{StoreError, upkeep::Orphans},
        chunks, vectors,
    },
    room::number,
};

/// Finds that are mended in one write, so that nobody waits long.
const AT_ONCE: usize = 500;

/// Conditions, with the table of vectors that is in use.
struct Conditions {
    table: String,
    chunks: String,
    vectors: String,
    documents: String,
}

impl Conditions {
    fn of(connection: &Connection) -> rusqlite::Result<Self> {
        let table = vectors::in_use(connection)?;
        Ok(Self {
            chunks: format!(
                "NOT EXISTS (SELECT 1 FROM documents WHERE documents.id = chunks.document)
                 OR NOT EXISTS (SELECT 1 FROM {table}_rowids AS kept WHERE kept.rowid = chunks.id)"
            ),
            vectors: "NOT EXISTS (SELECT 1 FROM chunks WHERE chunks.id = kept.rowid)".to_owned(),
            // what a worker has in hand is decided by that worker
            documents: format!(
                "state <> 'InFlight' AND documents.chunks > (SELECT count(*) FROM chunks
                     JOIN {table}_rowids AS kept ON kept.rowid = chunks.id WHERE chunks.document = documents.id)"
            ),
            table,
        })
    }
}

/// Entries of the index of words without a chunk, and chunks without one.
const STRAY_WORDS: &str = "SELECT (SELECT count(*) FROM words_docsize WHERE id NOT IN (SELECT id FROM chunks))
     + (SELECT count(*) FROM chunks WHERE id NOT IN (SELECT id FROM words_docsize))";

pub(super) fn clean(connection: &mut Connection, dry_run: bool) -> Result<Orphans, StoreError> {
    if vectors::meta(connection, vectors::MODEL)?.is_none() {
        // a ledger: what it tells of lies elsewhere
        return Ok(Orphans::default());
    }
    // one view of the database
    let view = connection.transaction()?;
    let Conditions { table, chunks, vectors, documents } = Conditions::of(&view)?;
    let chunks = ids(&view, &format!("SELECT id FROM chunks WHERE {chunks}"))?;
    let vectors = ids(&view, &format!("SELECT rowid FROM {table}_rowids AS kept WHERE {vectors}"))?;
    let documents = ids(&view, &format!("SELECT id FROM documents WHERE {documents}"))?;
    let words = number(&view, STRAY_WORDS)?;
    view.commit()?;
    let count = |ids: &[i64]| i64::try_from(ids.len()).unwrap_or(i64::MAX);
    let found =
        Orphans { chunks: count(&chunks), entries: count(&vectors) + words, documents: count(&documents), rebuilds: 0 };
    if !dry_run {
        mend(connection, &chunks, remove_chunks)?;
        mend(connection, &vectors, remove_vectors)?;
        mend(connection, &documents, queue_again)?;
        if words > 0 {
            connection.execute_batch("INSERT INTO words (words) VALUES ('rebuild')")?;
        }
    }
    Ok(found)
}

fn ids(connection: &Connection, query: &str) -> rusqlite::Result<Vec<i64>> {
    connection.prepare(query)?.query_map([], |row| row.get(0))?.collect()
}

/// Mends finds, some at a time; `those` in a condition is the list of their numbers.
fn mend(
    connection: &mut Connection,
    found: &[i64],
    work: fn(&Transaction<'_>, &Conditions, those: &str) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    for some in found.chunks(AT_ONCE) {
        let those = some.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        work(&transaction, &Conditions::of(&transaction)?, &those)?;
        transaction.commit()?;
    }
    Ok(())
}

fn remove_chunks(transaction: &Transaction<'_>, conditions: &Conditions, those: &str) -> Result<(), StoreError> {
    chunks::remove_chunks(transaction, &format!("id IN ({those}) AND ({})", conditions.chunks), &[])
}

fn remove_vectors(transaction: &Transaction<'_>, conditions: &Conditions, those: &str) -> Result<(), StoreError> {
    let Conditions { table, vectors, .. } = conditions;
    let still = format!("SELECT rowid FROM {table}_rowids AS kept WHERE rowid IN ({those}) AND {vectors}");
    let still = ids(transaction, &still)?;
    Ok(vectors::remove_from(transaction, table, &still)?)
}

/// The next run finds the document changed, and ingests it.
fn queue_again(transaction: &Transaction<'_>, conditions: &Conditions, those: &str) -> Result<(), StoreError> {
    transaction.execute(
        &format!(
            "UPDATE documents SET version = NULL, revision = NULL, pipeline = NULL,
                 chunks = (SELECT count(*) FROM chunks WHERE chunks.document = documents.id)
             WHERE id IN ({those}) AND {}",
            conditions.documents
        ),
        [],
    )?;
    Ok(())
}
