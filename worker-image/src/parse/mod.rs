//! Bytes in, text out: which parser a document goes to, and what they all give back. No I/O here; see [`isolate`] for
//! the child processes in which parsers run.
//!
//! Containers (archives, mail) parse their members by the same way, within one budget for all of them.

mod about;
mod archive;
mod compound;
mod data;
mod detect;
mod error;
pub mod isolate;
mod mail;
mod markup;
mod office;
mod pdf;
mod text;

use serde::{Deserialize, Serialize};

pub use about::{About, Metadata, Quality};
pub use detect::CodeLanguage;
pub use error::ParseError;
pub use isolate::{Limits, ParserPool};

use archive::Budget;
use detect::Format;

/// Part of every document's revision: changes whenever a parser's output does.
pub const PARSER_VERSION: &str = "parse-2";

/// Text that one document may yield, in bytes.
const MAX_TEXT_BYTES: usize = 64 * 1024 * 1024;

/// How the text of a document is marked up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Markup {
    /// Markdown: headings, lists and tables are marked.
    Markdown,
    /// No markup.
    #[default]
    Plain,
    /// Source code of a language whose grammar is known.
    Code(CodeLanguage),
}

/// Where a page begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PageStart {
    /// Number of the page, or slide, from 1.
    pub page: i32,
    /// Byte in the text at which it begins.
    pub offset: usize,
}

/// A document as text.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parsed {
    /// The text.
    pub text: String,
    /// How it is marked up.
    pub markup: Markup,
    /// Pages in ascending order; none where the format has no pages.
    pub pages: Vec<PageStart>,
    /// What is known besides.
    pub about: About,
}

impl Parsed {
    fn markdown(text: String) -> Self {
        Self { text, markup: Markup::Markdown, ..Self::default() }
    }

    fn plain(text: String) -> Self {
        Self { text, ..Self::default() }
    }
}

/// Parses in this very process, without any protection.
///
/// # Errors
/// If the document is empty, of an unknown type, damaged, encrypted, or yields no text.
pub fn parse_unprotected(name: &str, media_type: Option<&str>, content: &[u8]) -> Result<Parsed, ParseError> {
    let mut parsed = document(name, media_type, content, &mut Budget::of(content.len()))?;
    // a parser may know of pages without text
    let pages = parsed.about.quality.pages;
    parsed.about.quality = Quality::of(&parsed.text, &parsed.pages);
    parsed.about.quality.pages = pages.or(parsed.about.quality.pages);
    Ok(parsed)
}

/// Parses a file, or a member of one.
fn document(name: &str, media_type: Option<&str>, content: &[u8], budget: &mut Budget) -> Result<Parsed, ParseError> {
    if content.is_empty() {
        return Err(ParseError::Empty);
    }
    let (format, warning) = detect::detect(name, media_type, content)?;
    let charset = text::declared_by(media_type);
    let mut parsed = match format {
        Format::Pdf => pdf::parse(content)?,
        Format::Office(format) => office::parse(format, content)?,
        Format::Html => markup::html::parse(content, charset)?,
        Format::Markdown => Parsed::markdown(text::decode(content, charset).into_owned()),
        Format::Rst => markup::rst::parse(&text::decode(content, charset)),
        Format::Plain | Format::Code(None) => Parsed::plain(text::decode(content, charset).into_owned()),
        Format::Code(Some(language)) => {
            Parsed { markup: Markup::Code(language), ..Parsed::plain(text::decode(content, charset).into_owned()) }
        }
        Format::Table => data::table::parse(&text::decode(content, charset))?,
        Format::Json => data::json::parse(&text::decode(content, charset))?,
        Format::JsonLines => data::json::parse_lines(&text::decode(content, charset)),
        Format::Xml => data::xml::parse(content, charset)?,
        Format::Message => mail::message(content, budget)?,
        Format::Mailbox => mail::mailbox(content, budget)?,
        Format::Zip => archive::zip(content, budget)?,
        Format::Tar => archive::tar(content, budget)?,
        Format::Gzip => archive::gzip(name, content, budget)?,
    };
    if parsed.text.len() > MAX_TEXT_BYTES {
        return Err(ParseError::TooMuchText { limit: MAX_TEXT_BYTES });
    }
    if parsed.text.trim().is_empty() {
        return Err(ParseError::NoText);
    }
    if parsed.about.format.is_empty() {
        parsed.about.format = format.to_string();
    }
    if let Some(warning) = warning {
        parsed.about.warn(&warning);
    }
    Ok(parsed)
}
