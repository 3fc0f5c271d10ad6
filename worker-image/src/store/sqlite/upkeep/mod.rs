//! Maintenance of a folder of SQLite files. Reads and writes the files.

mod cache;
mod examine;
mod files;
mod optimize;
mod orphans;
mod room;
mod stop;

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use jiff::Timestamp;
use lexigram_api::{failure::ArchivePolicy, maintenance::IndexOptimization};
use rusqlite::{Connection, OpenFlags};
use tokio_util::sync::CancellationToken;

use super::{
    super::{
        StoreError, StoreFuture,
        upkeep::{CacheBounds, CacheCleaned, Examined, Held, Limits, Optimized, Orphans, Upkeep},
    },
    chunks,
    guard::{self, ScopeLock},
    open, rebuild, schema, vectors,
};
use stop::within;

/// How long a short write of maintenance waits for a run that writes.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// A folder of SQLite files.
pub struct SqliteUpkeep {
    directory: PathBuf,
    cache: PathBuf,
    limits: Limits,
}

impl SqliteUpkeep {
    /// The folder, and the file of the embedding cache.
    #[must_use]
    pub fn new(directory: &str, cache: &str, limits: Limits) -> Self {
        Self { directory: directory.into(), cache: cache.into(), limits }
    }

    fn path_of(&self, collection: &str) -> PathBuf {
        self.directory.join(format!("{collection}.db"))
    }

    /// Works with a file on a thread that may block, until the task is over.
    fn with<T: Send + 'static>(
        &self,
        path: PathBuf,
        open: fn(&Path) -> Result<Connection, StoreError>,
        work: impl FnOnce(&mut Connection, &Path, &CancellationToken) -> Result<T, StoreError> + Send + 'static,
    ) -> StoreFuture<'_, T> {
        let Limits { stop, timeout } = self.limits.clone();
        self.blocking(move || {
            let mut connection = open(&path)?;
            let done = within(&mut connection, &stop, timeout, |connection| work(connection, &path, &stop))?;
            done.ok_or_else(|| StoreError::Other("the task was over before its work".to_owned()))
        })
    }

    fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
    ) -> StoreFuture<'_, T> {
        Box::pin(async move {
            let working = tokio::task::spawn_blocking(work);
            working.await.unwrap_or_else(|error| Err(StoreError::Other(error.to_string())))
        })
    }
}

/// Opens a collection that is there.
fn open_collection(path: &Path) -> Result<Connection, StoreError> {
    if !path.exists() {
        return Err(StoreError::NotFound { path: path.display().to_string() });
    }
    let mut connection = open(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    schema::migrate(&mut connection, &path.display().to_string())?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    Ok(connection)
}

impl Upkeep for SqliteUpkeep {
    fn hold(&self) -> StoreFuture<'_, Option<Held>> {
        Box::pin(async move {
            if !self.directory.exists() {
                // an empty store needs no work that could be in the way
                return Ok(Some(Box::new(()) as Held));
            }
            let path = self.directory.join("_maintenance");
            guard::refuse_network_file_system(&self.directory, &path)?;
            match ScopeLock::take(&path, "the maintenance of the store", Duration::ZERO).await {
                Ok(lock) => Ok(Some(Box::new(lock) as Held)),
                Err(StoreError::Locked { .. }) => Ok(None),
                Err(error) => Err(error),
            }
        })
    }

    fn collections(&self) -> StoreFuture<'_, Vec<String>> {
        let directory = self.directory.clone();
        self.blocking(move || files::collections(&directory))
    }

    fn optimize<'a>(&'a self, collection: &'a str, settings: &'a IndexOptimization) -> StoreFuture<'a, Optimized> {
        let settings = settings.clone();
        self.with(self.path_of(collection), open_collection, move |connection, path, stop| {
            optimize::optimize(connection, path, &settings, stop)
        })
    }

    fn prune_archive<'a>(&'a self, collection: &'a str, policy: &'a ArchivePolicy) -> StoreFuture<'a, i64> {
        let policy = policy.clone();
        self.with(self.path_of(collection), open_collection, move |connection, _, _| {
            chunks::prune_archive(connection, &policy, Timestamp::now())
        })
    }

    fn clean_orphans<'a>(&'a self, collection: &'a str, dry_run: bool) -> StoreFuture<'a, Orphans> {
        let path = self.path_of(collection);
        Box::pin(async move {
            // nobody goes on with a rebuild whose lock is free
            let lock = match ScopeLock::take(&path, rebuild::SCOPE, Duration::ZERO).await {
                Ok(lock) => Some(lock),
                Err(StoreError::Locked { .. }) => None,
                Err(error) => return Err(error),
            };
            self.with(path, open_collection, move |connection, _, _| {
                let rebuilds = match lock {
                    Some(_held) => i64::from(rebuild::give_up(connection, dry_run)?),
                    None => 0,
                };
                Ok(Orphans { rebuilds, ..orphans::clean(connection, dry_run)? })
            })
            .await
        })
    }

    fn examine<'a>(&'a self, collection: &'a str) -> StoreFuture<'a, Examined> {
        self.with(self.path_of(collection), open_collection, |connection, _, _| examine::examine(connection))
    }

    fn models<'a>(&'a self, collection: &'a str) -> StoreFuture<'a, Vec<String>> {
        self.with(self.path_of(collection), open_collection, |connection, _, _| {
            let models = [vectors::meta(connection, vectors::MODEL)?, vectors::meta(connection, vectors::NEXT_MODEL)?];
            Ok(models.into_iter().flatten().collect())
        })
    }

    fn clean_cache<'a>(&'a self, bounds: &'a CacheBounds) -> StoreFuture<'a, CacheCleaned> {
        if !self.cache.exists() {
            return Box::pin(async { Ok(CacheCleaned::default()) });
        }
        let bounds = bounds.clone();
        self.with(self.cache.clone(), super::cache::connect, move |connection, path, stop| {
            cache::clean(connection, path, &bounds, stop)
        })
    }

    fn remove_temporary(&self) -> StoreFuture<'_, i64> {
        let directory = self.directory.clone();
        self.blocking(move || files::remove_locks(&directory))
    }

    fn free_percent(&self) -> StoreFuture<'_, Option<i64>> {
        let directory = self.directory.clone();
        self.blocking(move || match fs::exists(&directory) {
            Ok(true) => files::free_percent(&directory).map(Some),
            _ => Ok(None),
        })
    }
}
