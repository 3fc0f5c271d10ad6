//! Bytes in, text out: the trait that parsers share, and the choice between them. No I/O here; see [`isolate`] for the
//! child processes in which parsers run.

mod archive;
mod detect;
mod docx;
mod error;
mod html;
pub mod isolate;
mod pdf;
mod text;

use serde::{Deserialize, Serialize};

pub use error::ParseError;
pub use isolate::{Limits, ParserPool};

use detect::Format;

/// Part of every document's revision: changes whenever a parser's output does.
pub const PARSER_VERSION: &str = "parse-1";

/// Text that one document may yield, in bytes.
const MAX_TEXT_BYTES: usize = 64 * 1024 * 1024;

/// How the text of a document is marked up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Markup {
    /// Markdown: headings, lists and tables are marked.
    Markdown,
    /// No markup.
    Plain,
}

/// Where a page begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PageStart {
    /// Number of the page, from 1.
    pub page: i32,
    /// Byte in the text at which it begins.
    pub offset: usize,
}

/// A document as text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parsed {
    /// The text.
    pub text: String,
    /// How it is marked up.
    pub markup: Markup,
    /// Pages in ascending order; none where the format has no pages.
    pub pages: Vec<PageStart>,
}

/// Turns the bytes of one format into text.
trait Parser {
    fn parse(&self, content: &[u8]) -> Result<Parsed, ParseError>;
}

/// Parses in this very process, without any protection.
///
/// # Errors
/// If the document is empty, of an unknown type, damaged, encrypted, or yields no text.
pub fn parse_unprotected(name: &str, media_type: Option<&str>, content: &[u8]) -> Result<Parsed, ParseError> {
    if content.is_empty() {
        return Err(ParseError::Empty);
    }
    let charset = text::declared_by(media_type);
    let parser: &dyn Parser = match detect::format(name, media_type, content)? {
        Format::Pdf => &pdf::Pdf,
        Format::Docx => &docx::Docx,
        Format::Html => &html::Html { charset },
        Format::Markdown => &text::Text { markup: Markup::Markdown, charset },
        Format::Plain => &text::Text { markup: Markup::Plain, charset },
    };
    let parsed = parser.parse(content)?;
    if parsed.text.len() > MAX_TEXT_BYTES {
        return Err(ParseError::TooMuchText { limit: MAX_TEXT_BYTES });
    }
    if parsed.text.trim().is_empty() {
        return Err(ParseError::NoText);
    }
    Ok(parsed)
}
