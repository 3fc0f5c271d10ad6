//! The contract as JSON Schemas, for authors of workers in other languages. No I/O.

use schemars::schema_for;
use serde_json::Value;

use super::{Progress, Report, WorkSpec};

/// Every message of the contract: its name and its schema.
#[must_use]
pub fn schemas() -> [(&'static str, Value); 3] {
    [
        ("work-spec", schema_for!(WorkSpec).to_value()),
        ("progress", schema_for!(Progress).to_value()),
        ("report", schema_for!(Report).to_value()),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every description below a schema.
    fn descriptions<'a>(schema: &'a Value, found: &mut Vec<&'a str>) {
        match schema {
            Value::Object(object) => {
                found.extend(object.get("description").and_then(Value::as_str));
                object.values().for_each(|child| descriptions(child, found));
            }
            Value::Array(items) => items.iter().for_each(|child| descriptions(child, found)),
            _ => {}
        }
    }

    #[test]
    fn descriptions_are_for_readers_of_any_language() {
        for (name, schema) in schemas() {
            let mut found = Vec::new();
            descriptions(&schema, &mut found);
            assert!(!found.is_empty(), "{name} describes nothing");
            let rust: Vec<_> = found.iter().filter(|text| text.contains("[`") || text.contains("::")).collect();
            assert!(rust.is_empty(), "{name} has links for rustdoc: {rust:?}");
        }
    }

    #[test]
    fn every_message_carries_the_version() {
        for (name, schema) in schemas() {
            assert_eq!(schema["properties"]["contractVersion"]["const"], "v1alpha1", "{name}");
            assert!(schema["required"].as_array().unwrap().contains(&"contractVersion".into()), "{name}");
        }
    }
}
