//! Looks into a ZIP package before a parser does, so that a small file which unpacks to a huge one is refused by what
//! it really holds, not by what it claims to hold. No I/O.

use std::io::{self, Cursor, Read};

use zip::{ZipArchive, result::ZipError};

use super::budget::{MAX_EXPANDED_BYTES, allowed_bytes};
use crate::parse::{ParseError, text::decode};

/// Entries that a package may have; a large document has some hundreds.
const MAX_ENTRIES: usize = 10_000;

/// Unpacks the whole package into nothing, and stops at the limit.
///
/// # Errors
/// If it is encrypted, cannot be unpacked, or unpacks to too much.
pub(in crate::parse) fn check(format: &str, content: &[u8]) -> Result<(), ParseError> {
    let bomb = |problem: String| ParseError::Bomb { format: format.to_owned(), problem };
    let mut archive = ZipArchive::new(Cursor::new(content)).map_err(|error| unreadable(format, &error))?;
    if archive.len() > MAX_ENTRIES {
        return Err(bomb(format!("{} files, more than {MAX_ENTRIES}", archive.len())));
    }
    let allowed = allowed_bytes(content.len());
    let mut expanded = 0;
    for index in 0..archive.len() {
        let entry = archive.by_index(index).map_err(|error| unreadable(format, &error))?;
        let room = allowed - expanded;
        expanded += io::copy(&mut entry.take(room + 1), &mut io::sink())
            .map_err(|error| ParseError::Damaged { format: format.to_owned(), problem: error.to_string() })?;
        if expanded > allowed {
            return Err(bomb(format!("{} bytes to more than {} MiB", content.len(), allowed / (1024 * 1024))));
        }
    }
    Ok(())
}

/// A part of a package that has passed [`check`], as text; none if there is no such part.
pub(in crate::parse) fn part(content: &[u8], name: &str) -> Option<String> {
    let mut archive = ZipArchive::new(Cursor::new(content)).ok()?;
    let mut bytes = Vec::new();
    archive.by_name(name).ok()?.take(MAX_EXPANDED_BYTES).read_to_end(&mut bytes).ok()?;
    Some(decode(&bytes, None).into_owned())
}

pub(super) fn unreadable(format: &str, error: &ZipError) -> ParseError {
    let format = format.to_owned();
    match error {
        ZipError::UnsupportedArchive(ZipError::PASSWORD_REQUIRED) => ParseError::Encrypted { format },
        other => ParseError::Damaged { format, problem: other.to_string() },
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use rstest::rstest;
    use zip::{ZipWriter, write::SimpleFileOptions};

    use super::*;

    fn archive(entries: usize, bytes: usize) -> Vec<u8> {
        let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
        for entry in 0..entries {
            writer.start_file(format!("word/{entry}.xml"), SimpleFileOptions::default()).unwrap();
            writer.write_all(&vec![b'a'; bytes]).unwrap();
        }
        writer.finish().unwrap().into_inner()
    }

    #[rstest]
    #[case::small(3, 1000, "")]
    #[case::well_compressed_but_small(1, 10 << 20, "")]
    #[case::one_huge_entry(1, 40 << 20, "bytes to more than 16 MiB")]
    #[case::many_entries_that_are_huge_together(40, 1 << 20, "bytes to more than 16 MiB")]
    #[case::too_many_entries(MAX_ENTRIES + 1, 0, "10001 files, more than 10000")]
    fn a_bomb_is_known_by_what_it_unpacks_to(#[case] entries: usize, #[case] bytes: usize, #[case] expected: &str) {
        let message = check("DOCX", &archive(entries, bytes)).err().map(|error| error.to_string()).unwrap_or_default();
        assert_eq!(message.is_empty(), expected.is_empty(), "{message}");
        assert!(message.contains(expected), "{message}");
    }

    #[test]
    fn an_entry_that_lies_about_its_size_is_counted() {
        let mut lying = archive(1, 40 << 20);
        let claimed = u32::try_from(40 << 20).unwrap().to_le_bytes();
        let places: Vec<usize> = (0..lying.len() - 4).filter(|&at| lying[at..at + 4] == claimed).collect();
        assert!(!places.is_empty());
        for at in places {
            lying[at..at + 4].copy_from_slice(&1000u32.to_le_bytes());
        }
        assert!(matches!(check("DOCX", &lying), Err(ParseError::Bomb { .. })));
    }
}
