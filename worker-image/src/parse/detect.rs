//! Which format a document has: by its content first, by what source and name say second. No I/O.

use super::ParseError;

/// A format that has a parser.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    Pdf,
    Docx,
    Html,
    Markdown,
    Plain,
}

/// How far into a document the signs of its format are looked for; a PDF header may begin anywhere in it (PDF 1.7,
/// appendix H.3, note 13).
const HEAD: usize = 1024;

/// How far into a document a NUL byte tells that it is no text.
const BINARY_HEAD: usize = 8 * 1024;

/// Names of the streams of an encrypted Office document, as UTF-16 in its directory.
const ENCRYPTED_PACKAGE: &[u8] = b"E\0n\0c\0r\0y\0p\0t\0e\0d\0P\0a\0c\0k\0a\0g\0e\0";

const PDF: &[u8] = b"%PDF-";

/// Signature of old Office documents, and of the wrapping of encrypted new ones.
const OLE: &[u8] = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1";

/// Signatures of types that nobody should read as text.
const UNSUPPORTED: [(&[u8], &str); 12] = [
    (b"\x89PNG\r\n\x1a\n", "a PNG picture"),
    (b"\xff\xd8\xff", "a JPEG picture"),
    (b"GIF8", "a GIF picture"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"BZh", "a bzip2 archive"),
    (b"\xfd7zXZ\0", "an xz archive"),
    (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive"),
    (b"Rar!", "a RAR archive"),
    (b"\x7fELF", "a program"),
    (OLE, "an old Office document"),
    (b"SQLite format 3\0", "a SQLite database"),
    (b"{\\rtf", "an RTF document"),
];

/// The format of a document.
pub(super) fn format(name: &str, media_type: Option<&str>, content: &[u8]) -> Result<Format, ParseError> {
    let unsupported = |kind: &str| Err(ParseError::Unsupported { kind: kind.to_owned() });
    let head = &content[..content.len().min(HEAD)];
    let starts_as_pdf = head.trim_ascii_start().starts_with(PDF);
    if starts_as_pdf || (claims_pdf(name, media_type) && contains(head, PDF)) {
        return Ok(Format::Pdf);
    }
    if content.starts_with(b"PK\x03\x04") {
        // the parts of a package are named in the clear
        return match contains(content, b"word/") {
            true => Ok(Format::Docx),
            false => unsupported("a zip archive"),
        };
    }
    if content.starts_with(OLE) && contains(content, ENCRYPTED_PACKAGE) {
        return Err(ParseError::Encrypted { format: "Office document".to_owned() });
    }
    if let Some((_, kind)) = UNSUPPORTED.iter().find(|(signature, _)| content.starts_with(signature)) {
        return unsupported(kind);
    }
    let utf16 = content.starts_with(b"\xff\xfe") || content.starts_with(b"\xfe\xff");
    if !utf16 && content[..content.len().min(BINARY_HEAD)].contains(&0) {
        return unsupported("binary data");
    }
    Ok(by_content(head).or_else(|| by_media_type(media_type)).unwrap_or_else(|| by_name(name)))
}

/// Whether source or name say that it is a PDF: only then is junk before its header forgiven, since a text may well
/// speak of that header.
fn claims_pdf(name: &str, media_type: Option<&str>) -> bool {
    extension(name).is_some_and(|extension| extension == "pdf")
        || media_type.is_some_and(|media_type| media_type.starts_with("application/pdf"))
}

fn contains(content: &[u8], needle: &[u8]) -> bool {
    content.windows(needle.len()).any(|window| window == needle)
}

fn by_content(head: &[u8]) -> Option<Format> {
    let start = String::from_utf8_lossy(head).trim_start_matches('\u{feff}').trim_start().to_ascii_lowercase();
    (start.starts_with("<!doctype html") || start.starts_with("<html")).then_some(Format::Html)
}

fn by_media_type(media_type: Option<&str>) -> Option<Format> {
    let essence = media_type?.split(';').next()?.trim().to_ascii_lowercase();
    match essence.as_str() {
        "text/html" | "application/xhtml+xml" => Some(Format::Html),
        "text/markdown" | "text/x-markdown" => Some(Format::Markdown),
        // a server's word for everything that it does not know: the name may tell more
        _ => None,
    }
}

fn by_name(name: &str) -> Format {
    match extension(name).as_deref() {
        Some("html" | "htm" | "xhtml") => Format::Html,
        Some("md" | "markdown") => Format::Markdown,
        _ => Format::Plain,
    }
}

fn extension(name: &str) -> Option<String> {
    // a file may be named `C#.md`, a URL ends before its query and fragment
    let path = if name.contains("://") { name.split(['?', '#']).next().unwrap_or(name) } else { name };
    path.rsplit_once('.').map(|(_, extension)| extension.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::content_beats_name("a.txt", None, b"%PDF-1.7 ...", Format::Pdf)]
    #[case::junk_before_a_pdf("a.pdf", None, b"junk\n%PDF-1.7 ...", Format::Pdf)]
    #[case::text_about_pdf("a.md", None, b"A PDF begins with %PDF-1.7", Format::Markdown)]
    #[case::html_without_a_name("page", None, b"\n<!DOCTYPE html><p>", Format::Html)]
    #[case::media_type_beats_name("a.txt", Some("text/html; charset=utf-8"), b"<p>hi", Format::Html)]
    #[case::plain_media_type_says_nothing("a.md", Some("text/plain"), b"# hi", Format::Markdown)]
    #[case::query_is_no_extension("http://x/a.html?v=1.2", None, b"<p>hi", Format::Html)]
    #[case::a_file_has_no_query("C#?.md", None, b"hi", Format::Markdown)]
    #[case::no_extension("README", None, b"hi", Format::Plain)]
    #[case::utf16_is_text("a.txt", None, b"\xff\xfeh\0i\0", Format::Plain)]
    fn formats(#[case] name: &str, #[case] media: Option<&str>, #[case] content: &[u8], #[case] expected: Format) {
        assert_eq!(format(name, media, content).unwrap(), expected);
    }

    #[rstest]
    #[case(b"\x89PNG\r\n\x1a\n....", "a PNG picture is not a supported type")]
    #[case(b"PK\x03\x04 xl/workbook.xml", "a zip archive is not")]
    #[case(b"abc\0def", "binary data is not")]
    #[case(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1 WordDocument", "an old Office document is not")]
    #[case(
        b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1 E\0n\0c\0r\0y\0p\0t\0e\0d\0P\0a\0c\0k\0a\0g\0e\0",
        "the Office document is encrypted"
    )]
    fn refuses(#[case] content: &[u8], #[case] message: &str) {
        let error = format("a.txt", None, content).unwrap_err().to_string();
        assert!(error.starts_with(message), "{error}");
    }
}
