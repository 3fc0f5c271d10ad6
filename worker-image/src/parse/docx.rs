//! DOCX by anydoc, as Markdown. No I/O.

use anydoc::{ConvertError, Format, to_markdown_bytes};

use super::{Markup, ParseError, Parsed, Parser, archive};

pub(super) struct Docx;

impl Parser for Docx {
    fn parse(&self, content: &[u8]) -> Result<Parsed, ParseError> {
        archive::check("DOCX", content)?;
        let text = to_markdown_bytes(content, Format::Docx).map_err(error)?;
        Ok(Parsed { text, markup: Markup::Markdown, pages: Vec::new() })
    }
}

fn error(error: ConvertError) -> ParseError {
    let format = "DOCX".to_owned();
    match error {
        ConvertError::Encrypted => ParseError::Encrypted { format },
        ConvertError::ResourceLimit { limit, detail } => {
            ParseError::Bomb { format, problem: format!("{limit}, {detail}") }
        }
        other => ParseError::Damaged { format, problem: other.to_string() },
    }
}
