//! Watches with a cache beside each, in every namespace or in a list of them. Reads from the API server, 500 objects a page;
//! what the operator made is selected by label, and a Secret, ConfigMap or claim is never watched, nor read but for its
//! metadata.

use std::{fmt::Debug, sync::Arc};

use futures::{
    Stream, StreamExt, future,
    stream::{self, BoxStream},
};
use k8s_openapi::NamespaceResourceScope;
use kube::{
    Api, Client, Resource, ResourceExt,
    runtime::{
        WatchStreamExt,
        reflector::{self, ObjectRef, Store},
        watcher,
    },
};
use serde::de::DeserializeOwned;
use tokio::sync::watch;

use super::cached::{self, Child};
use crate::names::{MANAGED_BY, OPERATOR, OWNER_KIND, OWNER_NAME};

/// The namespaces that are watched, each as one scope, or `None` for all of them at once.
pub(super) fn scopes(namespaces: &[String]) -> Vec<Option<String>> {
    match namespaces {
        [] => vec![None],
        some => some.iter().cloned().map(Some).collect(),
    }
}

fn api<K>(client: &Client, scope: Option<&str>) -> Api<K>
where
    K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>,
{
    match scope {
        None => Api::all(client.clone()),
        Some(namespace) => Api::namespaced(client.clone(), namespace),
    }
}

/// Caches of one kind, one a scope.
pub(super) struct Cache<K: Resource<DynamicType = ()> + Clone + 'static>(Vec<Store<K>>);

impl<K: Resource<DynamicType = ()> + Clone + 'static> Cache<K> {
    /// Puts the caches of all scopes together.
    pub(super) fn new(stores: Vec<Store<K>>) -> Self {
        Self(stores)
    }

    /// Everything that is cached.
    pub(super) fn all(&self) -> impl Iterator<Item = Arc<K>> {
        self.0.iter().flat_map(Store::state)
    }

    /// What is in a namespace and satisfies a condition.
    pub(super) fn find(&self, namespace: &str, wanted: impl Fn(&K) -> bool) -> Vec<Arc<K>> {
        self.all().filter(|item| item.meta().namespace.as_deref() == Some(namespace) && wanted(item)).collect()
    }

    /// Waits until every cache has been filled once.
    pub(super) async fn ready(&self) {
        // an error says that the watch has ended, which only happens as the process does
        future::join_all(self.0.iter().map(Store::wait_until_ready)).await;
    }
}

/// Watches the objects of a kind: a cache, and whatever changes, what was deleted included.
pub(super) fn objects<K>(
    client: &Client,
    scope: Option<&str>,
) -> (Store<K>, impl Stream<Item = Result<K, watcher::Error>> + Send + use<K>)
where
    K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>
        + Clone
        + Debug
        + DeserializeOwned
        + Send
        + Sync
        + 'static,
{
    let (store, writer) = reflector::store();
    let changes = watcher(api(client, scope), watcher::Config::default()).default_backoff();
    (store, changes.modify(cached::slim).reflect(writer).touched_objects())
}

/// Watches what the operator made for the objects of a kind: a cache, and the owners of whatever changes.
pub(super) fn children<K, Owner>(
    client: &Client,
    scope: Option<&str>,
) -> (Store<K>, BoxStream<'static, ObjectRef<Owner>>)
where
    K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>
        + Child
        + Clone
        + Debug
        + DeserializeOwned
        + Send
        + Sync
        + 'static,
    Owner: Resource<DynamicType = ()> + 'static,
{
    let (store, writer) = reflector::store();
    let kind = Owner::kind(&());
    let selected = watcher::Config::default().labels(&format!("{MANAGED_BY}={OPERATOR},{OWNER_KIND}={kind}"));
    let changes = watcher(api::<K>(client, scope), selected).default_backoff().modify(Child::slim);
    let changes = changes.reflect(writer).touched_objects();
    (store, changes.filter_map(|change| future::ready(owner(change))).boxed())
}

fn owner<K, Owner>(change: Result<K, watcher::Error>) -> Option<ObjectRef<Owner>>
where
    K: Resource,
    Owner: Resource<DynamicType = ()> + 'static,
{
    match change {
        Ok(child) => {
            let name = child.annotations().get(OWNER_NAME)?;
            Some(ObjectRef::new(name).within(&child.namespace()?))
        }
        Err(error) => {
            tracing::warn!(%error, "a watch was interrupted and is being resumed");
            None
        }
    }
}

/// One item for each change of a watched value; ends with its sender.
pub(super) fn changes<T: Send + Sync + 'static>(receiver: watch::Receiver<T>) -> impl Stream<Item = ()> + Send {
    stream::unfold(receiver, |mut receiver| async move {
        receiver.changed().await.ok()?;
        Some(((), receiver))
    })
}
