//! CSV and its kin by anydoc, which finds out what divides the values, as a Markdown table. No I/O.

use anydoc::{Format, to_markdown_bytes};

use crate::parse::{ParseError, Parsed, office};

pub(in crate::parse) fn parse(text: &str) -> Result<Parsed, ParseError> {
    let table = to_markdown_bytes(text.as_bytes(), Format::Csv).map_err(|error| office::from_anydoc("CSV", error))?;
    Ok(Parsed::markdown(table))
}
