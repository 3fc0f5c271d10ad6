//! Files below a directory: a mounted ConfigMap or claim, or a folder of the user's. Reads files; what may change while it
//! is worked on is copied first.
//!
//! Names are paths below the directory with `/` between their parts; bytes that are not UTF-8, and `%`, are escaped as
//! `%XX`, so that every file has a name of its own. A link is followed only as long as it stays inside the directory.

use std::{
    ffi::OsStr,
    fs::Metadata,
    io::{ErrorKind, Read},
    os::unix::{
        ffi::{OsStrExt, OsStringExt},
        fs::MetadataExt,
    },
    path::{Path, PathBuf},
};

use futures::{
    FutureExt, StreamExt,
    future::BoxFuture,
    stream::{self, BoxStream},
};
use rustix::io::Errno;
use tokio::{
    sync::mpsc,
    task::{JoinError, spawn_blocking},
};
use walkdir::WalkDir;

use super::{
    Fetched, Listed, Source, SourceError,
    names::{NameFilter, escaped, unescaped},
    take_in,
};

/// Listed documents that wait for the ledger at the most.
const LISTING_BUFFER: usize = 1024;

/// A directory, or a single file of one.
pub(super) struct Directory {
    root: PathBuf,
    /// Where listing begins: the directory itself, or the single file.
    start: PathBuf,
    filter: std::sync::Arc<NameFilter>,
}

impl Directory {
    pub(super) fn open(path: &str, filter: NameFilter) -> Result<Self, SourceError> {
        let start = Path::new(path).canonicalize().map_err(|error| match error.kind() {
            ErrorKind::NotFound => SourceError::NoDirectory { path: path.to_owned() },
            _ => unreadable(Path::new(path), &error),
        })?;
        let root = match start.parent() {
            Some(parent) if start.is_file() => parent.to_owned(),
            _ if start.is_dir() => start.clone(),
            _ => return Err(SourceError::NoDirectory { path: path.to_owned() }),
        };
        Ok(Self { root, start, filter: filter.into() })
    }
}

impl Source for Directory {
    fn list(&self) -> BoxStream<'_, Result<Listed, SourceError>> {
        let (root, start, filter) = (self.root.clone(), self.start.clone(), std::sync::Arc::clone(&self.filter));
        let (sender, receiver) = mpsc::channel(LISTING_BUFFER);
        spawn_blocking(move || {
            for entry in walk(&root, &start, &filter) {
                if sender.blocking_send(entry).is_err() {
                    return; // nobody listens any more
                }
            }
        });
        stream::unfold(receiver, |mut receiver| async { receiver.recv().await.map(|entry| (entry, receiver)) }).boxed()
    }

    fn fetch<'a>(&'a self, name: &'a str, limit: u64) -> BoxFuture<'a, Result<Fetched, SourceError>> {
        async move {
            let gone = |detail: &str| SourceError::Gone { detail: detail.to_owned() };
            if !self.filter.accepts(name) {
                return Err(gone("left out by spec.source.include or exclude"));
            }
            let path = self.root.join(path_of(name));
            let resolved = tokio::fs::canonicalize(&path).await.map_err(|error| gone_or_unreadable(&path, &error))?;
            if !resolved.starts_with(&self.root) {
                return Err(gone("it is a link that leads out of the source"));
            }
            let file = tokio::fs::File::open(&resolved).await.map_err(|error| gone_or_unreadable(&path, &error))?;
            let metadata = file.metadata().await.map_err(|error| unreadable(&path, &error))?;
            if !metadata.is_file() {
                return Err(gone("it is no file any more"));
            }
            if metadata.len() > limit {
                return Err(SourceError::TooLarge { limit });
            }
            // the file may grow while it is read
            let mut file = file.into_std().await.take(limit + 1);
            let reading = spawn_blocking(move || take_in(&mut file, |error| unreadable(&path, &error)));
            let broken =
                |error: JoinError| SourceError::Unreadable { path: name.to_owned(), problem: error.to_string() };
            let content = reading.await.map_err(broken)??;
            match content.size() > limit {
                true => Err(SourceError::TooLarge { limit }),
                false => Ok(Fetched { content, media_type: None }),
            }
        }
        .boxed()
    }
}

/// Every wanted file from `start` downwards, named as `root` sees it.
fn walk<'a>(
    root: &'a Path,
    start: &'a Path,
    filter: &'a NameFilter,
) -> impl Iterator<Item = Result<Listed, SourceError>> + 'a {
    // A ConfigMap is mounted as links to `..data/KEY`, and `..data` links to a folder `..2026_11_24…`: the links are
    // the documents, the folders are not.
    let hidden = |name: &OsStr| name.as_bytes().starts_with(b"..");
    WalkDir::new(start)
        .sort_by_file_name()
        .into_iter()
        .filter_entry(move |entry| entry.depth() == 0 || !hidden(entry.file_name()))
        .filter_map(move |entry| {
            let entry = match entry {
                Ok(entry) => entry,
                Err(error) => {
                    let path = error.path().unwrap_or(root).to_owned();
                    return Some(Err(SourceError::Unreadable {
                        path: path.display().to_string(),
                        problem: error.to_string(),
                    }));
                }
            };
            if entry.file_type().is_dir() {
                return None;
            }
            let name = name_of(entry.path().strip_prefix(root).unwrap_or(entry.path()));
            if !filter.accepts(&name) {
                return None;
            }
            // a link that leads outside, to a folder or nowhere is no document of this source
            let target = match entry.path().canonicalize() {
                Ok(target) if target.starts_with(root) => target,
                Ok(_) => return None,
                Err(error) if leads_nowhere(&error) => return None,
                Err(error) => return Some(Err(unreadable(entry.path(), &error))),
            };
            match target.metadata() {
                Ok(metadata) if metadata.is_file() => Some(Ok(Listed { name, version: Some(version_of(&metadata)) })),
                Ok(_) => None,
                Err(error) => Some(Err(unreadable(entry.path(), &error))),
            }
        })
}

/// Whether it is a link to nothing, or one to itself.
fn leads_nowhere(error: &std::io::Error) -> bool {
    error.kind() == ErrorKind::NotFound || Errno::from_io_error(error) == Some(Errno::LOOP)
}

/// Size, time and inode: a file that was replaced, even within one tick of the clock, has another one.
fn version_of(metadata: &Metadata) -> String {
    format!("{}-{}.{:09}-{}", metadata.len(), metadata.mtime(), metadata.mtime_nsec(), metadata.ino())
}

fn name_of(path: &Path) -> String {
    escaped(path.as_os_str().as_bytes())
}

fn path_of(name: &str) -> PathBuf {
    PathBuf::from(std::ffi::OsString::from_vec(unescaped(name)))
}

fn gone_or_unreadable(path: &Path, error: &std::io::Error) -> SourceError {
    // a folder on the way may have become a file
    match leads_nowhere(error) || error.kind() == ErrorKind::NotADirectory {
        true => SourceError::Gone { detail: "no such file".to_owned() },
        false => unreadable(path, error),
    }
}

fn unreadable(path: &Path, error: &std::io::Error) -> SourceError {
    SourceError::Unreadable { path: path.display().to_string(), problem: error.to_string() }
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::symlink};

    use super::*;

    fn source(root: &Path) -> Directory {
        Directory::open(root.to_str().unwrap(), NameFilter::new(&[], &[]).unwrap()).unwrap()
    }

    async fn names(source: &Directory) -> Vec<String> {
        source.list().map(|listed| listed.unwrap().name).collect().await
    }

    #[tokio::test]
    async fn every_name_leads_back_to_its_file() {
        let folder = tempfile::tempdir().unwrap();
        let files: [&[u8]; 5] =
            [b"plain.txt", b"with space.txt", b"line\nbreak.txt", b"not-utf8-\xff.txt", b"100%41.txt"];
        for file in files {
            fs::write(folder.path().join(OsStr::from_bytes(file)), file).unwrap();
        }
        fs::create_dir(folder.path().join("sub")).unwrap();
        fs::write(folder.path().join("sub/deep.txt"), "sub/deep.txt").unwrap();
        let source = source(folder.path());
        let names = names(&source).await;
        assert_eq!(names.len(), 6, "{names:?}");
        assert!(
            names.contains(&"sub/deep.txt".to_owned()) && names.contains(&"not-utf8-%FF.txt".to_owned()),
            "{names:?}"
        );
        for name in names {
            let content = source.fetch(&name, 100).await.unwrap().content;
            assert_eq!(content.in_memory().unwrap(), path_of(&name).as_os_str().as_bytes(), "{name}");
        }
    }

    #[tokio::test]
    async fn a_config_map_is_listed_once_and_links_out_of_it_are_not_followed() {
        let outside = tempfile::tempdir().unwrap();
        fs::write(outside.path().join("secret"), "secret").unwrap();
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("..2026_11_24")).unwrap();
        fs::write(folder.path().join("..2026_11_24/a.md"), "# A").unwrap();
        symlink("..2026_11_24", folder.path().join("..data")).unwrap();
        symlink("..data/a.md", folder.path().join("a.md")).unwrap();
        symlink(outside.path().join("secret"), folder.path().join("escape.txt")).unwrap();
        symlink(outside.path(), folder.path().join("escape")).unwrap();
        symlink("nothing", folder.path().join("dangling.txt")).unwrap();
        symlink("circle.txt", folder.path().join("circle.txt")).unwrap();
        let source = source(folder.path());
        assert_eq!(names(&source).await, ["a.md"]);
        assert_eq!(source.fetch("a.md", 100).await.unwrap().content.in_memory().unwrap(), b"# A");
        assert!(matches!(source.fetch("escape.txt", 100).await, Err(SourceError::Gone { .. })));
        let absolute = outside.path().join("secret");
        for name in ["../secret", "escape/secret", absolute.to_str().unwrap()] {
            assert!(matches!(source.fetch(name, 100).await, Err(SourceError::Gone { .. })), "{name}");
        }
    }

    #[tokio::test]
    async fn a_listing_that_is_not_complete_says_so() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("a.txt"), "a").unwrap();
        // the walk finds this one gone, as any folder that it may not read
        let lost = folder.path().join("lost");
        let source = Directory { root: lost.clone(), start: lost, filter: NameFilter::new(&[], &[]).unwrap().into() };
        let listed: Vec<_> = source.list().collect().await;
        assert!(matches!(listed.as_slice(), [Err(SourceError::Unreadable { .. })]), "{listed:?}");
    }

    #[tokio::test]
    async fn a_large_file_is_refused_by_its_size() {
        let folder = tempfile::tempdir().unwrap();
        let file = fs::File::create(folder.path().join("large.txt")).unwrap();
        file.set_len(200 * 1024 * 1024).unwrap();
        let error = source(folder.path()).fetch("large.txt", 64 * 1024 * 1024).await.unwrap_err();
        assert!(error.to_string().contains("more than 67108864 bytes"), "{error}");
    }

    #[tokio::test]
    async fn a_changed_file_has_another_version() {
        let folder = tempfile::tempdir().unwrap();
        let version = || async { source(folder.path()).list().next().await.unwrap().unwrap().version };
        fs::write(folder.path().join("a.txt"), "one").unwrap();
        let first = version().await;
        assert_eq!(version().await, first);
        fs::write(folder.path().join("b.txt"), "two").unwrap();
        fs::rename(folder.path().join("b.txt"), folder.path().join("a.txt")).unwrap();
        assert_ne!(version().await, first);
    }

    #[test]
    fn a_missing_directory_is_named() {
        let error = Directory::open("/does/not/exist", NameFilter::new(&[], &[]).unwrap()).err().unwrap();
        assert!(error.to_string().contains("no directory /does/not/exist"), "{error}");
    }
}
