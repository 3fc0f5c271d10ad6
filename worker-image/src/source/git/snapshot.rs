//! The objects of one commit, in a pack on disk. Reads and writes files below a temporary folder.

use std::{
    fmt::Display,
    fs::File,
    io::{self, BufReader, Read},
    path::Path,
    sync::atomic::AtomicBool,
};

use flate2::read::ZlibDecoder;
use gix_hash::{Kind as HashKind, ObjectId};
use gix_object::{CommitRefIter, Kind, TreeRefIter, tree::EntryKind};
use gix_pack::{Bundle, bundle::write::Options};
use tempfile::TempDir;

use super::server::setting;
use crate::source::{Content, SourceError, take_in};

/// Most bytes of one object that is unpacked as a whole: trees, and files of a whole pack.
const MOST_OBJECT_BYTES: usize = 1024 * 1024 * 1024;
/// Folders in folders.
const MOST_DEPTH: usize = 256;

/// The objects of a commit.
pub(super) struct Snapshot {
    bundle: Bundle,
    tree: ObjectId,
    /// Whether files are there too, and not only folders.
    pub(super) files: bool,
    _folder: TempDir,
}

/// A file of a commit.
pub(super) struct Entry {
    /// Its path from the root, as bytes.
    pub(super) path: Vec<u8>,
    /// Its content's name.
    pub(super) object: ObjectId,
}

impl Snapshot {
    /// Takes a pack apart, which lies in `folder` under that name, and checks every object in it.
    pub(super) fn open(folder: TempDir, pack: &str, commit: &str, files: bool) -> Result<Self, SourceError> {
        let damaged = |error: &dyn Display| SourceError::Connection(format!("the pack is damaged: {error}"));
        let path = folder.path().join(pack);
        let mut input = BufReader::new(File::open(&path).map_err(|error| damaged(&error))?);
        let options =
            Options { thread_limit: Some(1), alloc_limit_bytes: Some(MOST_OBJECT_BYTES), ..Options::default() };
        let outcome = Bundle::write_to_directory(
            &mut input,
            Some(folder.path()),
            &mut gix_utils::progress::Discard,
            &AtomicBool::new(false),
            None::<gix_object::find::Never>,
            HashKind::Sha1,
            options,
        );
        let index = outcome.map_err(|error| damaged(&error))?.index_path;
        let index = index.ok_or_else(|| damaged(&"it is empty"))?;
        let bundle = Bundle::at(&index, HashKind::Sha1).map_err(|error| damaged(&error))?;
        let commit = ObjectId::from_hex(commit.as_bytes()).map_err(|error| damaged(&error))?;
        let mut snapshot = Self { bundle, tree: commit, files, _folder: folder };
        let content = snapshot.object(&commit)?.ok_or_else(|| damaged(&"the commit is not in it"))?;
        snapshot.tree = match content {
            (Kind::Commit, data) => {
                CommitRefIter::from_bytes(&data, HashKind::Sha1).tree_id().map_err(|error| damaged(&error))?
            }
            (Kind::Tree, _) => commit,
            _ => return Err(setting("ref", "it is neither a commit nor a tag of one".to_owned())),
        };
        // the copy that came over the network is no longer needed; failing to remove it only costs room
        let _kept = std::fs::remove_file(path);
        Ok(snapshot)
    }

    fn object(&self, id: &ObjectId) -> Result<Option<(Kind, Vec<u8>)>, SourceError> {
        let mut data = Vec::new();
        let (mut inflate, mut cache) = (gix_zlib::Inflate::default(), gix_pack::cache::Never);
        let found = self.bundle.find(id, &mut data, &mut inflate, &mut cache);
        let found = found.map_err(|error| SourceError::Connection(format!("the pack is damaged: {error}")))?;
        let kind = found.map(|(object, _)| object.kind);
        Ok(kind.map(|kind| (kind, data)))
    }

    /// The content of a file, if it is here and has no more than `limit` bytes. It is in memory as a whole for a moment,
    /// since a pack may hold it as a change to another one.
    pub(super) fn file(&self, id: &ObjectId, limit: u64) -> Result<Option<Content>, SourceError> {
        let Some((_, data)) = self.object(id)? else { return Ok(None) };
        match u64::try_from(data.len()).unwrap_or(u64::MAX) > limit {
            true => Ok(None),
            false => take_in(&mut data.as_slice(), SourceError::scratch).map(Some),
        }
    }

    /// Entries of a folder, in git's order: name, kind, object.
    fn folder(&self, id: &ObjectId) -> Result<Vec<(Vec<u8>, EntryKind, ObjectId)>, SourceError> {
        let damaged = |problem: String| SourceError::Connection(format!("the pack is damaged: {problem}"));
        let Some((Kind::Tree, data)) = self.object(id)? else { return Err(damaged(format!("no folder {id}"))) };
        let mut entries = Vec::new();
        for entry in TreeRefIter::from_bytes(&data, HashKind::Sha1) {
            let entry = entry.map_err(|error| damaged(error.to_string()))?;
            entries.push((entry.filename.to_vec(), entry.mode.kind(), entry.oid.to_owned()));
        }
        Ok(entries)
    }

    /// What stands at a path; nothing if there is nothing.
    fn at(&self, path: &[u8]) -> Result<Option<(EntryKind, ObjectId)>, SourceError> {
        let mut here = (EntryKind::Tree, self.tree);
        for part in path.split(|byte| *byte == b'/').filter(|part| !part.is_empty()) {
            if here.0 != EntryKind::Tree {
                return Ok(None);
            }
            match self.folder(&here.1)?.into_iter().find(|(name, ..)| name == part) {
                Some((_, kind, object)) => here = (kind, object),
                None => return Ok(None),
            }
        }
        Ok(Some(here))
    }

    /// The object of a file; nothing for whatever else, or nothing, is there.
    pub(super) fn object_at(&self, path: &[u8]) -> Result<Option<ObjectId>, SourceError> {
        Ok(self.at(path)?.filter(|(kind, _)| is_file(*kind)).map(|(_, object)| object))
    }

    /// Tells `found` of every file at or below a path, until it wants no more. Links and submodules are no files.
    pub(super) fn walk(&self, path: &str, found: &mut dyn FnMut(Entry) -> bool) -> Result<(), SourceError> {
        let path = path.trim_matches('/');
        let start = match self.at(path.as_bytes())? {
            Some((kind, object)) if is_file(kind) => {
                found(Entry { path: path.as_bytes().to_vec(), object });
                return Ok(());
            }
            Some((EntryKind::Tree, object)) => object,
            _ => return Err(setting("path", format!("the repository has no folder or file '{path}' at this ref"))),
        };
        let mut waiting = vec![(path.as_bytes().to_vec(), 0, start)];
        while let Some((parent, depth, folder)) = waiting.pop() {
            if depth > MOST_DEPTH {
                return Err(setting("path", format!("more than {MOST_DEPTH} folders stand in each other")));
            }
            for (name, kind, object) in self.folder(&folder)? {
                let path = if parent.is_empty() { name } else { [parent.as_slice(), b"/", &name].concat() };
                match kind {
                    EntryKind::Tree => waiting.push((path, depth + 1, object)),
                    kind if is_file(kind) && !found(Entry { path, object }) => return Ok(()),
                    _ => {}
                }
            }
        }
        Ok(())
    }
}

fn is_file(kind: EntryKind) -> bool {
    matches!(kind, EntryKind::Blob | EntryKind::BlobExecutable)
}

/// The file in a pack that has just this one, which is no delta then; of `limit` bytes at the most.
pub(super) fn only_file(pack: &Path, id: &ObjectId, limit: u64) -> Result<Content, SourceError> {
    let damaged = |problem: &dyn Display| SourceError::Connection(format!("the pack is damaged: {problem}"));
    let mut pack = BufReader::new(File::open(pack).map_err(|error| damaged(&error))?);
    let mut head = [0; 12];
    pack.read_exact(&mut head).map_err(|error| damaged(&error))?;
    if !(head.starts_with(b"PACK") && head.ends_with(&[0, 0, 0, 1])) {
        return Err(damaged(&"it should have one object"));
    }
    let mut next = || {
        let mut byte = [0];
        pack.read_exact(&mut byte).map(|()| byte[0]).map_err(|error| damaged(&error))
    };
    // type and size: a bit that says whether more follows, three of the type, then the size from its low end
    let first = next()?;
    let (kind, mut more) = ((first >> 4) & 7, first & 0x80 != 0);
    let (mut shift, mut size) = (4, u64::from(first & 0x0f));
    while more {
        let byte = next()?;
        if shift > 56 {
            return Err(damaged(&"the size of its object is too large"));
        }
        size |= u64::from(byte & 0x7f) << shift;
        (shift, more) = (shift + 7, byte & 0x80 != 0);
    }
    if kind != 3 {
        return Err(damaged(&"its object is no file"));
    }
    if size > limit {
        return Err(SourceError::TooLarge { limit });
    }
    let mut hasher = gix_hash::hasher(HashKind::Sha1);
    hasher.update(&gix_object::encode::loose_header(Kind::Blob, size));
    let mut file = Hashed { inner: ZlibDecoder::new(pack).take(size + 1), hasher };
    let content = take_in(&mut file, |error| damaged(&error))?;
    match file.hasher.try_finalize().map_err(|error| damaged(&error))? == *id {
        true => Ok(content),
        false => Err(damaged(&"its object is another one")),
    }
}

/// A reader whose bytes are hashed as they are read.
struct Hashed<R> {
    inner: R,
    hasher: gix_hash::Hasher,
}

impl<R: Read> Read for Hashed<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.hasher.update(buffer.get(..read).unwrap_or_default());
        Ok(read)
    }
}
