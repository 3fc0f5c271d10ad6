//! Files of a git repository at one commit. A document's name is its path; its version is the object of its content, so
//! that what has not changed is neither fetched nor parsed. Sends HTTP requests, writes packs into temporary files.
//!
//! Folders come first, without files where the server can leave them out, and nothing of the past. Then each file that is
//! wanted comes by itself; once they are many, all of them come in one pack.

mod protocol;
mod server;
mod snapshot;

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use futures::{FutureExt, StreamExt, future::BoxFuture, stream::BoxStream};
use gix_hash::ObjectId;
use lexigram_api::{contract::NetworkAccess, source::GitSettings};
use rustix::fs::statvfs;
use tempfile::TempDir;
use tokio::{
    sync::{OnceCell, mpsc},
    task::spawn_blocking,
};

use super::{
    Content, Fetched, Listed, Source, SourceError,
    names::{NameFilter, escaped, unescaped},
    patience::patiently,
    received,
};
use server::{Repository, Server, setting};
use snapshot::{Snapshot, only_file};

/// Found files that wait for the ledger at the most.
const LISTING_BUFFER: usize = 1024;
/// Most bytes of a pack, however much room there is.
const PACK_BYTES: u64 = 1024 * 1024 * 1024;
/// Files that are fetched singly, before all are fetched at once.
const MOST_SINGLY: usize = 32;
/// What the beginning of a file says whose content lies elsewhere.
const LFS: &[u8] = b"version https://git-lfs.github.com/spec/v1";

/// The files of a repository.
pub(super) struct Git {
    server: Server,
    settings: GitSettings,
    filter: Arc<NameFilter>,
    commit: OnceCell<Commit>,
    /// Every file of the commit; nothing if they do not fit.
    whole: OnceCell<Option<Arc<Snapshot>>>,
    singly: AtomicUsize,
}

/// The commit that a run reads.
struct Commit {
    repository: Repository,
    id: String,
    snapshot: Arc<Snapshot>,
}

impl Git {
    pub(super) fn open(
        settings: &GitSettings,
        credentials_directory: Option<&str>,
        access: &NetworkAccess,
        filter: NameFilter,
    ) -> Result<Self, SourceError> {
        let server = Server::open(settings, credentials_directory, access)?;
        let (commit, whole, singly) = (OnceCell::new(), OnceCell::new(), AtomicUsize::new(0));
        Ok(Self { server, settings: settings.clone(), filter: filter.into(), commit, whole, singly })
    }

    /// The commit, found once a run: listing and fetching see the same one.
    async fn commit(&self) -> Result<&Commit, SourceError> {
        self.commit.get_or_try_init(|| patiently(|| self.find_commit().boxed())).await
    }

    async fn find_commit(&self) -> Result<Commit, SourceError> {
        let repository = self.server.find().await?;
        let id = self.server.resolve(&repository, &self.settings.reference).await?;
        let folders_only = repository.capabilities.filter.then_some("blob:none");
        let snapshot = self.snapshot(&repository, &id, folders_only, folders_only.is_none()).await?;
        let too_large = || {
            let problem =
                format!("the repository has more than {PACK_BYTES} bytes at this ref, or more than there is room for");
            setting("url", problem)
        };
        Ok(Commit { snapshot: Arc::new(snapshot.ok_or_else(too_large)?), repository, id })
    }

    /// The objects of a commit; nothing if they do not fit.
    async fn snapshot(
        &self,
        repository: &Repository,
        commit: &str,
        filter: Option<&str>,
        files: bool,
    ) -> Result<Option<Snapshot>, SourceError> {
        let folder = temporary_folder()?;
        let (name, commit) = ("received", commit.to_owned());
        let pack = folder.path().join(name);
        // the pack, and its copy with an index beside it
        let limit = room(&folder)?.min(PACK_BYTES) / 2;
        if !self.server.fetch(repository, &commit, true, filter, (&pack, limit)).await? {
            return Ok(None);
        }
        reading(move || Snapshot::open(folder, name, &commit, files)).await.map(Some)
    }

    /// The content of an object.
    async fn content(&self, id: ObjectId, limit: u64) -> Result<Content, SourceError> {
        let commit = self.commit().await?;
        let mut here = commit.snapshot.files.then(|| Arc::clone(&commit.snapshot));
        if here.is_none() && self.singly.fetch_add(1, Ordering::Relaxed) >= MOST_SINGLY {
            let filter = format!("blob:limit={}", limit.saturating_add(1));
            let whole = || async {
                let whole = self.snapshot(&commit.repository, &commit.id, Some(&filter), true).await?;
                Ok::<_, SourceError>(whole.map(Arc::new))
            };
            here = self.whole.get_or_try_init(whole).await?.clone();
        }
        if let Some(snapshot) = here {
            // larger ones were left out of the pack
            return reading(move || snapshot.file(&id, limit)).await?.ok_or(SourceError::TooLarge { limit });
        }
        let folder = temporary_folder()?;
        let pack = folder.path().join("received");
        let object = id.to_hex().to_string();
        // what cannot be compressed grows a little
        let most = limit.saturating_add(limit / 100).saturating_add(64 * 1024);
        match self.server.fetch(&commit.repository, &object, false, None, (&pack, most)).await? {
            true => reading(move || only_file(&pack, &id, limit)).await,
            false => Err(SourceError::TooLarge { limit }),
        }
    }
}

impl Source for Git {
    fn list(&self) -> BoxStream<'_, Result<Listed, SourceError>> {
        let walk = async {
            let (sender, receiver) = mpsc::channel(LISTING_BUFFER);
            match self.commit().await {
                Err(error) => {
                    let _room_for_one = sender.try_send(Err(error));
                }
                Ok(commit) => {
                    let (snapshot, path) = (Arc::clone(&commit.snapshot), self.settings.path.clone());
                    let filter = Arc::clone(&self.filter);
                    spawn_blocking(move || {
                        let mut found = |entry: snapshot::Entry| {
                            let name = escaped(&entry.path);
                            let version = Some(entry.object.to_hex().to_string());
                            !filter.accepts(&name) || sender.blocking_send(Ok(Listed { name, version })).is_ok()
                        };
                        if let Err(error) = snapshot.walk(&path, &mut found) {
                            let _nobody_listens = sender.blocking_send(Err(error));
                        }
                    });
                }
            }
            received(receiver)
        };
        walk.flatten_stream().boxed()
    }

    fn fetch<'a>(&'a self, name: &'a str, limit: u64) -> BoxFuture<'a, Result<Fetched, SourceError>> {
        async move {
            let gone = |detail: &str| SourceError::Gone { detail: detail.to_owned() };
            let path = unescaped(name);
            let folder = self.settings.path.trim_matches('/').as_bytes();
            let below =
                path.strip_prefix(folder).is_some_and(|rest| folder.is_empty() || rest.is_empty() || rest[0] == b'/');
            if !below || !self.filter.accepts(name) {
                return Err(gone("left out by spec.source.git.path, spec.source.include or exclude"));
            }
            let object = self.commit().await?.snapshot.object_at(&path)?;
            let content = self.content(object.ok_or_else(|| gone("the commit has no such file"))?, limit).await?;
            // a pointer is small
            match content.in_memory().is_some_and(|content| content.starts_with(LFS)) {
                true => Err(SourceError::Rejected {
                    answer: "with a pointer: the file lies in Git LFS, which is not read".to_owned(),
                }),
                false => Ok(Fetched { content, media_type: None }),
            }
        }
        .boxed()
    }
}

/// Reads a pack where that holds up nobody.
async fn reading<T: Send + 'static>(
    read: impl FnOnce() -> Result<T, SourceError> + Send + 'static,
) -> Result<T, SourceError> {
    let broken = |error| SourceError::Connection(format!("a pack broke its reader: {error}"));
    spawn_blocking(read).await.map_err(broken)?
}

fn temporary_folder() -> Result<TempDir, SourceError> {
    tempfile::Builder::new().prefix("lexigram-git-").tempdir().map_err(SourceError::scratch)
}

/// Bytes that may be written, a tenth left to others.
fn room(folder: &TempDir) -> Result<u64, SourceError> {
    let stats = statvfs(folder.path()).map_err(|error| SourceError::scratch(error.into()))?;
    let free = stats.f_bavail.saturating_mul(stats.f_frsize);
    Ok(free - free / 10)
}
