//! Which format a document has: by its content first, by what source and name say second. No I/O.

mod binary;
mod format;
mod name;
mod text;

pub use format::CodeLanguage;
pub(super) use format::{Format, office};

use super::ParseError;

/// The format of a document, and a warning where its name says otherwise.
pub(super) fn detect(
    name: &str,
    media_type: Option<&str>,
    content: &[u8],
) -> Result<(Format, Option<String>), ParseError> {
    let named = name::by_name(name);
    let claimed = name::by_media_type(media_type).or(named);
    let format = match binary::signed(content, claimed)?.or_else(|| text::marked(content)) {
        Some(format) => format,
        // a name that says plain text says little
        None => match claimed.filter(|claimed| claimed.is_text() && *claimed != Format::Plain) {
            Some(claimed) => claimed,
            None => text::likely(content).unwrap_or(Format::Plain),
        },
    };
    let mismatch = named.filter(|named| *named != format && !fits(*named, format));
    Ok((format, mismatch.map(|named| format!("it is named like {named}, and its content is {format}"))))
}

/// Whether the name is no mistake, since it may stand for that format too.
fn fits(named: Format, format: Format) -> bool {
    match (named, format) {
        // what a page is made from is often kept under the name of its language
        (Format::Code(_), Format::Html | Format::Xml) => true,
        (Format::Html, Format::Xml) | (Format::Xml, Format::Html) => true,
        (Format::Json, Format::JsonLines) | (Format::JsonLines, Format::Json) => true,
        _ => named == Format::Plain && format.is_text(),
    }
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
    #[case::no_extension("README", None, b"hi", Format::Plain)]
    #[case::utf16_is_text("a.txt", None, b"\xff\xfeh\0i\0", Format::Plain)]
    #[case::text_named_like_a_package("a.docx", None, b"hi", Format::Plain)]
    #[case::cut_off_package("a.pptx", None, b"PK\x03\x04...", Format::Office(anydoc::Format::Pptx))]
    #[case::cut_off_archive("a", None, b"PK\x03\x04...", Format::Zip)]
    #[case::rtf_of_a_mail_program("a.doc", None, b"{\\rtf1 hi}", Format::Office(anydoc::Format::Rtf))]
    fn formats(#[case] name: &str, #[case] media: Option<&str>, #[case] content: &[u8], #[case] expected: Format) {
        assert_eq!(detect(name, media, content).unwrap().0, expected);
    }

    #[rstest]
    #[case("a.txt", b"%PDF-1.7", Some("it is named like plain text, and its content is PDF"))]
    #[case("a.doc", b"{\\rtf1 hi}", Some("it is named like DOC, and its content is RTF"))]
    #[case("a.pdf", b"hi", Some("it is named like PDF, and its content is plain text"))]
    #[case("a.txt", b"<html>", None)]
    #[case("a", b"<html>", None)]
    #[case("a.md", b"hi", None)]
    fn a_name_that_does_not_fit_is_told(#[case] name: &str, #[case] content: &[u8], #[case] expected: Option<&str>) {
        assert_eq!(detect(name, None, content).unwrap().1.as_deref(), expected);
    }

    #[rstest]
    #[case(b"\x89PNG\r\n\x1a\n....", "a PNG picture is not a supported type")]
    #[case(b"abc\0def", "binary data is not")]
    #[case(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1 nothing known", "an old Office document of an unknown kind is not")]
    #[case(
        b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1 E\0n\0c\0r\0y\0p\0t\0e\0d\0P\0a\0c\0k\0a\0g\0e\0",
        "the Office document is encrypted"
    )]
    fn refuses(#[case] content: &[u8], #[case] message: &str) {
        let error = detect("a.txt", None, content).unwrap_err().to_string();
        assert!(error.starts_with(message), "{error}");
    }
}
