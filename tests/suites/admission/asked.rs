//! Questions to the API server: strict, and without effect.

use kube::{
    api::{Patch, PatchParams, PostParams},
    core::Request,
};
use lexigram_tests::{Job, Sandbox};
use serde_json::{Value, json};

/// Asks for a creation, as `kubectl create --dry-run=server` does.
pub async fn create<K: Job>(it: &Sandbox, name: &str, spec: Value) -> Result<Value, String> {
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
pub async fn change<K: Job>(it: &Sandbox, name: &str, spec: Value) -> Result<K, String> {
    let parameters = PatchParams { dry_run: true, ..Default::default() }.validation_strict();
    let patch = Patch::Merge(json!({"spec": spec}));
    it.api().patch(name, &parameters, &patch).await.map_err(|error| error.to_string())
}
