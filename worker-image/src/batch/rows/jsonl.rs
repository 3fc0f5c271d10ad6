//! Formats in which a row is a line: plain texts, and JSON objects. Reads a file.

use std::{fs::File, sync::Arc};

use lexigram_api::text::TextFields;
use serde_json::{Map, Value};

use super::{
    MOST_ROW_BYTES, Place, Position, Row, RowError, RowReader, Text,
    fields::{checked_text, text},
    line::{Line, Lines},
};
use crate::batch::InputError;

/// Rows of a file whose rows are lines. Lines that hold nothing but spaces are passed over.
pub(super) struct LineRows {
    lines: Lines<File>,
    path: String,
    /// None: each line is a text.
    json: Option<Arc<TextFields>>,
    rows: u64,
}

impl LineRows {
    /// Each line is a text.
    pub(super) fn lines(file: File, path: String) -> Self {
        Self { lines: Lines::new(file, MOST_ROW_BYTES), path, json: None, rows: 0 }
    }

    /// Each line is a JSON object.
    pub(super) fn json(file: File, path: String, fields: Arc<TextFields>) -> Self {
        Self { lines: Lines::new(file, MOST_ROW_BYTES), path, json: Some(fields), rows: 0 }
    }

    fn content(&self, position: Position, length: u64, content: Option<Vec<u8>>) -> Result<Text, RowError> {
        let place = Place::new(true, position);
        let too_large = RowError::TextTooLarge { place, what: "row", bytes: length, limit: MOST_ROW_BYTES, hint: "" };
        let line = String::from_utf8(content.ok_or(too_large)?).map_err(|_| RowError::NotUtf8 { place })?;
        let Some(fields) = &self.json else {
            let text = checked_text("text", place, Some(Value::String(line)))?;
            return Ok(Text { key: (position.row + 1).to_string(), text, metadata: Map::new() });
        };
        let malformed =
            |problem: String| RowError::Malformed { place, kind: "JSON object", problem: without_line(&problem) };
        let object = match serde_json::from_str(&line) {
            Ok(Value::Object(object)) => object,
            Ok(_) => return Err(malformed("it is another JSON value".to_owned())),
            Err(error) => return Err(malformed(error.to_string())),
        };
        text(fields, place, position, |field| object.get(field).cloned())
    }
}

/// A message of serde_json without its `line 1`, which would be taken for a line of the input.
fn without_line(problem: &str) -> String {
    problem.replace(" at line 1 column ", " at column ")
}

impl RowReader for LineRows {
    fn next(&mut self) -> Result<Option<Row>, InputError> {
        loop {
            let line = self.lines.next().map_err(|error| InputError::of_file(&self.path, &error))?;
            let Some(Line { line, byte, length, content }) = line else { return Ok(None) };
            if content.as_ref().is_some_and(|content| content.trim_ascii().is_empty()) {
                continue;
            }
            let position = Position { row: self.rows, line, byte };
            self.rows += 1;
            let bytes = usize::try_from(length).unwrap_or(usize::MAX);
            return Ok(Some(Row { position, bytes, content: self.content(position, length, content) }));
        }
    }

    fn seek(&mut self, position: Position) -> Result<(), InputError> {
        self.rows = position.row;
        self.lines.seek(position).map_err(|error| InputError::of_file(&self.path, &error))
    }
}
