//! PDF by pdf-inspector, page for page, as Markdown. No I/O.

use pdf_inspector::{PdfError, extract_pages_markdown_mem};

use super::{Markup, PageStart, ParseError, Parsed, Parser};

pub(super) struct Pdf;

impl Parser for Pdf {
    fn parse(&self, content: &[u8]) -> Result<Parsed, ParseError> {
        let extracted = extract_pages_markdown_mem(content, None).map_err(error)?;
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
            pages.push(PageStart { page: i32::try_from(page.page).unwrap_or(i32::MAX).saturating_add(1), offset: text.len() });
            text.push_str(markdown);
        }
        if text.is_empty() && !extracted.pages.is_empty() {
            return Err(ParseError::ImageOnly);
        }
        Ok(Parsed { text, markup: Markup::Markdown, pages })
    }
}

fn error(error: PdfError) -> ParseError {
    let format = "PDF".to_owned();
    match error {
        PdfError::Encrypted => ParseError::Encrypted { format },
        other => ParseError::Damaged { format, problem: other.to_string() },
    }
}
