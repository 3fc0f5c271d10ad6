//! CRDs as they are shipped: the derived ones, with the generator's traps taken out. No I/O.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::CustomResourceExt;
use serde_json::{Map, Value, json};

use super::IngestionJob;

/// Longest message that a condition of ours carries, with room for what a later version may write.
const CONDITION_MESSAGE_CHARS: u32 = 32_768;

/// Every CRD of the API group, ready for the API server.
///
/// # Errors
/// Only if the derived schema is no JSON that a CRD can be read from, which a test rules out.
pub fn crds() -> Result<Vec<CustomResourceDefinition>, serde_json::Error> {
    [IngestionJob::crd()].into_iter().map(polish).collect()
}

/// Mends what the generator gets wrong: see the functions below.
fn polish(crd: CustomResourceDefinition) -> Result<CustomResourceDefinition, serde_json::Error> {
    let mut value = serde_json::to_value(crd)?;
    visit(&mut value, &mut |object| {
        strip_nullable(object);
        bound_condition(object);
    });
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
        ("type", json!({"maxLength": 316, "pattern": r"^([a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*/)?(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])$"})),
        ("reason", json!({"minLength": 1, "maxLength": 1024, "pattern": r"^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$"})),
        ("message", json!({"maxLength": CONDITION_MESSAGE_CHARS})),
        ("status", json!({"enum": ["True", "False", "Unknown"]})),
        ("observedGeneration", json!({"minimum": 0})),
    ];
    for (name, bound) in bounds {
        if let (Some(Value::Object(property)), Value::Object(bound)) = (properties.get_mut(name), bound) {
            property.extend(bound);
        }
    }
}
