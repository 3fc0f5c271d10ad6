//! How large a status can become: the largest that the schema of each kind allows. Tests.

use rstest::rstest;
use serde_json::{Map, Value, json};

use super::{MAX_RUNS_BYTES, crds};

/// What a status may take. Etcd takes 1.5 MiB of an object, and each change sends it to everybody who watches.
const MAX_BYTES: usize = 32 * 1024;
/// For names in letters of several bytes: texts of any length are cut by bytes, and few others are not plain ASCII.
const MARGIN_BYTES: usize = 1024;

/// The largest value of a schema: every field is there, every list full, every text as long as it may be.
fn largest(path: &str, schema: &Value) -> Value {
    if let Some(values) = schema["enum"].as_array() {
        return values.iter().max_by_key(|value| value.to_string().len()).unwrap().clone();
    }
    let bound = |key: &str| {
        let bound = schema[key].as_u64().unwrap_or_else(|| panic!("{path} has no {key}"));
        usize::try_from(bound).unwrap()
    };
    match (schema["type"].as_str().unwrap(), schema["format"].as_str()) {
        ("string", Some("date-time")) => json!("2026-11-28T08:44:48.123456789Z"),
        ("string", _) => json!("x".repeat(bound("maxLength"))),
        ("integer", Some("int32")) => json!(i32::MIN),
        ("integer", _) => json!(i64::MIN),
        ("boolean", _) => json!(false),
        ("array", _) => Value::Array(vec![largest(&format!("{path}[]"), &schema["items"]); bound("maxItems")]),
        ("object", _) => {
            let fields = schema["properties"].as_object().unwrap_or_else(|| panic!("{path} has no properties"));
            let largest = |(name, field): (&String, &Value)| (name.clone(), largest(&format!("{path}.{name}"), field));
            Value::Object(fields.iter().map(largest).collect::<Map<_, _>>())
        }
        (other, _) => panic!("{path} has the type {other}"),
    }
}

#[rstest]
#[case("EmbeddingBatch")]
#[case("IngestionJob")]
#[case("MaintenanceSchedule")]
fn the_largest_status_fits(#[case] kind: &str) {
    let crd = crds().unwrap().into_iter().find(|crd| crd.spec.names.kind == kind).unwrap();
    let crd = serde_json::to_value(crd).unwrap();
    let mut status =
        largest("status", &crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["status"]);
    if kind == "MaintenanceSchedule" {
        // the one list that is bounded by bytes, and not by its schema alone
        status["runs"] = json!("x".repeat(MAX_RUNS_BYTES));
    }
    let parts = status.as_object().unwrap().iter().map(|(name, value)| (name, value.to_string().len()));
    let parts: Vec<_> = parts.filter(|(_, size)| *size > MARGIN_BYTES).collect();
    let size = status.to_string().len();
    assert!(size + MARGIN_BYTES <= MAX_BYTES, "{size} bytes, most of them {parts:?}");
}
