//! Texts that stand in the work spec itself. No I/O.

use std::sync::Arc;

use lexigram_api::text::InlineText;
use serde_json::Value;

use super::{Place, Position, Row, RowReader, Text, fields::checked_text};
use crate::batch::InputError;

/// The texts of a work spec.
pub(super) struct InlineRows {
    texts: Arc<Vec<InlineText>>,
    next: u64,
}

impl InlineRows {
    pub(super) fn new(texts: Arc<Vec<InlineText>>) -> Self {
        Self { texts, next: 0 }
    }
}

impl RowReader for InlineRows {
    fn next(&mut self) -> Result<Option<Row>, InputError> {
        let Some(InlineText { id, text, metadata }) =
            usize::try_from(self.next).ok().and_then(|row| self.texts.get(row))
        else {
            return Ok(None);
        };
        let position = Position { row: self.next, line: self.next, byte: 0 };
        self.next += 1;
        let content =
            checked_text("text", Place::new(false, position), Some(Value::String(text.clone()))).map(|text| {
                let metadata = metadata.iter().map(|(field, value)| (field.clone(), Value::String(value.clone())));
                Text { key: id.clone().unwrap_or_else(|| self.next.to_string()), text, metadata: metadata.collect() }
            });
        Ok(Some(Row { position, bytes: text.len(), content }))
    }

    fn seek(&mut self, position: Position) -> Result<(), InputError> {
        self.next = position.row;
        Ok(())
    }
}
