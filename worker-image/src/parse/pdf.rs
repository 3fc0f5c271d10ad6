//! PDF by pdf-inspector, page for page, as Markdown. No I/O.

use pdf_inspector::{PdfError, extract_pages_markdown_mem};

use super::{Markup, PageStart, ParseError, Parsed, Parser};

/// How far from the end of a file its `%%EOF` may stand (PDF 1.7, appendix H.3, note 18).
const TRAILER_BYTES: usize = 1024;

pub(super) struct Pdf;

impl Parser for Pdf {
    fn parse(&self, content: &[u8]) -> Result<Parsed, ParseError> {
        let extracted = extract_pages_markdown_mem(content, None).map_err(error)?;
        // after the parser, which has more to say of a file that is both cut off and encrypted, and repairs what it
        // can: half a document must not pass for a whole one
        if !has_end(content) {
            return Err(damaged("its end is missing"));
        }
        let mut text = String::new();
        let mut pages = Vec::with_capacity(extracted.pages.len());
        for page in &extracted.pages {
            let markdown = page.markdown.trim();
            if markdown.is_empty() {
                continue;
            }
            if !text.is_empty() {
                text.push_str("\n\n");
            }
            let number = i32::try_from(page.page).unwrap_or(i32::MAX).saturating_add(1);
            pages.push(PageStart { page: number, offset: text.len() });
            text.push_str(markdown);
        }
        if text.is_empty() && !extracted.pages.is_empty() {
            return Err(ParseError::ImageOnly);
        }
        Ok(Parsed { text, markup: Markup::Markdown, pages })
    }
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
    #[case::ordinary(b"...\nstartxref\n9\n%%EOF\n".to_vec(), true)]
    #[case::padded([b"%%EOF".as_slice(), &[0; 5000]].concat(), true)]
    #[case::cut_off(b"...\nstartxref\n9\n%%E".to_vec(), false)]
    #[case::cut_off_after_a_revision([b"%%EOF\n".as_slice(), &[b'x'; 2000]].concat(), false)]
    fn an_end_is_seen(#[case] content: Vec<u8>, #[case] expected: bool) {
        assert_eq!(has_end(&content), expected);
    }
}
