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

/// How far into a document a PDF header may begin (PDF 1.7, appendix H.3, note 13) and a NUL byte is looked for.
const HEAD: usize = 1024;

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
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an old Office document, or an encrypted one,"),
    (b"SQLite format 3\0", "a SQLite database"),
    (b"{\\rtf", "an RTF document"),
];

/// The format of a document.
pub(super) fn format(name: &str, media_type: Option<&str>, content: &[u8]) -> Result<Format, ParseError> {
    let unsupported = |kind: &str| Err(ParseError::Unsupported { kind: kind.to_owned() });
    let head = &content[..content.len().min(HEAD)];
    if head.windows(5).any(|window| window == b"%PDF-") {
        return Ok(Format::Pdf);
    }
    if content.starts_with(b"PK\x03\x04") {
        // the parts of a package are named in the clear
        return match content.windows(5).any(|window| window == b"word/") {
            true => Ok(Format::Docx),
            false => unsupported("a zip archive"),
        };
    }
    if let Some((_, kind)) = UNSUPPORTED.iter().find(|(signature, _)| content.starts_with(signature)) {
        return unsupported(kind);
    }
    let utf16 = content.starts_with(b"\xff\xfe") || content.starts_with(b"\xfe\xff");
    if !utf16 && head.contains(&0) {
        return unsupported("binary data");
    }
    Ok(by_content(head).or_else(|| by_media_type(media_type)).unwrap_or_else(|| by_name(name)))
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
    let path = name.split(['?', '#']).next().unwrap_or(name);
    let extension = path.rsplit_once('.').map(|(_, extension)| extension.to_ascii_lowercase());
    match extension.as_deref() {
        Some("html" | "htm" | "xhtml") => Format::Html,
        Some("md" | "markdown") => Format::Markdown,
        _ => Format::Plain,
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::content_beats_name("a.txt", None, b"%PDF-1.7 ...", Format::Pdf)]
    #[case::html_without_a_name("page", None, b"\n<!DOCTYPE html><p>", Format::Html)]
    #[case::media_type_beats_name("a.txt", Some("text/html; charset=utf-8"), b"<p>hi", Format::Html)]
    #[case::plain_media_type_says_nothing("a.md", Some("text/plain"), b"# hi", Format::Markdown)]
    #[case::query_is_no_extension("http://x/a.html?v=1.2", None, b"<p>hi", Format::Html)]
    #[case::no_extension("README", None, b"hi", Format::Plain)]
    #[case::utf16_is_text("a.txt", None, b"\xff\xfeh\0i\0", Format::Plain)]
    fn formats(#[case] name: &str, #[case] media: Option<&str>, #[case] content: &[u8], #[case] expected: Format) {
        assert_eq!(format(name, media, content).unwrap(), expected);
    }

    #[rstest]
    #[case(b"\x89PNG\r\n\x1a\n....", "a PNG picture is not a supported type")]
    #[case(b"PK\x03\x04 xl/workbook.xml", "a zip archive is not")]
    #[case(b"abc\0def", "binary data is not")]
    fn refuses(#[case] content: &[u8], #[case] message: &str) {
        let error = format("a.txt", None, content).unwrap_err().to_string();
        assert!(error.starts_with(message), "{error}");
    }
}
