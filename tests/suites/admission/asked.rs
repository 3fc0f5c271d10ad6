//! Questions to the API server: strict, and without effect.

use kube::{
    api::{Patch, PatchParams, PostParams},
    core::Request,
};
use lexigram_tests::{Object, Sandbox};
use serde_json::{Value, json};

/// Asks for a creation, as `kubectl create --dry-run=server` does.
pub async fn create<K: Object>(it: &Sandbox, name: &str, spec: Value) -> Result<Value, String> {
    let manifest = json!({
        "apiVersion": K::api_version(&()), "kind": K::kind(&()),
        "metadata": {"name": name, "namespace": it.namespace}, "spec": spec,
    });
    let url = format!("/apis/{}/namespaces/{}/{}", K::api_version(&()), it.namespace, K::plural(&()));
    let parameters = PostParams { dry_run: true, ..Default::default() };
    let mut request = Request::new(&url).create(&parameters, manifest.to_string().into_bytes()).unwrap();
    *request.uri_mut() = format!("{}&fieldValidation=Strict", request.uri()).parse().unwrap();
    it.client.request::<Value>(request).await.map_err(|error| error.to_string())
}

/// Asks for a change.
pub async fn change<K: Object>(it: &Sandbox, name: &str, spec: Value) -> Result<K, String> {
    let parameters = PatchParams { dry_run: true, ..Default::default() }.validation_strict();
    let patch = Patch::Merge(json!({"spec": spec}));
    it.api().patch(name, &parameters, &patch).await.map_err(|error| error.to_string())
}

/// Checks that each of these specs is accepted.
///
/// # Panics
/// If one is not.
pub async fn accepted<K: Object>(it: &Sandbox, cases: impl IntoIterator<Item = (&str, Value)>) {
    for (name, spec) in cases {
        if let Err(error) = create::<K>(it, "good", spec).await {
            panic!("{name}: {error}");
        }
    }
}

/// Checks that each of these specs is refused, with a message that has all of its fragments.
///
/// # Panics
/// If one is not.
pub async fn refused<K: Object>(it: &Sandbox, cases: Vec<(&str, Value, &[&str])>) {
    for (name, spec, fragments) in cases {
        let Err(message) = create::<K>(it, "bad", spec).await else { panic!("{name}: accepted") };
        for fragment in fragments {
            assert!(message.contains(fragment), "{name}: '{fragment}' is not in: {message}");
        }
    }
}
