//! Archives: each member that has a parser becomes a chapter under its name; what has none is told of. No I/O.

mod budget;
mod package;

use std::io::{Cursor, Read};

use ::zip::ZipArchive;
use flate2::read::MultiGzDecoder;

pub(super) use budget::Budget;
pub(super) use package::{check, part};

use super::{ParseError, Parsed, compound::Compound, document};

/// How much of a package's manifest is read, in bytes.
pub(super) const MAX_MANIFEST_BYTES: u64 = 1024 * 1024;

/// What a ZIP archive holds, in the order of its directory.
pub(super) fn zip(content: &[u8], budget: &mut Budget) -> Result<Parsed, ParseError> {
    let unreadable = |error: ::zip::result::ZipError| package::unreadable("ZIP", &error);
    let mut archive = ZipArchive::new(Cursor::new(content)).map_err(unreadable)?;
    budget.within("ZIP", |budget| {
        let mut compound = Compound::default();
        for index in 0..archive.len() {
            let raw = archive.by_index_raw(index).map_err(unreadable)?;
            let (name, skipped) = (raw.name().to_owned(), raw.is_dir() || raw.is_symlink());
            drop(raw);
            if skipped || is_clutter(&name) {
                continue;
            }
            budget.member("ZIP")?;
            let parsed = match archive.by_index(index) {
                Ok(file) => member(&name, file, "ZIP", budget),
                Err(error) => Err(unreadable(error)),
            };
            compound.add(&name, parsed)?;
        }
        compound.finish()
    })
}

/// What a tar archive holds, in its order.
pub(super) fn tar(content: &[u8], budget: &mut Budget) -> Result<Parsed, ParseError> {
    let damaged = |error: std::io::Error| ParseError::Damaged { format: "TAR".to_owned(), problem: error.to_string() };
    budget.within("TAR", |budget| {
        let mut archive = ::tar::Archive::new(content);
        let mut compound = Compound::default();
        for entry in archive.entries().map_err(damaged)? {
            let entry = entry.map_err(damaged)?;
            let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
            if !entry.header().entry_type().is_file() || is_clutter(&name) {
                continue;
            }
            budget.member("TAR")?;
            let size = entry.size();
            let parsed = match budget.unpack("TAR", entry)? {
                // the archive ends within it
                content if (content.len() as u64) < size => {
                    return Err(damaged(std::io::ErrorKind::UnexpectedEof.into()));
                }
                content => document(&name, None, &content, budget),
            };
            compound.add(&name, parsed)?;
        }
        compound.finish()
    })
}

/// The one file in a gzip: it is the document.
pub(super) fn gzip(name: &str, content: &[u8], budget: &mut Budget) -> Result<Parsed, ParseError> {
    budget.within("GZIP", |budget| {
        let content = budget.unpack("GZIP", MultiGzDecoder::new(content))?;
        document(&name_within(name), None, &content, budget)
    })
}

fn member(name: &str, packed: impl Read, format: &str, budget: &mut Budget) -> Result<Parsed, ParseError> {
    let content = budget.unpack(format, packed)?;
    document(name, None, &content, budget)
}

/// What the file in a gzip of that name is called.
fn name_within(name: &str) -> String {
    match name.rsplit_once('.') {
        Some((stem, ending)) if ending.eq_ignore_ascii_case("tgz") => format!("{stem}.tar"),
        Some((stem, _)) => stem.to_owned(),
        None => name.to_owned(),
    }
}

/// What archive programs add themselves.
fn is_clutter(name: &str) -> bool {
    name.starts_with("__MACOSX/") || name.rsplit('/').next().is_some_and(|file| file == ".DS_Store")
}
