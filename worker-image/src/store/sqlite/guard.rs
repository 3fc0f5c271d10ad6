//! What must hold before the file is touched: a local file system, and nobody else on the same source. Reads the
//! file system's type; takes file locks.

use std::{
    fs::{self, File, Metadata, OpenOptions},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    time::Duration,
};

use rustix::fs::{FlockOperation, flock, statfs};
use sha2::{Digest, Sha256};

use super::super::StoreError;

/// Magic numbers of network file systems, see statfs(2) and linux/magic.h.
const NETWORK_FILE_SYSTEMS: [(i64, &str); 8] = [
    (0x6969, "NFS"),
    (0x517b, "SMB"),
    (0xff53_4d42, "CIFS"),
    (0xfe53_4d42, "SMB2"),
    (0x0102_1997, "9p"),
    (0x00c3_6400, "Ceph"),
    (0x6573_5546, "FUSE"),
    (0x7461_636f, "OCFS2"),
];

/// How often a lock that somebody else holds is tried for.
const LOCK_INTERVAL: Duration = Duration::from_millis(200);

/// Refuses a folder on a network file system: SQLite's locks and its WAL need shared memory of one kernel
/// (<https://sqlite.org/wal.html>).
pub(super) fn refuse_network_file_system(folder: &Path, path: &Path) -> Result<(), StoreError> {
    let stats = statfs(folder).map_err(|error| StoreError::Unavailable(format!("{}: {error}", folder.display())))?;
    // the field's type differs between platforms
    #[allow(clippy::useless_conversion, clippy::unnecessary_cast)]
    let magic = stats.f_type as i64;
    match NETWORK_FILE_SYSTEMS.iter().find(|(number, _)| *number == magic) {
        Some((_, kind)) => Err(StoreError::NetworkFileSystem { path: path.display().to_string(), kind }),
        None => Ok(()),
    }
}

/// Held while a run has a source in hand: two runs must not write the same documents. Ends with the process.
#[derive(Debug)]
pub(super) struct ScopeLock {
    _file: File,
}

impl ScopeLock {
    /// Takes the lock of `scope` in the store at `path`, waiting up to `patience` for whoever holds it.
    ///
    /// # Errors
    /// [`StoreError::Locked`] if it stays held; [`StoreError::Unavailable`] if the lock file cannot be made.
    pub(super) async fn take(path: &Path, scope: &str, patience: Duration) -> Result<Self, StoreError> {
        let lock_path = lock_path(path, scope);
        let unavailable =
            |error: &dyn std::fmt::Display| StoreError::Unavailable(format!("{}: {error}", lock_path.display()));
        let deadline = tokio::time::Instant::now() + patience;
        loop {
            let file = OpenOptions::new()
                .create(true)
                .truncate(false)
                .write(true)
                .open(&lock_path)
                .map_err(|error| unavailable(&error))?;
            match flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) if is_there(&file, &lock_path) => return Ok(Self { _file: file }),
                // maintenance has removed the file between the two steps: whoever comes next makes another one
                Ok(()) => {}
                Err(rustix::io::Errno::WOULDBLOCK) if tokio::time::Instant::now() < deadline => {
                    tokio::time::sleep(LOCK_INTERVAL).await;
                }
                Err(rustix::io::Errno::WOULDBLOCK) => {
                    return Err(StoreError::Locked {
                        path: path.display().to_string(),
                        scope: scope.to_owned(),
                        waited_seconds: patience.as_secs(),
                    });
                }
                Err(error) => return Err(unavailable(&error)),
            }
        }
    }
}

/// Whether the path still leads to the file.
fn is_there(file: &File, path: &Path) -> bool {
    let same = |file: &Metadata, at_path: &Metadata| (file.dev(), file.ino()) == (at_path.dev(), at_path.ino());
    matches!((&file.metadata(), &fs::metadata(path)), (Ok(file), Ok(at_path)) if same(file, at_path))
}

/// `docs.db` and a hash of the scope: `docs.db.3f2a90c1.lock`.
fn lock_path(path: &Path, scope: &str) -> PathBuf {
    let short: String = Sha256::digest(scope).iter().take(4).map(|byte| format!("{byte:02x}")).collect();
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{short}.lock"));
    PathBuf::from(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn one_run_a_source_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("docs.db");
        let held = ScopeLock::take(&path, "configMap/a", Duration::ZERO).await.unwrap();
        let refused = ScopeLock::take(&path, "configMap/a", Duration::ZERO).await.unwrap_err();
        assert!(refused.to_string().contains("another run is writing configMap/a"), "{refused}");
        ScopeLock::take(&path, "configMap/b", Duration::ZERO).await.unwrap();
        drop(held);
        ScopeLock::take(&path, "configMap/a", Duration::ZERO).await.unwrap();
    }

    #[test]
    fn a_local_folder_is_accepted_and_a_missing_one_named() {
        let folder = tempfile::tempdir().unwrap();
        refuse_network_file_system(folder.path(), &folder.path().join("docs.db")).unwrap();
        let missing = folder.path().join("missing");
        let error = refuse_network_file_system(&missing, &missing.join("docs.db")).unwrap_err();
        assert!(error.to_string().contains("missing"), "{error}");
    }
}
