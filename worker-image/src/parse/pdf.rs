//! PDF by pdf-inspector, page for page, as Markdown. No I/O.

use pdf_inspector::{PdfError, extract_pages_markdown_mem};

use super::{Metadata, PageStart, ParseError, Parsed, about::short};

/// How far from the end of a file its `%%EOF` may stand (PDF 1.7, appendix H.3, note 18).
const TRAILER_BYTES: usize = 1024;

pub(super) fn parse(content: &[u8]) -> Result<Parsed, ParseError> {
    let extracted = extract_pages_markdown_mem(content, None).map_err(error)?;
    // after the parser, which has more to say of a file that is both cut off and encrypted, and repairs what it can:
    // half a document must not pass for a whole one
    if !has_end(content) {
        return Err(damaged("its end is missing"));
    }
    let mut parsed = Parsed::markdown(String::new());
    for page in &extracted.pages {
        let markdown = page.markdown.trim();
        if markdown.is_empty() {
            continue;
        }
        if !parsed.text.is_empty() {
            parsed.text.push_str("\n\n");
        }
        let number = i32::try_from(page.page).unwrap_or(i32::MAX).saturating_add(1);
        parsed.pages.push(PageStart { page: number, offset: parsed.text.len() });
        parsed.text.push_str(markdown);
    }
    if parsed.text.is_empty() && !extracted.pages.is_empty() {
        return Err(ParseError::ImageOnly);
    }
    let without_text = extracted.pages.len() - parsed.pages.len();
    if without_text > 0 {
        parsed.about.warn(&format!("{without_text} of {} pages hold no text", extracted.pages.len()));
    }
    parsed.about.quality.pages = u64::try_from(extracted.pages.len()).ok();
    parsed.about.metadata = metadata(content);
    Ok(parsed)
}

fn metadata(content: &[u8]) -> Metadata {
    let Ok(info) = lopdf::Document::load_metadata_mem(content) else { return Metadata::default() };
    let value = |value: Option<String>| value.as_deref().and_then(short);
    let date = |value: Option<String>| value.map(|value| iso_date(&value).unwrap_or(value)).as_deref().and_then(short);
    Metadata {
        title: value(info.title),
        author: value(info.author),
        created: date(info.creation_date),
        modified: date(info.modification_date),
        language: None,
    }
}

/// A date as PDF writes it, `D:20240102030405+01'00'`, with only the year for certain (PDF 1.7, section 7.9.4).
fn iso_date(date: &str) -> Option<String> {
    let date = date.strip_prefix("D:").unwrap_or(date);
    let digits = &date[..date.bytes().take_while(u8::is_ascii_digit).count()];
    let part = |start: usize| digits.get(start..start + 2).unwrap_or(if start < 8 { "01" } else { "00" });
    let year = digits.get(..4)?;
    let zone = match date[digits.len()..].replace('\'', "").as_str() {
        offset if offset.len() >= 5 && offset.starts_with(['+', '-']) && offset.is_ascii() => {
            format!("{}:{}", &offset[..3], &offset[3..5])
        }
        "" => String::new(),
        _ => "Z".to_owned(),
    };
    Some(format!("{year}-{}-{}T{}:{}:{}{zone}", part(4), part(6), part(8), part(10), part(12)))
}

fn has_end(content: &[u8]) -> bool {
    let padding = content.iter().rev().take_while(|byte| byte.is_ascii_whitespace() || **byte == 0).count();
    let content = &content[..content.len() - padding];
    content[content.len().saturating_sub(TRAILER_BYTES)..].windows(5).any(|window| window == b"%%EOF")
}

fn error(error: PdfError) -> ParseError {
    match error {
        PdfError::Encrypted => ParseError::Encrypted { format: "PDF".to_owned() },
        other => damaged(&other.to_string()),
    }
}

fn damaged(problem: &str) -> ParseError {
    ParseError::Damaged { format: "PDF".to_owned(), problem: problem.to_owned() }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("D:20240102030405+01'00'", Some("2024-01-02T03:04:05+01:00"))]
    #[case("D:20240102030405Z", Some("2024-01-02T03:04:05Z"))]
    #[case("D:20240102", Some("2024-01-02T00:00:00"))]
    #[case("2024", Some("2024-01-01T00:00:00"))]
    #[case("yesterday", None)]
    fn dates_become_iso(#[case] date: &str, #[case] expected: Option<&str>) {
        assert_eq!(iso_date(date).as_deref(), expected);
    }

    #[rstest]
    #[case::ordinary(b"...\nstartxref\n9\n%%EOF\n".to_vec(), true)]
    #[case::padded([b"%%EOF".as_slice(), &[0; 5000]].concat(), true)]
    #[case::cut_off(b"...\nstartxref\n9\n%%E".to_vec(), false)]
    #[case::cut_off_after_a_revision([b"%%EOF\n".as_slice(), &[b'x'; 2000]].concat(), false)]
    fn an_end_is_seen(#[case] content: Vec<u8>, #[case] expected: bool) {
        assert_eq!(has_end(&content), expected);
    }
}
