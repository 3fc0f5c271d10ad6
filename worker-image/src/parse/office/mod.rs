//! Office documents, RTF and EPUB by anydoc, as Markdown. No I/O.

mod metadata;
mod sheet_name;
mod slides;

use anydoc::{ConvertError, Format, to_markdown_bytes};

pub(super) use metadata::resolved;

use super::{ParseError, Parsed, archive, detect};

pub(super) fn parse(format: Format, content: &[u8]) -> Result<Parsed, ParseError> {
    let name = detect::office(format);
    if content.starts_with(b"PK") {
        archive::check(name, content)?;
    }
    if format == Format::Rtf && !closes(content) {
        return Err(ParseError::Damaged { format: name.to_owned(), problem: "its end is missing".to_owned() });
    }
    let markdown = |content: &[u8]| to_markdown_bytes(content, format).map_err(|error| from_anydoc(name, error));
    let (mut text, pages) = match slides::marked(format, content) {
        Some(marked) => slides::unmarked(&markdown(&marked)?),
        None => (markdown(content)?, Vec::new()),
    };
    // anydoc names sheets only where there are several
    if let Some(sheet) = sheet_name::only_one(format, content).filter(|_| !text.trim().is_empty()) {
        text.insert_str(0, &format!("## {sheet}\n\n"));
    }
    let mut parsed = Parsed { pages, ..Parsed::markdown(text) };
    parsed.about.metadata = metadata::of(format, content);
    Ok(parsed)
}

/// Whether the group that an RTF document is comes to an end; half a document must not pass for a whole one.
fn closes(rtf: &[u8]) -> bool {
    let padding = |byte: &u8| byte.is_ascii_whitespace() || *byte == 0;
    rtf.iter().rev().find(|byte| !padding(byte)) == Some(&b'}')
}

pub(super) fn from_anydoc(format: &str, error: ConvertError) -> ParseError {
    let format = format.to_owned();
    match error {
        ConvertError::Encrypted => ParseError::Encrypted { format },
        ConvertError::ResourceLimit { limit: "max_xml_depth", detail } => {
            ParseError::TooDeep { format, problem: detail }
        }
        ConvertError::ResourceLimit { limit, detail } => {
            ParseError::Bomb { format, problem: format!("{limit}, {detail}") }
        }
        other => ParseError::Damaged { format, problem: other.to_string() },
    }
}
