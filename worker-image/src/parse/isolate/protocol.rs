//! What passes between parent and child, both ways: the length of a JSON header, the header, and the bytes that it
//! announces, which are a document on the way in and its text on the way out. Before all that, the child says in a header
//! of its own how it is [confined](super::confine::Confinement). No I/O.

use serde::{Deserialize, Serialize};

use super::super::{About, Markup, PageStart, ParseError, Parsed};

/// Longest header that the other side accepts, in bytes: room for the pages of the largest book.
pub(super) const MAX_HEADER_BYTES: u32 = 16 * 1024 * 1024;

/// Goes before the bytes of a document.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Request {
    pub(super) name: String,
    pub(super) media_type: Option<String>,
    /// Bytes of the document.
    pub(super) size: u64,
    /// Processor time that the child may spend on it.
    pub(super) cpu_seconds: u64,
}

/// Goes before the text of a document, or says why there is none.
pub(super) type Reply = Result<TextHeader, ParseError>;

/// What is known of a text besides itself.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct TextHeader {
    pub(super) markup: Markup,
    pub(super) pages: Vec<PageStart>,
    pub(super) about: About,
    /// Bytes of the text.
    pub(super) size: usize,
}

impl TextHeader {
    pub(super) fn of(parsed: &Parsed) -> Self {
        Self {
            markup: parsed.markup,
            pages: parsed.pages.clone(),
            about: parsed.about.clone(),
            size: parsed.text.len(),
        }
    }

    pub(super) fn with_text(self, text: String) -> Parsed {
        Parsed { text, markup: self.markup, pages: self.pages, about: self.about }
    }
}
