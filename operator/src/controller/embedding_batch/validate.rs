//! What the API server cannot check about an input: formats by name, ids that are given twice. No I/O.

use std::collections::BTreeSet;

use lexigram_api::{resource::BatchInput, text::TextFormat};

use crate::controller::job::validate::Invalid;

/// Checks an input that the API server has let pass.
///
/// # Errors
/// The first field that cannot be used.
pub(super) fn input(input: &BatchInput) -> Result<(), Invalid> {
    let mut ids = BTreeSet::new();
    for (index, text) in input.texts.iter().flatten().enumerate() {
        let id = text.id.clone().unwrap_or_else(|| (index + 1).to_string());
        if !ids.insert(id.clone()) {
            return Err(Invalid {
                field: format!("spec.input.texts[{index}].id"),
                value: id,
                expected: "id of one text only",
                problem: "a text before has it; a text without id has its place in the list as id".to_owned(),
                correctable: false,
            });
        }
    }
    let map = input.config_map.as_ref().map(|map| map.key.as_str());
    let claim = input.persistent_volume_claim.as_ref().map(|claim| claim.path.as_str());
    match map.or(claim) {
        Some(name) if input.format.is_none() && TextFormat::of_name(name).is_none() => Err(Invalid {
            field: "spec.input.format".to_owned(),
            value: name.to_owned(),
            expected: "name that tells its format",
            problem: "set spec.input.format to Lines, JSONL, CSV or Parquet".to_owned(),
            correctable: false,
        }),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::{Value, json};

    use super::*;

    fn checked(value: Value) -> Result<(), String> {
        input(&serde_json::from_value(value).unwrap()).map_err(|invalid| invalid.field)
    }

    #[rstest]
    #[case::own_ids(json!({"texts": [{"id": "a", "text": "x"}, {"id": "b", "text": "x"}]}), Ok(()))]
    #[case::twice(json!({"texts": [{"id": "a", "text": "x"}, {"id": "a", "text": "y"}]}), Err("spec.input.texts[1].id"))]
    #[case::place(json!({"texts": [{"id": "2", "text": "x"}, {"text": "y"}]}), Err("spec.input.texts[1].id"))]
    #[case::by_ending(json!({"persistentVolumeClaim": {"claimName": "c", "path": "x/a.JSONL"}}), Ok(()))]
    #[case::by_word(json!({"format": "CSV", "configMap": {"name": "c", "key": "table"}}), Ok(()))]
    #[case::unknown(json!({"configMap": {"name": "c", "key": "table.tab"}}), Err("spec.input.format"))]
    fn inputs(#[case] value: Value, #[case] expected: Result<(), &str>) {
        assert_eq!(checked(value), expected.map_err(str::to_owned));
    }
}
