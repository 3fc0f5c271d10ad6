//! From the fields of a row to its text, id and metadata: the rules that formats share. No I/O.

use lexigram_api::text::TextFields;
use serde_json::{Map, Value};

use super::{MOST_TEXT_BYTES, Place, Position, RowError, Text};

/// Longest id, in bytes.
const MOST_KEY_BYTES: usize = 512;

/// The text of a row whose fields `take` gives, one by one.
pub(super) fn text(
    fields: &TextFields,
    place: Place,
    position: Position,
    mut take: impl FnMut(&str) -> Option<Value>,
) -> Result<Text, RowError> {
    // before the text, which may be the same field
    let mut metadata = Map::new();
    for field in &fields.metadata_fields {
        if let Some(value) = take(field) {
            metadata.insert(field.clone(), value);
        }
    }
    let key = match &fields.id_field {
        None => (position.row + 1).to_string(),
        Some(field) => key(field, place, take(field))?,
    };
    let text = checked_text(&fields.text_field, place, take(&fields.text_field))?;
    Ok(Text { key, text, metadata })
}

/// The text that a field holds, if it is one that can be embedded.
pub(super) fn checked_text(field: &str, place: Place, value: Option<Value>) -> Result<String, RowError> {
    let missing = |found| Err(RowError::TextMissing { place, field: field.to_owned(), found });
    match value {
        None => missing("missing"),
        Some(Value::Null) => missing("null"),
        Some(Value::String(text)) if text.trim().is_empty() => missing("empty"),
        Some(Value::String(text)) if text.len() > MOST_TEXT_BYTES => Err(RowError::TextTooLarge {
            place,
            what: "text",
            bytes: u64::try_from(text.len()).unwrap_or(u64::MAX),
            limit: MOST_TEXT_BYTES,
            hint: "",
        }),
        Some(Value::String(text)) => Ok(text),
        Some(other) => {
            let (field, found) = (field.to_owned(), kind(&other));
            Err(RowError::WrongType { place, field, found, wanted: "a string", setting: "spec.input.textField" })
        }
    }
}

fn key(field: &str, place: Place, value: Option<Value>) -> Result<String, RowError> {
    let wrong = |found| {
        let (wanted, setting) = ("a string of 1 to 512 bytes or a whole number", "spec.input.idField");
        Err(RowError::WrongType { place, field: field.to_owned(), found, wanted, setting })
    };
    match value {
        None => wrong("missing"),
        Some(Value::String(key)) if key.is_empty() => wrong("empty"),
        Some(Value::String(key)) if key.len() > MOST_KEY_BYTES => wrong("too long"),
        Some(Value::String(key)) => Ok(key),
        Some(Value::Number(number)) if !number.is_f64() => Ok(number.to_string()),
        Some(other) => wrong(kind(&other)),
    }
}

const fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}
