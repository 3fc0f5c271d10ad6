//! Tables of the SQLite store and their versions. Reads and writes the database.

use rusqlite::{Connection, TransactionBehavior};

use super::{
    super::{Collection, StoreError},
    vectors,
};

/// `PRAGMA application_id` of a store: "lxgm". It tells a store from any other SQLite file.
const APPLICATION_ID: i64 = 0x6c78_676d;

/// Statements that lead from each version to the next; the number of applied ones is `PRAGMA user_version`.
const MIGRATIONS: [&str; 4] = ["
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
        weight INTEGER NOT NULL DEFAULT 1,      -- texts that the row stands for: a range of a batch is many, less its failed ones
        first_row INTEGER NOT NULL DEFAULT 0,   -- of a range or text: rows of the input before it
        place TEXT,                             -- of a range or text: where the input holds it, JSON
        part_of INTEGER,                        -- of a text that failed: its range
        run TEXT NOT NULL,                      -- the last run that the document took part in
        outcome TEXT,                           -- of that run; NULL: not decided
        run_chunks INTEGER NOT NULL DEFAULT 0,  -- what that run wrote
        run_tokens INTEGER NOT NULL DEFAULT 0,
        run_bytes INTEGER NOT NULL DEFAULT 0,
        run_cached INTEGER NOT NULL DEFAULT 0,  -- vectors that came out of the cache
        attempts INTEGER NOT NULL DEFAULT 0,
        suspect INTEGER NOT NULL DEFAULT 0,     -- 1: a worker died while it had the document in hand
        stage TEXT,                             -- from here on: the last failure, NULL if there is none
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
    CREATE INDEX documents_by_range ON documents (part_of) WHERE part_of IS NOT NULL;
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
        tokens INTEGER NOT NULL,
        key TEXT,                               -- of a text of a batch: its id
        metadata TEXT                           -- of a text of a batch: JSON object
    ) STRICT;
    CREATE INDEX chunks_by_document ON chunks (document);
", "
    -- what a run has yet to do, in the order in which it does it
    CREATE INDEX documents_waiting ON documents (scope, run, suspect, first_failure, first_row) WHERE outcome IS NULL;
    -- dead letters: a row has an action from its failure until it is mended
    CREATE INDEX documents_by_action ON documents (scope, action, category, weight, first_failure)
        WHERE action IS NOT NULL;
    CREATE INDEX documents_by_failure ON documents (scope, last_failure) WHERE action IS NOT NULL;
    ALTER TABLE documents ADD COLUMN about TEXT; -- of the stored chunks: what the parser says of the document, JSON
", "
    -- what a search by words looks at: the texts of the chunks, which stay in their own table
    CREATE VIRTUAL TABLE words USING fts5 (text, content = 'chunks', content_rowid = 'id', tokenize = 'unicode61 remove_diacritics 0');
    INSERT INTO words (words) VALUES ('rebuild');
    CREATE TRIGGER words_added AFTER INSERT ON chunks BEGIN
        INSERT INTO words (rowid, text) VALUES (new.id, new.text);
    END;
    CREATE TRIGGER words_removed AFTER DELETE ON chunks BEGIN
        INSERT INTO words (words, rowid, text) VALUES ('delete', old.id, old.text);
    END;
", "
    ALTER TABLE documents ADD COLUMN stored INTEGER; -- when it was stored last, or found unchanged
    UPDATE documents SET stored = unixepoch() * 1000 WHERE state = 'Done';
"];

/// The time as it stands in the ledger.
pub(super) const NOW: &str = "(unixepoch() * 1000)";

/// Refuses a file that is no store, or one that has not been filled yet.
pub(super) fn check(connection: &Connection, path: &str) -> Result<(), StoreError> {
    let not_a_store = |problem: &str| StoreError::NotAStore { path: path.to_owned(), problem: problem.to_owned() };
    if number(connection, "PRAGMA application_id")? != APPLICATION_ID {
        return Err(not_a_store("it is a SQLite file, but of another program"));
    }
    // the ledger of a batch that writes files has runs, and no model
    match stored_model(connection)?.is_some() || number(connection, "SELECT count(*) FROM runs")? > 0 {
        true => Ok(()),
        false => Err(not_a_store("nothing has been ingested into it")),
    }
}

/// Makes the tables in an empty file, and brings those of an older version to the newest.
pub(super) fn migrate(connection: &mut Connection, path: &str) -> Result<(), StoreError> {
    let known = i64::try_from(MIGRATIONS.len()).unwrap_or(i64::MAX);
    if number(connection, "PRAGMA application_id")? == APPLICATION_ID
        && number(connection, "PRAGMA user_version")? == known
    {
        // nothing to do, and nobody to wait for
        return Ok(());
    }
    // the write lock first: two workers that open a new store at once must not both make its tables
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let foreign = number(&transaction, "PRAGMA application_id")? != APPLICATION_ID
        && number(&transaction, "SELECT count(*) FROM sqlite_schema")? > 0;
    if foreign {
        let problem = "it is a SQLite file, but of another program".to_owned();
        return Err(StoreError::NotAStore { path: path.to_owned(), problem });
    }
    let found = number(&transaction, "PRAGMA user_version")?;
    if found > known {
        return Err(StoreError::SchemaTooNew { path: path.to_owned(), found, known });
    }
    transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
    for migration in MIGRATIONS.iter().skip(usize::try_from(found).unwrap_or(0)) {
        transaction.execute_batch(migration)?;
    }
    transaction.pragma_update(None, "user_version", known)?;
    transaction.commit()?;
    Ok(())
}

/// Makes the table of vectors on first use; afterwards the model must be the same.
pub(super) fn ensure_collection(connection: &mut Connection, collection: &Collection<'_>) -> Result<(), StoreError> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    vectors::ensure(&transaction, collection)?;
    transaction.commit()?;
    Ok(vectors::note_model(connection, collection.model)?)
}

/// Fingerprint of the model that the collection is filled with.
pub(super) fn stored_model(connection: &Connection) -> rusqlite::Result<Option<String>> {
    vectors::meta(connection, vectors::MODEL)
}

fn number(connection: &Connection, query: &str) -> rusqlite::Result<i64> {
    connection.query_row(query, [], |row| row.get(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_of_the_first_version_keeps_its_rows() {
        let mut connection = Connection::open_in_memory().unwrap();
        connection.pragma_update(None, "application_id", APPLICATION_ID).unwrap();
        connection.execute_batch(MIGRATIONS[0]).unwrap();
        connection.pragma_update(None, "user_version", 1).unwrap();
        let row = "INSERT INTO documents (scope, name, state, run) VALUES ('s', 'a.md', 'Done', 'r')";
        connection.execute(row, []).unwrap();
        migrate(&mut connection, "a.db").unwrap();
        let about = |row: &rusqlite::Row<'_>| Ok((row.get::<_, String>(0)?, row.get::<_, Option<String>>(1)?));
        let rows = connection.query_row("SELECT name, about FROM documents", [], about).unwrap();
        assert_eq!(rows, ("a.md".to_owned(), None));
    }
}
