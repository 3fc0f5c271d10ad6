//! The embedding cache in a SQLite file of its own, which collections and processes share. Reads and writes that file.

use std::{
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};

use jiff::Timestamp;
use rusqlite::{Connection, OpenFlags, OptionalExtension, TransactionBehavior, params};

use super::{
    super::{
        CacheKey, EmbeddingCache, StoreError, StoreFuture,
        cache::{USE_NOTED_EVERY, model_number},
    },
    folder_of, guard, make_room_returnable,
    vectors::{bytes_of, vector_of},
    with,
};

/// `PRAGMA application_id` of a cache: "lxgc".
const APPLICATION_ID: i64 = 0x6c78_6763;
/// How long a statement waits for another process. Short: a cache that is slower than the model is of no use.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// Bytes that a cache takes at the most.
const MOST_BYTES: i64 = 2 * 1024 * 1024 * 1024;
/// Entries that go at once when there are too many: little more than one write can bring.
const EVICTED: i64 = 2048;

/// A cache in one SQLite file.
pub struct SqliteCache {
    connection: Arc<Mutex<Connection>>,
    most_bytes: i64,
}

impl SqliteCache {
    /// Opens the file, making it where it is missing.
    ///
    /// # Errors
    /// If the file cannot be used, is something else, or lies on a network file system.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        Self::with_bound(path, MOST_BYTES)
    }

    fn with_bound(path: &Path, most_bytes: i64) -> Result<Self, StoreError> {
        Ok(Self { connection: Arc::new(Mutex::new(connect(path)?)), most_bytes })
    }
}

/// Opens the file and makes its table, or brings that of an older version to the newest.
pub(super) fn connect(path: &Path) -> Result<Connection, StoreError> {
    guard::refuse_network_file_system(folder_of(path), path)?;
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE;
    let mut connection = Connection::open_with_flags(path, flags | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    make_room_returnable(&connection)?;
    // NORMAL: what the power takes with it is embedded again
    connection.execute_batch("PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;")?;
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let number = |query: &str| transaction.query_row(query, [], |row| row.get::<_, i64>(0));
    match (number("PRAGMA application_id")?, number("SELECT count(*) FROM sqlite_schema")?) {
        (APPLICATION_ID, _) => {}
        (_, 0) => {
            transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
            transaction.execute_batch(
                "CREATE TABLE vectors (
                     id INTEGER PRIMARY KEY,        -- grows with time: the lowest are the oldest
                     key BLOB NOT NULL UNIQUE,
                     vector BLOB NOT NULL           -- little-endian 32-bit floats
                 ) STRICT",
            )?;
        }
        _ => {
            let problem = "it is a SQLite file, but of another program".to_owned();
            return Err(StoreError::NotAStore { path: path.display().to_string(), problem });
        }
    }
    if number("PRAGMA user_version")? == 0 {
        // when the vectors of an older version were used is not known: they count as used now
        transaction.execute_batch(&format!(
            "ALTER TABLE vectors ADD COLUMN model INTEGER;                  -- whose vector it is, if that is known
             ALTER TABLE vectors ADD COLUMN used INTEGER NOT NULL DEFAULT {}; -- seconds since 1970, up to a day too few
             CREATE INDEX vectors_by_use ON vectors (used, model);
             PRAGMA user_version = 1",
            Timestamp::now().as_second()
        ))?;
    }
    transaction.commit()?;
    Ok(connection)
}

impl EmbeddingCache for SqliteCache {
    fn get(&self, keys: Vec<CacheKey>) -> StoreFuture<'_, Vec<Option<Vec<f32>>>> {
        with(&self.connection, move |connection| get(connection, &keys))
    }

    fn put<'a>(&'a self, model: &'a str, entries: Vec<(CacheKey, Vec<f32>)>) -> StoreFuture<'a, ()> {
        let (model, most_bytes) = (model_number(model), self.most_bytes);
        with(&self.connection, move |connection| put(connection, model, &entries, most_bytes))
    }
}

fn get(connection: &mut Connection, keys: &[CacheKey]) -> Result<Vec<Option<Vec<f32>>>, StoreError> {
    let now = Timestamp::now().as_second();
    let (mut found, mut stale) = (Vec::new(), Vec::new());
    {
        let mut statement = connection.prepare_cached("SELECT vector, used, id FROM vectors WHERE key = ?1")?;
        for key in keys {
            let row = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?));
            let row: Option<(Vec<u8>, i64, i64)> = statement.query_row(params![key.0], row).optional()?;
            found.push(row.as_ref().and_then(|(bytes, ..)| vector_of(bytes)));
            stale.extend(row.filter(|(_, used, _)| *used < now - USE_NOTED_EVERY).map(|(.., id)| id));
        }
    }
    if !stale.is_empty()
        && let Err(error) = note_use(connection, &stale, now)
    {
        // what was found is right all the same
        tracing::debug!("the use of cached vectors is not noted: {error}");
    }
    Ok(found)
}

fn note_use(connection: &mut Connection, ids: &[i64], now: i64) -> rusqlite::Result<()> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    {
        let mut note = transaction.prepare_cached("UPDATE vectors SET used = ?2 WHERE id = ?1")?;
        for id in ids {
            note.execute(params![id, now])?;
        }
    }
    transaction.commit()
}

fn put(
    connection: &mut Connection,
    model: i64,
    entries: &[(CacheKey, Vec<f32>)],
    most_bytes: i64,
) -> Result<(), StoreError> {
    let now = Timestamp::now().as_second();
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    {
        let insert = "INSERT OR IGNORE INTO vectors (key, vector, model, used) VALUES (?1, ?2, ?3, ?4)";
        let mut insert = transaction.prepare_cached(insert)?;
        for (key, vector) in entries {
            insert.execute(params![key.0, bytes_of(vector), model, now])?;
        }
    }
    let number = |pragma: &str| transaction.query_row(pragma, [], |row| row.get::<_, i64>(0));
    let pages = number("PRAGMA page_count")? - number("PRAGMA freelist_count")?;
    if pages * number("PRAGMA page_size")? > most_bytes {
        let unused = "DELETE FROM vectors WHERE id IN (SELECT id FROM vectors ORDER BY used, model, id LIMIT ?1)";
        transaction.execute(unused, [EVICTED])?;
    }
    transaction.commit()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(number: u32) -> CacheKey {
        CacheKey::new("model@1", false, &number.to_string())
    }

    #[tokio::test]
    async fn what_was_put_is_found_by_every_process() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("cache.db");
        let (first, second) = (SqliteCache::open(&path).unwrap(), SqliteCache::open(&path).unwrap());
        first.put("model@1", vec![(key(1), vec![1.0, -2.5]), (key(2), vec![0.0, 3.0])]).await.unwrap();
        second.put("model@1", vec![(key(1), vec![9.0, 9.0])]).await.unwrap();
        let found = second.get(vec![key(2), key(3), key(1)]).await.unwrap();
        assert_eq!(found, [Some(vec![0.0, 3.0]), None, Some(vec![1.0, -2.5])]);
    }

    #[tokio::test]
    async fn the_oldest_go_when_there_is_no_room() {
        let folder = tempfile::tempdir().unwrap();
        let cache = SqliteCache::with_bound(&folder.path().join("cache.db"), 1024 * 1024).unwrap();
        for batch in 0..20u32 {
            cache
                .put("model@1", (0..1000).map(|entry| (key(batch * 1000 + entry), vec![0.5; 16])).collect())
                .await
                .unwrap();
        }
        assert_eq!(cache.get(vec![key(0), key(19_999)]).await.unwrap(), [None, Some(vec![0.5; 16])]);
        let size = std::fs::metadata(folder.path().join("cache.db")).unwrap().len();
        assert!(size < 2 * 1024 * 1024, "{size} bytes");
    }

    #[test]
    fn another_file_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("cache.db");
        Connection::open(&path).unwrap().execute_batch("CREATE TABLE theirs (id INTEGER)").unwrap();
        assert!(matches!(SqliteCache::open(&path), Err(StoreError::NotAStore { .. })));
    }
}
