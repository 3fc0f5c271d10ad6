//! Tables of the Postgres store and their versions: one schema a collection. Reads and writes the database.

use sha2::{Digest, Sha256};
use tokio_postgres::Transaction;

use super::{
    super::{Collection, StoreError},
    lock,
    session::{Database, Tx},
};

/// Longest name that Postgres keeps, in bytes.
const MOST_NAME_BYTES: usize = 63;

/// Keys of `meta`.
pub(super) const MODEL: &str = "model";
pub(super) const NEXT_MODEL: &str = "next_model";
pub(super) const COLLECTION: &str = "collection";
const META: &str = "SELECT value FROM meta WHERE key = $1";

/// Statements that lead from each version to the next; the number of applied ones is in `migrations`.
const MIGRATIONS: [&str; 2] = ["
    CREATE TABLE meta (key text PRIMARY KEY, value text NOT NULL);

    CREATE TABLE runs (
        scope text NOT NULL,
        run text NOT NULL,
        shard integer NOT NULL,
        listed boolean NOT NULL DEFAULT false,      -- the whole source is in the ledger
        deleted integer NOT NULL DEFAULT 0,         -- documents that the shard removed
        begun timestamptz NOT NULL DEFAULT clock_timestamp(),
        PRIMARY KEY (scope, run, shard)
    );

    -- the ledger: one row a document
    CREATE TABLE documents (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        scope text COLLATE \"C\" NOT NULL,
        name text COLLATE \"C\" NOT NULL,
        bucket integer NOT NULL,                    -- hash of the name: which shard the row belongs to
        state text NOT NULL,
        listed_version text,                        -- what the source last said of its version
        version text,                               -- that of the stored chunks
        revision text,                              -- of the stored chunks: content hash and pipeline
        pipeline text,                              -- of the stored chunks
        about text,                                 -- of the stored chunks: what the parser says of the document, JSON
        chunks bigint NOT NULL DEFAULT 0,
        weight bigint NOT NULL DEFAULT 1,           -- texts that the row stands for: a range of a batch is many, less its failed ones
        first_row bigint NOT NULL DEFAULT 0,        -- of a range or text: rows of the input before it
        place text,                                 -- of a range or text: where the input holds it, JSON
        part_of bigint,                             -- of a text that failed: its range
        run text NOT NULL,                          -- the last run that the document took part in
        outcome text,                               -- of that run; NULL: not decided
        run_chunks bigint NOT NULL DEFAULT 0,       -- what that run wrote
        run_tokens bigint NOT NULL DEFAULT 0,
        run_bytes bigint NOT NULL DEFAULT 0,
        run_cached bigint NOT NULL DEFAULT 0,       -- vectors that came out of the cache
        attempts integer NOT NULL DEFAULT 0,
        suspect boolean NOT NULL DEFAULT false,     -- a worker died while it had the document in hand
        stage text,                                 -- from here on: the last failure, NULL if there is none
        category text,
        reason text,
        message text,
        action text,
        first_failure timestamptz,
        last_failure timestamptz,
        next_attempt timestamptz,
        UNIQUE (scope, name)
    );
    CREATE INDEX documents_by_run ON documents (scope, run);
    CREATE INDEX documents_waiting ON documents (scope, run, suspect, first_failure NULLS FIRST, first_row, id)
        WHERE outcome IS NULL;
    CREATE INDEX documents_in_flight ON documents (scope, id) WHERE state = 'InFlight';
    CREATE INDEX documents_by_range ON documents (part_of) WHERE part_of IS NOT NULL;
    CREATE INDEX documents_archived ON documents (last_failure, id) WHERE state = 'Archived';
    CREATE INDEX documents_by_failure ON documents (scope, last_failure, id) WHERE action IS NOT NULL;

    CREATE TABLE chunks (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        uuid uuid NOT NULL UNIQUE,
        document bigint NOT NULL REFERENCES documents (id) ON DELETE CASCADE,
        revision text NOT NULL,
        ordinal bigint NOT NULL,
        text text NOT NULL,
        headings text[] NOT NULL,
        page integer,
        byte_start bigint NOT NULL,
        byte_end bigint NOT NULL,
        tokens bigint NOT NULL,
        key text,                                   -- of a text of a batch: its id
        metadata json,                              -- of a text of a batch: an object
        -- what a search by words looks at; longer ones cannot be indexed whole. Without the signs of ASCII, since the
        -- parser would keep host names, file names and addresses in one piece
        words tsvector NOT NULL GENERATED ALWAYS AS
            (to_tsvector('simple', regexp_replace(left(text, 200000), '[!-/:-@[-`{-~]+', ' ', 'g'))) STORED
    );
    CREATE INDEX chunks_by_document ON chunks (document);
    CREATE INDEX chunks_by_words ON chunks USING gin (words);
", "
    -- when it was stored last, or found unchanged; what is there counts from now
    ALTER TABLE documents ADD COLUMN stored timestamptz DEFAULT now();
    ALTER TABLE documents ALTER COLUMN stored DROP DEFAULT;
"];

/// The schema of a collection. Names that are too long are cut, and told apart by a hash.
pub(super) fn schema_name(prefix: &str, collection: &str) -> String {
    let whole = format!("{prefix}{collection}");
    if whole.len() <= MOST_NAME_BYTES {
        return whole;
    }
    let hash: String = Sha256::digest(&whole).iter().take(5).map(|byte| format!("{byte:02x}")).collect();
    // both parts of the name are ASCII
    format!("{}-{hash}", whole.chars().take(MOST_NAME_BYTES - 11).collect::<String>())
}

/// Makes the schema and its tables where they are missing, and brings those of an older version to the newest. Many
/// processes may do so at once.
pub(super) async fn migrate(database: &Database) -> Result<(), StoreError> {
    let mut client = database.connect().await?;
    let transaction = client.transaction().await?;
    let known = i32::try_from(MIGRATIONS.len()).unwrap_or(i32::MAX);
    gate(&transaction, &database.schema).await?;
    create_schema(&transaction, &database.schema).await?;
    let versions = "CREATE TABLE migrations (version integer PRIMARY KEY,
        applied timestamptz NOT NULL DEFAULT clock_timestamp())";
    if !has_tables(&transaction, &database.schema).await? {
        transaction.batch_execute(versions).await?;
    }
    let found: i32 = transaction.query_one("SELECT coalesce(max(version), 0) FROM migrations", &[]).await?.get(0);
    if found > known {
        return Err(StoreError::SchemaTooNew { path: database.name(), found: found.into(), known: known.into() });
    }
    for (version, migration) in (1..).zip(MIGRATIONS).skip(usize::try_from(found).unwrap_or(0)) {
        transaction.batch_execute(migration).await?;
        transaction.execute("INSERT INTO migrations (version) VALUES ($1)", &[&version]).await?;
    }
    // the name of a schema may be cut
    let name = "INSERT INTO meta (key, value) VALUES ($1, $2)
         ON CONFLICT (key) DO UPDATE SET value = excluded.value WHERE meta.value <> excluded.value";
    transaction.execute(name, &[&COLLECTION, &database.collection]).await?;
    Ok(transaction.commit().await?)
}

/// Lets one process at a time change the tables of a schema.
pub(super) async fn gate(transaction: &Transaction<'_>, schema: &str) -> Result<(), StoreError> {
    transaction.execute("SELECT pg_advisory_xact_lock($1)", &[&i64::from(lock::key(&[schema]))]).await?;
    Ok(())
}

/// Makes a schema where it is missing: only that needs the right to.
pub(super) async fn create_schema(transaction: &Transaction<'_>, schema: &str) -> Result<(), StoreError> {
    let there = "SELECT EXISTS (SELECT 1 FROM pg_namespace WHERE nspname = $1)";
    if !transaction.query_one(there, &[&schema]).await?.get::<_, bool>(0) {
        transaction.batch_execute(&format!("CREATE SCHEMA \"{schema}\"")).await?;
    }
    Ok(())
}

/// Whether the schema is one of ours. Another one on the search path may have a table of that name too.
async fn has_tables(transaction: &Transaction<'_>, schema: &str) -> Result<bool, StoreError> {
    let table = "SELECT to_regclass(format('%I.migrations', $1::text)) IS NOT NULL";
    Ok(transaction.query_one(table, &[&schema]).await?.get(0))
}

/// Refuses a database that holds no such collection.
pub(super) async fn check(database: &Database) -> Result<(), StoreError> {
    let mut client = database.connect().await?;
    let there = has_tables(&client.transaction().await?, &database.schema).await?;
    if there { migrate(database).await } else { Err(StoreError::CollectionNotFound { store: database.name() }) }
}

/// Makes room for vectors on first use; afterwards the model must be the same.
pub(super) async fn ensure_collection(database: &Database, collection: &Collection<'_>) -> Result<(), StoreError> {
    let mut client = database.connect().await?;
    let transaction = client.transaction().await?;
    gate(&transaction, &database.schema).await?;
    match read_meta(&transaction, MODEL).await? {
        Some(stored) if stored == collection.model => {}
        Some(stored) => {
            return Err(StoreError::ModelMismatch {
                collection: collection.name.to_owned(),
                stored,
                requested: collection.model.to_owned(),
            });
        }
        None => {
            let vector = create_extension(&transaction).await?;
            let dimension = collection.dimension;
            let add = format!("ALTER TABLE chunks ADD COLUMN embedding {vector}.vector({dimension})");
            transaction.batch_execute(&add).await?;
            let note = "INSERT INTO meta (key, value) VALUES ($1, $2)";
            transaction.execute(note, &[&MODEL, &collection.model]).await?;
        }
    }
    Ok(transaction.commit().await?)
}

/// Makes the extension where it is missing, and returns its schema, quoted. Two collections may be made at once.
async fn create_extension(transaction: &Transaction<'_>) -> Result<String, StoreError> {
    let schema = "SELECT quote_ident(nspname) FROM pg_extension JOIN pg_namespace ON pg_namespace.oid = extnamespace
        WHERE extname = 'vector'";
    gate(transaction, "the extension vector").await?;
    if let Some(row) = transaction.query_opt(schema, &[]).await? {
        return Ok(row.get(0));
    }
    transaction.batch_execute("CREATE EXTENSION vector SCHEMA public").await.map_err(
        |error| match StoreError::from(error) {
            StoreError::Unavailable(problem) => StoreError::Unavailable(problem),
            other => StoreError::VectorMissing(other.to_string()),
        },
    )?;
    Ok("public".to_owned())
}

/// What `meta` has under a key, for a transaction that changes the schema.
pub(super) async fn read_meta(transaction: &Transaction<'_>, key: &str) -> Result<Option<String>, StoreError> {
    Ok(transaction.query_opt(META, &[&key]).await?.map(|row| row.get(0)))
}

/// What `meta` has under a key.
pub(super) async fn meta(tx: &Tx<'_>, key: &str) -> Result<Option<String>, StoreError> {
    Ok(tx.query_opt(META, &[&key]).await?.map(|row| row.get(0)))
}

#[cfg(test)]
mod tests {
    use super::schema_name;

    #[test]
    fn long_names_are_cut_and_still_differ() {
        assert_eq!(schema_name("lexigram_", "docs.v2"), "lexigram_docs.v2");
        let (one, other) = (schema_name("lexigram_", &"a".repeat(100)), schema_name("lexigram_", &"a".repeat(101)));
        assert_eq!((one.len(), other.len()), (63, 63));
        assert_ne!(one, other);
    }
}
