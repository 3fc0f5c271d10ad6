//! Formats that are known by their signature. No I/O.

use std::io::{Cursor, Read};

use zip::ZipArchive;

use super::{Format, ParseError};
use crate::parse::archive;

/// How far into a document a PDF header may begin (PDF 1.7, appendix H.3, note 13).
const PDF_HEAD: usize = 1024;

/// How far into a document a NUL byte tells that it is no text.
const BINARY_HEAD: usize = 8 * 1024;

/// Names of the streams of an encrypted Office document, as UTF-16 in its directory.
const ENCRYPTED_PACKAGE: &[u8] = b"E\0n\0c\0r\0y\0p\0t\0e\0d\0P\0a\0c\0k\0a\0g\0e\0";

const PDF: &[u8] = b"%PDF-";

/// Signature of old Office documents, and of the wrapping of encrypted new ones.
const OLE: &[u8] = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1";

/// Where the header of a tar archive has its signature (POSIX.1-1988, ustar).
const TAR: (usize, &[u8]) = (257, b"ustar");

/// Parts that only a package has, and no archive of files: OPC, ODF and EPUB.
const PACKAGE_PARTS: [&str; 4] = ["[Content_Types].xml", "mimetype", "META-INF/manifest.xml", "META-INF/container.xml"];

/// Signatures of types that nobody should read as text.
const UNSUPPORTED: [(&[u8], &str); 9] = [
    (b"\x89PNG\r\n\x1a\n", "a PNG picture"),
    (b"\xff\xd8\xff", "a JPEG picture"),
    (b"GIF8", "a GIF picture"),
    (b"BZh", "a bzip2 archive"),
    (b"\xfd7zXZ\0", "an xz archive"),
    (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive"),
    (b"Rar!", "a RAR archive"),
    (b"\x7fELF", "a program"),
    (b"SQLite format 3\0", "a SQLite database"),
];

/// The format by its signature; none for a text. `claimed` is what name or source say, for what is damaged or begins
/// with junk.
pub(super) fn signed(content: &[u8], claimed: Option<Format>) -> Result<Option<Format>, ParseError> {
    let unsupported = |kind: &str| Err(ParseError::Unsupported { kind: kind.to_owned() });
    let head = &content[..content.len().min(PDF_HEAD)];
    // a text may well speak of a PDF's header: only what is named so is forgiven its junk
    if head.trim_ascii_start().starts_with(PDF) || (claimed == Some(Format::Pdf) && contains(head, PDF)) {
        return Ok(Some(Format::Pdf));
    }
    if content.starts_with(b"PK\x03\x04") || content.starts_with(b"PK\x05\x06") {
        return package(content, claimed).map(Some);
    }
    if content.starts_with(OLE) {
        if contains(content, ENCRYPTED_PACKAGE) {
            return Err(ParseError::Encrypted { format: "Office document".to_owned() });
        }
        let office = anydoc::Format::from_bytes(content).map(Format::Office);
        return match office.or(claimed.filter(|claimed| matches!(claimed, Format::Office(_)))) {
            None => unsupported("an old Office document of an unknown kind"),
            known => Ok(known),
        };
    }
    if content.starts_with(b"{\\rtf") {
        return Ok(Some(Format::Office(anydoc::Format::Rtf)));
    }
    if content.starts_with(b"\x1f\x8b") {
        return Ok(Some(Format::Gzip));
    }
    if content.get(TAR.0..).is_some_and(|content| content.starts_with(TAR.1)) {
        return Ok(Some(Format::Tar));
    }
    if let Some((_, kind)) = UNSUPPORTED.iter().find(|(signature, _)| content.starts_with(signature)) {
        return unsupported(kind);
    }
    let utf16 = content.starts_with(b"\xff\xfe") || content.starts_with(b"\xfe\xff");
    match !utf16 && content[..content.len().min(BINARY_HEAD)].contains(&0) {
        true => unsupported("binary data"),
        false => Ok(None),
    }
}

/// What a ZIP file is: a document made of parts, or an archive of files.
fn package(content: &[u8], claimed: Option<Format>) -> Result<Format, ParseError> {
    let claimed_office = claimed.filter(|claimed| matches!(claimed, Format::Office(_)));
    let Ok(mut zip) = ZipArchive::new(Cursor::new(content)) else {
        // cut off: its parser will say so by the right name
        return Ok(claimed_office.unwrap_or(Format::Zip));
    };
    if !PACKAGE_PARTS.iter().any(|part| zip.index_for_name(part).is_some()) {
        return Ok(Format::Zip);
    }
    let name = claimed_office.map_or("package".to_owned(), |format| format.to_string());
    if declares_encryption(&mut zip) {
        return Err(ParseError::Encrypted { format: name });
    }
    archive::check(&name, content)?;
    Ok(anydoc::Format::from_bytes(content).map_or(Format::Zip, Format::Office))
}

/// Whether it is a book or ODF document whose parts are encrypted: they would be taken for damaged ones.
fn declares_encryption(zip: &mut ZipArchive<Cursor<&[u8]>>) -> bool {
    let Ok(manifest) = zip.by_name("META-INF/manifest.xml") else { return false };
    let mut start = Vec::new();
    let read = manifest.take(archive::MAX_MANIFEST_BYTES).read_to_end(&mut start);
    read.is_ok() && contains(&start, b"encryption-data")
}

fn contains(content: &[u8], needle: &[u8]) -> bool {
    content.windows(needle.len()).any(|window| window == needle)
}
