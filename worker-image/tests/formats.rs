//! What becomes of real documents of each format, good and bad.

#![allow(clippy::unwrap_used, clippy::panic)]

use std::path::Path;

use lexigram_api::failure::FailureCategory;
use lexigram_worker::{
    failure::Classified,
    parse::{ParseError, Parsed, parse_unprotected},
};
use rstest::rstest;

fn parse(file: &str) -> Result<Parsed, ParseError> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(file);
    parse_unprotected(file, None, &std::fs::read(path).unwrap())
}

/// The text with a line where each page begins.
fn readable(parsed: &Parsed) -> String {
    let mut readable = format!("({:?})\n", parsed.markup);
    let mut written = 0;
    for page in &parsed.pages {
        readable.push_str(&parsed.text[written..page.offset]);
        readable.push_str(&format!("(page {})\n", page.page));
        written = page.offset;
    }
    readable.push_str(&parsed.text[written..]);
    readable
}

#[rstest]
#[case("handbook.md")]
#[case("handbook.docx")]
#[case("handbook.pdf")]
#[case("page.html")]
#[case("notes-utf16.txt")]
#[case("notes-latin1.txt")]
#[case("notes-broken-utf8.txt")]
fn a_good_document_becomes_text(#[case] file: &str) {
    let parsed = parse(&format!("good/{file}")).unwrap();
    insta::with_settings!({ omit_expression => true, prepend_module_to_snapshot => false }, {
        insta::assert_snapshot!(file, readable(&parsed));
    });
}

#[test]
fn a_pdf_that_needs_no_password_for_reading_is_read() {
    assert_eq!(parse("good/handbook-locked.pdf").unwrap(), parse("good/handbook.pdf").unwrap());
}

#[rstest]
#[case("empty.txt", "DocumentEmpty", "the document is empty")]
#[case("blank.txt", "NoText", "the document holds no text")]
#[case("truncated.pdf", "DocumentDamaged", "the PDF is damaged or cut off")]
#[case("encrypted.pdf", "DocumentEncrypted", "the PDF is encrypted: remove its password")]
#[case("picture-only.pdf", "ImageOnlyPdf", "run it through OCR first")]
#[case("truncated.docx", "DocumentDamaged", "the DOCX is damaged or cut off")]
#[case("bomb.docx", "DecompressionBomb", "unpacks to more than is allowed: 215054 bytes to more than 41 MiB")]
fn a_bad_document_says_what_is_wrong_with_it(#[case] file: &str, #[case] reason: &str, #[case] message: &str) {
    let error = parse(&format!("bad/{file}")).unwrap_err();
    assert_eq!((error.category(), error.reason()), (FailureCategory::InvalidInput, reason), "{error}");
    assert!(error.to_string().contains(message), "{error}");
}
