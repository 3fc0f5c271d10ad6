//! CRDs as they are shipped: the derived ones, with the generator's traps taken out. No I/O.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::CustomResourceExt;
use serde_json::{Map, Value, json};

use super::{
    EmbeddingBatch, IngestionJob, MaintenanceSchedule,
    condition::{MESSAGE_BYTES, REASON_BYTES},
};

/// Where the types that we borrow from Kubernetes stand: affinity, tolerations, resources, references.
const WORKER: &str = "/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties/worker";

/// Every CRD of the API group, ready for the API server.
///
/// # Errors
/// Only if the derived schema is no JSON that a CRD can be read from, which a test rules out.
pub fn crds() -> Result<Vec<CustomResourceDefinition>, serde_json::Error> {
    [EmbeddingBatch::crd(), IngestionJob::crd(), MaintenanceSchedule::crd()].into_iter().map(polish).collect()
}

/// Mends what the generator gets wrong: see the functions below.
fn polish(crd: CustomResourceDefinition) -> Result<CustomResourceDefinition, serde_json::Error> {
    let mut value = serde_json::to_value(crd)?;
    visit(&mut value, &mut |object| {
        strip_nullable(object);
        bound_condition(object);
    });
    if let Some(worker) = value.pointer_mut(WORKER) {
        visit(worker, &mut bound_borrowed);
    }
    serde_json::from_value(value)
}

fn visit(value: &mut Value, mend: &mut impl FnMut(&mut Map<String, Value>)) {
    match value {
        Value::Object(object) => {
            mend(object);
            object.values_mut().for_each(|child| visit(child, mend));
        }
        Value::Array(items) => items.iter_mut().for_each(|child| visit(child, mend)),
        _ => {}
    }
}

/// `Option<T>` becomes `nullable: true` and null an enum value: a field is absent or set, never null.
fn strip_nullable(schema: &mut Map<String, Value>) {
    schema.remove("nullable");
    if let Some(Value::Array(values)) = schema.get_mut("enum") {
        values.retain(|value| !value.is_null());
    }
}

/// `metav1.Condition` comes without the patterns and bounds that its Go type declares.
fn bound_condition(schema: &mut Map<String, Value>) {
    let Some(Value::Object(properties)) = schema.get_mut("properties") else { return };
    if !["lastTransitionTime", "reason", "status", "type", "message"].iter().all(|key| properties.contains_key(*key)) {
        return;
    }
    let bounds = [
        (
            "type",
            json!({"maxLength": 64, "pattern": r"^([a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*/)?(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])$"}),
        ),
        (
            "reason",
            json!({"minLength": 1, "maxLength": REASON_BYTES, "pattern": r"^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$"}),
        ),
        ("message", json!({"maxLength": MESSAGE_BYTES})),
        ("status", json!({"enum": ["True", "False", "Unknown"]})),
        ("observedGeneration", json!({"minimum": 0})),
    ];
    for (name, bound) in bounds {
        if let (Some(Value::Object(property)), Value::Object(bound)) = (properties.get_mut(name), bound) {
            property.extend(bound);
        }
    }
}

/// Types of Kubernetes come without the bounds that their own validation knows; these hold more than any of them.
fn bound_borrowed(schema: &mut Map<String, Value>) {
    let bounds = match schema.get("type").and_then(Value::as_str) {
        Some("string") if !schema.contains_key("enum") => json!({"maxLength": 1024}),
        Some("array") => json!({"maxItems": 128}),
        Some("integer") => json!({"minimum": 0, "maximum": i32::MAX}),
        Some("object") if schema.contains_key("additionalProperties") => json!({"maxProperties": 128}),
        _ => return,
    };
    if let Value::Object(bounds) = bounds {
        for (name, bound) in bounds {
            schema.entry(name).or_insert(bound);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every schema below `schema`, with its path.
    fn schemas<'a>(path: &str, schema: &'a Value, found: &mut Vec<(String, &'a Value)>) {
        found.push((path.to_owned(), schema));
        for (name, property) in schema["properties"].as_object().into_iter().flatten() {
            schemas(&format!("{path}.{name}"), property, found);
        }
        for (key, sign) in [("items", "[]"), ("additionalProperties", "{}")] {
            if schema[key].is_object() {
                schemas(&format!("{path}{sign}"), &schema[key], found);
            }
        }
    }

    /// What `complaint` says of any schema of any CRD, below the properties `roots`.
    fn complaints(roots: &[&str], complaint: impl Fn(&Value) -> Option<&'static str>) -> Vec<String> {
        let mut complaints = Vec::new();
        for crd in crds().unwrap() {
            let crd = serde_json::to_value(crd).unwrap();
            for version in crd["spec"]["versions"].as_array().unwrap() {
                for root in roots {
                    let schema = &version["schema"]["openAPIV3Schema"]["properties"][root];
                    assert!(schema.is_object(), "there is no {root}");
                    let mut found = Vec::new();
                    schemas(root, schema, &mut found);
                    complaints.extend(found.iter().filter_map(|(path, schema)| {
                        complaint(schema).map(|complaint| format!("{path}: {complaint}"))
                    }));
                }
            }
        }
        complaints
    }

    const NONE: [String; 0] = [];

    #[test]
    fn nothing_may_be_null() {
        let null = |schema: &Value| {
            let lists_null = schema["enum"].as_array().is_some_and(|values| values.contains(&Value::Null));
            (schema.get("nullable").is_some() || lists_null).then_some("may be null")
        };
        assert_eq!(complaints(&["spec", "status"], null), NONE);
    }

    #[test]
    fn every_property_is_described() {
        let silent = |schema: &Value| {
            let properties = schema["properties"].as_object()?;
            let described = |property: &Value| property["description"].as_str().is_some_and(|text| !text.is_empty());
            (!properties.values().all(described)).then_some("has a property without a description")
        };
        assert_eq!(complaints(&["spec", "status"], silent), NONE);
    }

    #[test]
    fn every_value_is_named_where_its_field_is_described() {
        let silent = |schema: &Value| {
            let properties = schema["properties"].as_object()?;
            let named = |property: &Value| {
                let text = property["description"].as_str().unwrap_or_default();
                let values = property["enum"].as_array().into_iter().flatten().filter_map(Value::as_str);
                values.into_iter().all(|value| text.contains(value))
            };
            (!properties.values().all(named))
                .then_some("has a property of whose values the description leaves some out")
        };
        assert_eq!(complaints(&["spec", "status"], silent), NONE);
    }

    #[test]
    fn everything_in_a_spec_is_bounded() {
        let unbounded = |schema: &Value| {
            let has = |keys: &[&str]| keys.iter().any(|key| schema.get(key).is_some());
            match schema["type"].as_str() {
                Some("string") => (!has(&["maxLength", "enum"])).then_some("a string without maxLength"),
                Some("array") => (!has(&["maxItems"])).then_some("an array without maxItems"),
                Some("integer") => {
                    (!has(&["minimum"]) || !has(&["maximum"])).then_some("an integer without minimum or maximum")
                }
                Some("number") => Some("a float"),
                Some("object") if has(&["additionalProperties"]) => {
                    (!has(&["maxProperties"])).then_some("a map without maxProperties")
                }
                _ => None,
            }
        };
        assert_eq!(complaints(&["spec"], unbounded), NONE);
    }

    #[test]
    fn age_is_the_last_column() {
        for crd in crds().unwrap() {
            for version in &crd.spec.versions {
                let columns = version.additional_printer_columns.as_deref().unwrap_or_default();
                let last = columns.last().map(|column| (column.name.as_str(), column.json_path.as_str()));
                assert_eq!(last, Some(("Age", ".metadata.creationTimestamp")), "{}", crd.spec.names.kind);
            }
        }
    }
}
