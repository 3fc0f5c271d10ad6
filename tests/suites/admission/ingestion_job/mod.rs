//! `IngestionJob`s: a file for the sources, one for everything else that a spec has, and one for what users see of them.

mod options;
mod served;
mod source;

use serde_json::{Value, json};

/// Lays `over` upon the smallest useful spec; null takes a key away.
fn spec(over: Value) -> Value {
    let mut spec = json!({"source": {"inline": [{"name": "a.md", "text": "Hello."}]}});
    for (key, value) in over.as_object().unwrap() {
        match value {
            Value::Null => spec.as_object_mut().unwrap().remove(key),
            value => spec.as_object_mut().unwrap().insert(key.clone(), value.clone()),
        };
    }
    spec
}
