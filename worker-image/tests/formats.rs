//! What becomes of real documents of each format, good and bad.

#![allow(clippy::unwrap_used, clippy::panic)]

use std::{
    fmt::Write,
    fs,
    ops::Range,
    path::{Path, PathBuf},
    sync::Arc,
};

use lexigram_api::{document::Chunking, failure::FailureCategory};
use lexigram_worker::{
    chunk,
    embed::{EmbedError, TokenCounter},
    failure::Classified,
    parse::{ParseError, Parsed, parse_unprotected},
};
use rstest::rstest;

fn parse(file: &str) -> Result<Parsed, ParseError> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(file);
    parse_unprotected(file, None, &fs::read(path).unwrap())
}

/// What the ledger says of the document, and its text with a line where each page begins.
fn readable(parsed: &Parsed) -> String {
    let mut readable = format!("({:?})\n{}\n", parsed.markup, serde_json::to_string_pretty(&parsed.about).unwrap());
    let mut written = 0;
    for page in &parsed.pages {
        readable.push_str(&parsed.text[written..page.offset]);
        writeln!(readable, "(page {})", page.page).unwrap();
        written = page.offset;
    }
    readable.push_str(&parsed.text[written..]);
    readable
}

/// A token a word.
struct Words;

impl TokenCounter for Words {
    fn count(&self, text: &str) -> Result<usize, EmbedError> {
        Ok(text.split_whitespace().count())
    }

    fn spans(&self, text: &str) -> Result<Vec<Range<usize>>, EmbedError> {
        let start = |word: &str| word.as_ptr().addr() - text.as_ptr().addr();
        Ok(text.split_whitespace().map(|word| start(word)..start(word) + word.len()).collect())
    }

    fn added(&self) -> usize {
        0
    }
}

#[rstest]
fn a_good_document_becomes_text_that_its_chunks_give_back(#[files("tests/fixtures/good/*")] path: PathBuf) {
    let file = path.file_name().unwrap().to_str().unwrap();
    let parsed = parse(&format!("good/{file}")).unwrap();
    insta::with_settings!({ omit_expression => true, prepend_module_to_snapshot => false }, {
        insta::assert_snapshot!(file, readable(&parsed));
    });

    let chunking = Chunking { max_tokens: 16, overlap_tokens: 0, ..Chunking::default() };
    let chunks = chunk::open(&chunking, Arc::new(Words), 512).unwrap().chunk(&parsed).unwrap();
    let squeezed = |text: &str| text.split_whitespace().collect::<String>();
    let together: String = chunks.iter().map(|chunk| squeezed(&chunk.text)).collect();
    assert_eq!(together, squeezed(&parsed.text));
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
#[case("cycle.pdf", "DocumentDamaged", "the PDF is damaged or cut off")]
#[case("truncated.docx", "DocumentDamaged", "the DOCX is damaged or cut off")]
#[case("bomb.docx", "DecompressionBomb", "unpacks to more than is allowed: 215054 bytes to more than 41 MiB")]
#[case("truncated.pptx", "DocumentDamaged", "the PPTX is damaged or cut off")]
#[case("encrypted.pptx", "DocumentEncrypted", "the Office document is encrypted: remove its password")]
#[case("truncated.xlsx", "DocumentDamaged", "the Excel workbook is damaged or cut off")]
#[case("encrypted.xlsx", "DocumentEncrypted", "the Office document is encrypted")]
#[case("bomb.xlsx", "DecompressionBomb", "bytes to more than 16 MiB")]
#[case("truncated.xls", "DocumentDamaged", "the Excel workbook is damaged or cut off")]
#[case("truncated.odt", "DocumentDamaged", "the ODT is damaged or cut off")]
#[case("encrypted.odt", "DocumentEncrypted", "the ODT is encrypted")]
#[case("deep.odt", "NestedTooDeeply", "the ODT is nested too deeply")]
#[case("truncated.ods", "DocumentDamaged", "the ODS is damaged or cut off")]
#[case("truncated.odp", "DocumentDamaged", "the ODP is damaged or cut off")]
#[case("truncated.epub", "DocumentDamaged", "the EPUB is damaged or cut off")]
#[case("truncated.rtf", "DocumentDamaged", "the RTF is damaged or cut off: its end is missing")]
#[case("truncated.json", "DocumentDamaged", "the JSON is damaged or cut off: EOF")]
#[case("deep.json", "NestedTooDeeply", "the JSON is nested too deeply")]
#[case("truncated.xml", "DocumentDamaged", "the XML is damaged or cut off")]
#[case("deep.xml", "NestedTooDeeply", "the XML is nested too deeply: more than 256 elements within each other")]
#[case("encrypted.eml", "DocumentEncrypted", "the EML is encrypted")]
#[case("truncated.zip", "DocumentDamaged", "the ZIP is damaged or cut off")]
#[case("truncated.tar.gz", "DocumentDamaged", "the GZIP is damaged or cut off")]
#[case("encrypted.zip", "DocumentEncrypted", "the ZIP is encrypted")]
#[case("deep.zip", "NestedTooDeeply", "the ZIP is nested too deeply: more than 6 archives or mails within each other")]
#[case("bomb.zip", "DecompressionBomb", "the ZIP unpacks to more than is allowed: more than 16 MiB")]
#[case("bomb.gz", "DecompressionBomb", "the GZIP unpacks to more than is allowed: more than 16 MiB")]
#[case("pictures.zip", "UnsupportedType", "a PNG picture is not a supported type of document")]
#[case("empty.zip", "NoText", "the document holds no text")]
fn a_bad_document_says_what_is_wrong_with_it(#[case] file: &str, #[case] reason: &str, #[case] message: &str) {
    let error = parse(&format!("bad/{file}")).unwrap_err();
    assert_eq!((error.category(), error.reason()), (FailureCategory::InvalidInput, reason), "{error}");
    assert!(error.to_string().contains(message), "{error}");
}

#[test]
fn a_mail_that_is_cut_off_is_read_with_a_warning() {
    let parsed = parse("bad/truncated.eml").unwrap();
    assert!(parsed.text.contains("the light blinks"), "{}", parsed.text);
    assert_eq!(parsed.about.warnings[0], "its end is missing");
}

/// Not in the repository: it would be a megabyte of names.
#[test]
fn an_archive_of_too_many_members_is_refused() {
    let mut writer = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for number in 0..10_001 {
        writer.start_file(format!("{number}.txt"), zip::write::SimpleFileOptions::default()).unwrap();
    }
    let archive = writer.finish().unwrap().into_inner();
    let error = parse_unprotected("a.zip", None, &archive).unwrap_err();
    assert_eq!(error.to_string(), "the ZIP unpacks to more than is allowed: more than 10000 files");
}
