//! The folder of a store: its collections, its locks, its volume. Reads and writes the file system.

use std::{
    fs::{self, File, OpenOptions},
    io::ErrorKind,
    path::Path,
};

use lexigram_api::contract::BATCH_LEDGER;
use rustix::fs::{FlockOperation, flock, statvfs};

use super::super::super::StoreError;

fn unavailable(path: &Path, error: &dyn std::fmt::Display) -> StoreError {
    StoreError::Unavailable(format!("{}: {error}", path.display()))
}

/// Names of the files in a folder; none if there is no folder.
fn names(directory: &Path) -> Result<Vec<String>, StoreError> {
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(unavailable(directory, &error)),
    };
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry.map_err(|error| unavailable(directory, &error))?;
        // another name is none that a worker has given
        names.extend(entry.file_name().into_string());
    }
    names.sort();
    Ok(names)
}

/// The collections, and the ledger of batches. Other files whose name begins so are no collections.
pub(super) fn collections(directory: &Path) -> Result<Vec<String>, StoreError> {
    let mut collections = names(directory)?;
    collections.retain_mut(|name| match name.strip_suffix(".db") {
        Some(collection) if !collection.starts_with('_') || collection == BATCH_LEDGER => {
            name.truncate(collection.len());
            true
        }
        _ => false,
    });
    Ok(collections)
}

/// Removes the lock files that nobody holds, and returns how many. Whoever opens one meanwhile makes it again, see
/// [`ScopeLock`](super::super::guard::ScopeLock).
pub(super) fn remove_locks(directory: &Path) -> Result<i64, StoreError> {
    let mut removed = 0;
    for name in names(directory)?.iter().filter(|name| name.ends_with(".lock")) {
        let path = directory.join(name);
        match OpenOptions::new().write(true).open(&path) {
            Ok(file) if is_free(&file) => {
                // held until it is gone
                fs::remove_file(&path).map_err(|error| unavailable(&path, &error))?;
                removed += 1;
            }
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(unavailable(&path, &error)),
        }
    }
    Ok(removed)
}

fn is_free(lock: &File) -> bool {
    flock(lock, FlockOperation::NonBlockingLockExclusive).is_ok()
}

/// Free space of the volume that a folder lies on, in percent.
pub(super) fn free_percent(directory: &Path) -> Result<i64, StoreError> {
    let volume = statvfs(directory).map_err(|error| unavailable(directory, &error))?;
    let free = u128::from(volume.f_bavail) * 100 / u128::from(volume.f_blocks.max(1));
    Ok(i64::try_from(free).unwrap_or(100))
}

/// Bytes that a SQLite file takes, with what was written and is not in it yet.
pub(super) fn bytes(path: &Path) -> i64 {
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    let size = |path: &Path| fs::metadata(path).map_or(0, |file| file.len());
    i64::try_from(size(path) + size(Path::new(&log))).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{super::super::guard::ScopeLock, *};

    #[test]
    fn collections_are_told_from_other_files() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["docs.db", "a.b.db", "_batches.db", "_embedding-cache.db", "docs.db-wal", "docs.db.0a.lock", "x"] {
            fs::write(folder.path().join(name), "").unwrap();
        }
        assert_eq!(collections(folder.path()).unwrap(), ["_batches", "a.b", "docs"]);
        assert_eq!(collections(&folder.path().join("missing")).unwrap(), [""; 0]);
    }

    #[tokio::test]
    async fn only_locks_that_nobody_holds_are_removed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("docs.db");
        let held = ScopeLock::take(&path, "configMap/a", Duration::ZERO).await.unwrap();
        drop(ScopeLock::take(&path, "configMap/b", Duration::ZERO).await.unwrap());
        assert_eq!(remove_locks(folder.path()).unwrap(), 1);
        assert!(ScopeLock::take(&path, "configMap/a", Duration::ZERO).await.is_err());
        drop(held);
        assert_eq!(remove_locks(folder.path()).unwrap(), 1);
        assert_eq!(names(folder.path()).unwrap(), [""; 0]);
    }
}
