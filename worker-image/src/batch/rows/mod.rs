//! Rows of an input, one after the other: what a row is, and the readers of each format. Reads files; blocks.
//!
//! Readers hold one row or one page at a time, whatever the size of the file; a row that is larger than it may be is
//! skipped without being read into memory.

mod csv;
mod error;
mod fields;
mod inline;
mod jsonl;
mod line;
mod parquet;
#[cfg(test)]
mod tests;

use std::{fs::File, sync::Arc};

use lexigram_api::text::{InlineText, TextFields, TextFormat};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

pub(super) use error::RowError;

use super::InputError;

/// Largest row that is read, in bytes: a text of the greatest length, escaped, with metadata.
const MOST_ROW_BYTES: usize = 4 * 1024 * 1024;
/// Largest text, in bytes.
const MOST_TEXT_BYTES: usize = 1024 * 1024;

/// Where a row begins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Position {
    /// Rows before it.
    pub(super) row: u64,
    /// Lines before it; rows in formats that have no lines.
    pub(super) line: u64,
    /// Bytes before it; 0 in formats that are not read byte by byte.
    pub(super) byte: u64,
}

/// One row.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Row {
    /// Where it begins.
    pub(super) position: Position,
    /// Its bytes in the input, about.
    pub(super) bytes: usize,
    /// What it holds.
    pub(super) content: Result<Text, RowError>,
}

/// A text with what belongs to it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Text {
    /// Its id: that of the input, or the row's number.
    pub(super) key: String,
    /// The text.
    pub(super) text: String,
    /// Fields that are kept beside the vector.
    pub(super) metadata: Map<String, Value>,
}

impl Row {
    /// Equal for rows that are stored or fail in the same way, and only for them.
    pub(super) fn hash(&self) -> [u8; 32] {
        let mut hash = Sha256::new();
        // every part ends with a byte that UTF-8 does not have, so that no two rows run into one
        match &self.content {
            Ok(Text { key, text, metadata }) => {
                let metadata = Value::Object(metadata.clone()).to_string();
                for part in [key, text, &metadata] {
                    hash.update(part);
                    hash.update([0xff]);
                }
            }
            Err(error) => {
                hash.update([0xfe]);
                hash.update(error.to_string());
                hash.update([0xff]);
            }
        }
        hash.finalize().into()
    }

    /// Bytes that the row takes in memory, about.
    pub(super) fn size(&self) -> usize {
        self.content.as_ref().map_or(0, |text| text.text.len()).max(self.bytes.min(MOST_ROW_BYTES))
    }
}

/// Reads rows. An error ends the reading.
pub(super) trait RowReader: Send {
    /// The next row; none at the end.
    fn next(&mut self) -> Result<Option<Row>, InputError>;
    /// Goes to a row's beginning.
    fn seek(&mut self, position: Position) -> Result<(), InputError>;
}

/// Rows that can be read again and again.
#[derive(Clone, Debug)]
pub(super) enum Rows {
    /// Of a file.
    File { path: std::path::PathBuf, format: TextFormat, fields: Arc<TextFields> },
    /// Of the work spec.
    Inline(Arc<Vec<InlineText>>),
}

impl Rows {
    /// A reader at the first row.
    pub(super) fn open(&self) -> Result<Box<dyn RowReader>, InputError> {
        let (path, format, fields) = match self {
            Self::Inline(texts) => return Ok(Box::new(inline::InlineRows::new(Arc::clone(texts)))),
            Self::File { path, format, fields } => (path, format, Arc::clone(fields)),
        };
        let name = path.display().to_string();
        let file = File::open(path).map_err(|error| InputError::of_file(&name, &error))?;
        if file.metadata().map_err(|error| InputError::of_file(&name, &error))?.is_dir() {
            return Err(InputError::NotAFile { path: name });
        }
        Ok(match format {
            TextFormat::Lines => Box::new(jsonl::LineRows::lines(file, name)),
            TextFormat::JsonLines => Box::new(jsonl::LineRows::json(file, name, fields)),
            TextFormat::Csv => Box::new(csv::CsvRows::open(file, name, &fields)?),
            TextFormat::Parquet => Box::new(parquet::ParquetRows::open(file, name, &fields)?),
        })
    }

    /// How a row is named to a person: `line 17`, or `row 17` where there are no lines.
    pub(super) fn place(&self, position: Position) -> Place {
        let lines = match self {
            Self::Inline(_) | Self::File { format: TextFormat::Parquet, .. } => false,
            Self::File { .. } => true,
        };
        Place::new(lines, position)
    }
}

/// How a row is named to a person.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    lines: bool,
    number: u64,
}

impl Place {
    fn new(lines: bool, position: Position) -> Self {
        Self { lines, number: 1 + if lines { position.line } else { position.row } }
    }
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", if self.lines { "line" } else { "row" }, self.number)
    }
}
