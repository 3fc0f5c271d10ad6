//! The embedding cache in a SQLite file of its own, which collections and processes share. Reads and writes that file.

use std::{
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use rusqlite::{Connection, OpenFlags, OptionalExtension, TransactionBehavior, params};

use super::{
    super::{CacheKey, EmbeddingCache, StoreError, StoreFuture},
    guard,
    vectors::{bytes_of, vector_of},
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
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        guard::refuse_network_file_system(folder, path)?;
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE;
        let mut connection = Connection::open_with_flags(path, flags | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
        connection.busy_timeout(BUSY_TIMEOUT)?;
        // NORMAL: what the power takes with it is embedded again
        connection.execute_batch("PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;")?;
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let tables: i64 = transaction.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
        let application: i64 = transaction.query_row("PRAGMA application_id", [], |row| row.get(0))?;
        match (application, tables) {
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
        transaction.commit()?;
        Ok(Self { connection: Arc::new(Mutex::new(connection)), most_bytes })
    }

    fn with<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> StoreFuture<'_, T> {
        let connection = Arc::clone(&self.connection);
        Box::pin(async move {
            let working = tokio::task::spawn_blocking(move || {
                work(&mut connection.lock().unwrap_or_else(PoisonError::into_inner))
            });
            working.await.unwrap_or_else(|error| Err(StoreError::Other(error.to_string())))
        })
    }
}

impl EmbeddingCache for SqliteCache {
    fn get(&self, keys: Vec<CacheKey>) -> StoreFuture<'_, Vec<Option<Vec<f32>>>> {
        self.with(move |connection| {
            let mut statement = connection.prepare_cached("SELECT vector FROM vectors WHERE key = ?1")?;
            let vector = |key: &CacheKey| -> Result<Option<Vec<f32>>, StoreError> {
                let bytes: Option<Vec<u8>> = statement.query_row(params![key.0], |row| row.get(0)).optional()?;
                Ok(bytes.as_deref().and_then(vector_of))
            };
            keys.iter().map(vector).collect()
        })
    }

    fn put(&self, entries: Vec<(CacheKey, Vec<f32>)>) -> StoreFuture<'_, ()> {
        let most_bytes = self.most_bytes;
        self.with(move |connection| {
            let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            {
                let mut insert =
                    transaction.prepare_cached("INSERT OR IGNORE INTO vectors (key, vector) VALUES (?1, ?2)")?;
                for (key, vector) in &entries {
                    insert.execute(params![key.0, bytes_of(vector)])?;
                }
            }
            let number = |pragma: &str| transaction.query_row(pragma, [], |row| row.get::<_, i64>(0));
            let pages = number("PRAGMA page_count")? - number("PRAGMA freelist_count")?;
            if pages * number("PRAGMA page_size")? > most_bytes {
                let oldest = "DELETE FROM vectors WHERE id IN (SELECT id FROM vectors ORDER BY id LIMIT ?1)";
                transaction.execute(oldest, [EVICTED])?;
            }
            transaction.commit()?;
            Ok(())
        })
    }
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
        first.put(vec![(key(1), vec![1.0, -2.5]), (key(2), vec![0.0, 3.0])]).await.unwrap();
        second.put(vec![(key(1), vec![9.0, 9.0])]).await.unwrap();
        let found = second.get(vec![key(2), key(3), key(1)]).await.unwrap();
        assert_eq!(found, [Some(vec![0.0, 3.0]), None, Some(vec![1.0, -2.5])]);
    }

    #[tokio::test]
    async fn the_oldest_go_when_there_is_no_room() {
        let folder = tempfile::tempdir().unwrap();
        let cache = SqliteCache::with_bound(&folder.path().join("cache.db"), 1024 * 1024).unwrap();
        for batch in 0..20u32 {
            cache.put((0..1000).map(|entry| (key(batch * 1000 + entry), vec![0.5; 16])).collect()).await.unwrap();
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
