//! A document's bytes on their way from its source to its parser: a small document in memory, a larger one in a temporary
//! file, so that memory does not grow with the size of documents. Writes and reads temporary files.
//!
//! Such a file has no name: it goes with whoever holds it, however the process ends.

use std::io::{self, Write};

use sha2::{Digest, Sha256};
use tempfile::{SpooledData, SpooledTempFile, spooled_tempfile};
use tokio::{
    fs::File,
    io::{AsyncSeekExt, AsyncWrite, AsyncWriteExt, BufReader, copy_buf},
};

/// Most bytes of a document that stays in memory.
const IN_MEMORY: usize = 256 * 1024;
/// Bytes of a file that are read at once.
const PART: usize = 64 * 1024;

/// The bytes of a document, and their hash.
#[derive(Debug)]
pub struct Content {
    bytes: SpooledData,
    size: u64,
    hash: [u8; 32],
}

impl Content {
    /// How many bytes they are.
    #[must_use]
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// Their SHA-256.
    #[must_use]
    pub const fn hash(&self) -> &[u8; 32] {
        &self.hash
    }

    /// The bytes themselves, where they are few enough to be in memory.
    #[must_use]
    pub fn in_memory(&self) -> Option<&[u8]> {
        match &self.bytes {
            SpooledData::InMemory(bytes) => Some(bytes.get_ref()),
            SpooledData::OnDisk(_) => None,
        }
    }

    /// Sends all of them, part by part.
    pub(crate) async fn send(&self, to: &mut (impl AsyncWrite + Unpin)) -> io::Result<()> {
        match &self.bytes {
            SpooledData::InMemory(bytes) => to.write_all(bytes.get_ref()).await,
            SpooledData::OnDisk(file) => {
                let mut file = File::from_std(file.try_clone()?);
                file.rewind().await?;
                copy_buf(&mut BufReader::with_capacity(PART, file), to).await.map(drop)
            }
        }
    }
}

impl From<Vec<u8>> for Content {
    /// Bytes that are in memory anyhow, and stay there.
    fn from(bytes: Vec<u8>) -> Self {
        let size = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        Self { hash: Sha256::digest(&bytes).into(), bytes: SpooledData::InMemory(io::Cursor::new(bytes)), size }
    }
}

/// Takes the bytes of a document part by part. An error is one of the temporary file.
#[derive(Debug)]
pub(crate) struct ContentWriter {
    bytes: SpooledTempFile,
    size: u64,
    hash: Sha256,
}

impl ContentWriter {
    /// Before the first byte.
    pub(crate) fn new() -> Self {
        Self { bytes: spooled_tempfile(IN_MEMORY), size: 0, hash: Sha256::new() }
    }

    /// After the last one.
    pub(crate) fn finish(self) -> Content {
        let Self { bytes, size, hash } = self;
        Content { bytes: bytes.into_inner(), size, hash: hash.finalize().into() }
    }
}

impl Write for ContentWriter {
    fn write(&mut self, part: &[u8]) -> io::Result<usize> {
        let written = self.bytes.write(part)?;
        self.hash.update(part.get(..written).unwrap_or_default());
        self.size += u64::try_from(written).unwrap_or(u64::MAX);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.bytes.flush()
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::nothing(0, true)]
    #[case::small(IN_MEMORY, true)]
    #[case::large(IN_MEMORY + 1, false)]
    #[case::many_parts(10 * IN_MEMORY, false)]
    #[tokio::test]
    async fn what_was_written_is_sent_wherever_it_is(#[case] size: usize, #[case] in_memory: bool) {
        let bytes: Vec<u8> = (0..size).map(|number| (number % 251) as u8).collect();
        let mut writer = ContentWriter::new();
        bytes.chunks(1000).for_each(|part| writer.write_all(part).unwrap());
        let content = writer.finish();
        assert_eq!((content.size(), content.in_memory().is_some()), (size as u64, in_memory));
        assert_eq!(content.hash()[..], Sha256::digest(&bytes)[..]);
        // twice: sending takes nothing away
        for _ in 0..2 {
            let mut sent = Vec::new();
            content.send(&mut sent).await.unwrap();
            assert!(sent == bytes, "{} of {size} bytes", sent.len());
        }
    }
}
