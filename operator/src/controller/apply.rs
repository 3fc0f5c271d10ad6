//! Writes to children. Writes to the API server.
//!
//! A child is made once and never changed but for `suspend`, so it is created and not applied: creation is the one
//! call that cannot overwrite what somebody else has put under the same name.

use std::fmt::Debug;

use k8s_openapi::NamespaceResourceScope;
use kube::{
    Api, Client, Resource, ResourceExt,
    api::{DeleteParams, Patch, PatchParams, PostParams, Preconditions},
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};

use super::ControllerError;
use crate::names::OPERATOR;

/// Whether an object of that name exists. Reads metadata only.
pub(super) async fn exists<K>(api: &Api<K>, name: &str) -> Result<bool, ControllerError>
where
    K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned,
{
    Ok(api.get_metadata_opt(name).await?.is_some())
}

/// Which version of an object is there: another one after each change, and after it was deleted and made anew. Reads
/// metadata only.
pub(super) async fn version<K>(api: &Api<K>, name: &str) -> Result<Option<String>, ControllerError>
where
    K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned,
{
    let found = api.get_metadata_opt(name).await?;
    Ok(found.map(|found| found.metadata.resource_version.unwrap_or_default()))
}

/// Creates a child, or finds the one that an earlier attempt, or another operator, has created; says whether it was not
/// there.
pub(super) async fn create<K>(client: &Client, child: &K, owner_uid: &str) -> Result<bool, ControllerError>
where
    K: Resource<Scope = NamespaceResourceScope, DynamicType = ()> + Clone + Debug + Serialize + DeserializeOwned,
{
    let namespace = child.namespace().ok_or(ControllerError::Incomplete("namespace"))?;
    let api: Api<K> = Api::namespaced(client.clone(), &namespace);
    let name = child.name_any();
    let kind = || K::kind(&()).into_owned();
    if create_unless_there(&api, child).await? {
        return Ok(true);
    }
    match api.get_metadata_opt(&name).await? {
        Some(found) if found.metadata.deletion_timestamp.is_some() => {
            Err(ControllerError::BeingDeleted { kind: kind(), name })
        }
        Some(found) => {
            if is_owned(&found, owner_uid) {
                Ok(false)
            } else {
                Err(ControllerError::NameTaken { kind: kind(), name })
            }
        }
        // it has gone since: the next pass creates it
        None => Err(ControllerError::BeingDeleted { kind: kind(), name }),
    }
}

/// Creates an object that nobody owns; says whether it was not there.
pub(super) async fn create_unless_there<K>(api: &Api<K>, object: &K) -> Result<bool, ControllerError>
where
    K: Resource<DynamicType = ()> + Clone + Debug + Serialize + DeserializeOwned,
{
    match api.create(&by_us(), object).await {
        Ok(_) => Ok(true),
        Err(kube::Error::Api(status)) if status.is_already_exists() => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Suspends a Job or CronJob, or lets it go on. One that has gone is no error.
pub(super) async fn set_suspend<K>(api: &Api<K>, name: &str, suspend: bool) -> Result<(), ControllerError>
where
    K: Clone + Debug + DeserializeOwned,
{
    gone_is_fine(merge(api, name, json!({"spec": {"suspend": suspend}})).await)
}

/// Sets one annotation of an object.
pub(super) async fn annotate<K>(api: &Api<K>, name: &str, key: &str, value: &str) -> Result<(), ControllerError>
where
    K: Clone + Debug + DeserializeOwned,
{
    gone_is_fine(merge(api, name, json!({"metadata": {"annotations": {key: value}}})).await)
}

/// Merges a patch into an object.
pub(super) async fn merge<K>(api: &Api<K>, name: &str, patch: Value) -> Result<K, kube::Error>
where
    K: Clone + Debug + DeserializeOwned,
{
    let by_us = PatchParams { field_manager: Some(OPERATOR.to_owned()), ..Default::default() };
    api.patch(name, &by_us, &Patch::Merge(patch)).await
}

/// Replaces an object, unless it has changed since it was read.
pub(super) async fn replace<K>(api: &Api<K>, object: &K) -> Result<(), ControllerError>
where
    K: Resource<DynamicType = ()> + Clone + Debug + Serialize + DeserializeOwned,
{
    api.replace(&object.name_any(), &by_us(), object).await?;
    Ok(())
}

/// Replaces an object's status, unless the object has changed since it was read.
pub(super) async fn status<K>(api: &Api<K>, object: &K, status: &impl Serialize) -> Result<(), ControllerError>
where
    K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned,
{
    let patch = json!({
        "apiVersion": K::api_version(&()),
        "kind": K::kind(&()),
        "metadata": {"name": object.name_any(), "resourceVersion": object.resource_version()},
        "status": status,
    });
    api.patch_status(&object.name_any(), &PatchParams::apply(OPERATOR).force(), &Patch::Apply(patch)).await?;
    Ok(())
}

/// Deletes an object once what it owns has gone. One that has gone is no error.
pub(super) async fn stop<K>(api: &Api<K>, name: &str) -> Result<(), ControllerError>
where
    K: Clone + Debug + DeserializeOwned,
{
    gone_is_fine(api.delete(name, &DeleteParams::foreground()).await)
}

/// Deletes an object and what it owns. One that has gone is no error.
pub(super) async fn delete<K>(api: &Api<K>, name: &str, uid: Option<String>) -> Result<(), ControllerError>
where
    K: Clone + Debug + DeserializeOwned,
{
    let preconditions = uid.map(|uid| Preconditions { uid: Some(uid), resource_version: None });
    gone_is_fine(api.delete(name, &DeleteParams { preconditions, ..DeleteParams::background() }).await)
}

/// Deletes a child and what it owns, unless it belongs to somebody else by now.
pub(super) async fn delete_ours<K>(api: &Api<K>, name: &str, owner_uid: &str) -> Result<(), ControllerError>
where
    K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned,
{
    match api.get_metadata_opt(name).await? {
        Some(found) if is_owned(&found, owner_uid) => delete(api, name, found.uid()).await,
        _ => Ok(()),
    }
}

fn by_us() -> PostParams {
    PostParams { field_manager: Some(OPERATOR.to_owned()), ..Default::default() }
}

fn is_owned(child: &impl ResourceExt, owner_uid: &str) -> bool {
    child.owner_references().iter().any(|owner| owner.controller == Some(true) && owner.uid == owner_uid)
}

fn gone_is_fine<T>(result: Result<T, kube::Error>) -> Result<(), ControllerError> {
    match result {
        Ok(_) => Ok(()),
        Err(kube::Error::Api(status)) if status.is_not_found() => Ok(()),
        Err(error) => Err(error.into()),
    }
}
