//! Tables of the SQLite store and their versions. Reads and writes the database.

use rusqlite::{Connection, OptionalExtension, params};

use super::super::StoreError;

/// Statements that lead from each version to the next; the number of applied ones is `PRAGMA user_version`.
const MIGRATIONS: [&str; 1] = ["
    CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;

    CREATE TABLE runs (
        scope TEXT NOT NULL,
        run TEXT NOT NULL,
        listed INTEGER NOT NULL DEFAULT 0,      -- 1: the whole source is in the ledger
        deleted INTEGER NOT NULL DEFAULT 0,     -- documents that the run removed
        PRIMARY KEY (scope, run)
    ) STRICT;

    -- the ledger: one row a document; times are milliseconds since 1970
    CREATE TABLE documents (
        id INTEGER PRIMARY KEY,
        scope TEXT NOT NULL,
        name TEXT NOT NULL,
        state TEXT NOT NULL,
        listed_version TEXT,                    -- what the source last said of its version
        version TEXT,                           -- that of the stored chunks
        revision TEXT,                          -- of the stored chunks: content hash and pipeline
        pipeline TEXT,                          -- of the stored chunks
        chunks INTEGER NOT NULL DEFAULT 0,
        run TEXT NOT NULL,                      -- the last run that the document took part in
        outcome TEXT,                           -- of that run; NULL: not decided
        run_chunks INTEGER NOT NULL DEFAULT 0,  -- what that run wrote
        run_tokens INTEGER NOT NULL DEFAULT 0,
        run_bytes INTEGER NOT NULL DEFAULT 0,
        attempts INTEGER NOT NULL DEFAULT 0,
        stage TEXT,
        category TEXT,
        reason TEXT,
        message TEXT,
        action TEXT,
        first_failure INTEGER,
        last_failure INTEGER,
        next_attempt INTEGER,
        UNIQUE (scope, name)
    ) STRICT;
    CREATE INDEX documents_by_run ON documents (scope, run, outcome, state);
    CREATE INDEX documents_by_retry ON documents (scope, next_attempt) WHERE next_attempt IS NOT NULL;
    CREATE INDEX documents_archived ON documents (last_failure) WHERE state = 'Archived';

    CREATE TABLE chunks (
        id INTEGER PRIMARY KEY,                 -- also the rowid in the table of vectors
        uuid TEXT NOT NULL UNIQUE,
        document INTEGER NOT NULL REFERENCES documents (id),
        revision TEXT NOT NULL,
        ordinal INTEGER NOT NULL,
        text TEXT NOT NULL,
        headings TEXT NOT NULL,                 -- JSON list
        page INTEGER,
        byte_start INTEGER NOT NULL,
        byte_end INTEGER NOT NULL,
        tokens INTEGER NOT NULL
    ) STRICT;
    CREATE INDEX chunks_by_document ON chunks (document);
"];

/// Brings the tables to the newest version.
pub(super) fn migrate(connection: &mut Connection, path: &str) -> Result<(), StoreError> {
    let known = i64::try_from(MIGRATIONS.len()).unwrap_or(i64::MAX);
    // the write lock first: two workers that open a new store at once must not both make its tables
    let transaction = connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
    let found: i64 = transaction.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    if found > known {
        return Err(StoreError::SchemaTooNew { path: path.to_owned(), found, known });
    }
    for migration in MIGRATIONS.iter().skip(usize::try_from(found).unwrap_or(0)) {
        transaction.execute_batch(migration)?;
    }
    transaction.pragma_update(None, "user_version", known)?;
    transaction.commit()?;
    Ok(())
}

/// Makes the table of vectors on first use; afterwards the model must be the same.
pub(super) fn ensure_collection(
    connection: &mut Connection,
    collection: &str,
    model: &str,
    dimension: usize,
) -> Result<(), StoreError> {
    let transaction = connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
    match stored_model(&transaction)? {
        Some(stored) if stored == model => {}
        Some(stored) => {
            return Err(StoreError::ModelMismatch {
                collection: collection.to_owned(),
                stored,
                requested: model.to_owned(),
            });
        }
        None => {
            transaction.execute_batch(&format!(
                "CREATE VIRTUAL TABLE vectors USING vec0 (embedding float[{dimension}] distance_metric=cosine)"
            ))?;
            transaction.execute("INSERT INTO meta (key, value) VALUES ('model', ?1)", params![model])?;
        }
    }
    transaction.commit()?;
    Ok(())
}

/// Fingerprint of the model that the collection is filled with.
pub(super) fn stored_model(connection: &Connection) -> rusqlite::Result<Option<String>> {
    connection.query_row("SELECT value FROM meta WHERE key = 'model'", [], |row| row.get(0)).optional()
}
