//! Watches: in every namespace or in a list of them, with a cache beside each. Reads from the API server.

use std::{fmt::Debug, hash::Hash};

use futures::{Stream, StreamExt, future, stream::{self, BoxStream}};
use kube::{
    Api, Client, Resource, ResourceExt,
    runtime::{
        WatchStreamExt,
        reflector::{self, ObjectRef, Store},
        watcher,
    },
};
use serde::de::DeserializeOwned;

use crate::names::{MANAGED_BY, OPERATOR, OWNER_NAME};

/// One API for each watched namespace, or one for all.
pub(super) fn apis<K>(client: &Client, namespaces: &[String]) -> Vec<Api<K>>
where
    K: Resource<Scope = k8s_openapi::NamespaceResourceScope, DynamicType = ()>,
{
    match namespaces {
        [] => vec![Api::all(client.clone())],
        some => some.iter().map(|namespace| Api::namespaced(client.clone(), namespace)).collect(),
    }
}

/// Caches of children, one an API.
pub(super) struct Children<K: Resource<DynamicType = ()> + Clone + 'static>(Vec<Store<K>>);

impl<K: Resource<DynamicType = ()> + Clone + 'static> Children<K>
where
    K::DynamicType: Hash + Eq,
{
    /// The children of a namespace that satisfy a condition.
    pub(super) fn find(&self, namespace: &str, wanted: impl Fn(&K) -> bool) -> Vec<std::sync::Arc<K>> {
        let here = |child: &K| child.meta().namespace.as_deref() == Some(namespace);
        self.0.iter().flat_map(Store::state).filter(|child| here(child) && wanted(child)).collect()
    }

    /// Waits until every cache has been filled once.
    pub(super) async fn ready(&self) {
        // an error says that the watch has ended, which only happens as the process does
        future::join_all(self.0.iter().map(Store::wait_until_ready)).await;
    }
}

/// Watches everything of a kind that the operator made: a cache, and a stream of the owners of whatever changes.
pub(super) fn children<K, Owner>(apis: Vec<Api<K>>) -> (Children<K>, BoxStream<'static, ObjectRef<Owner>>)
where
    K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Send + Sync + 'static,
    Owner: Resource<DynamicType = ()> + 'static,
{
    let (stores, streams): (Vec<_>, Vec<_>) = apis
        .into_iter()
        .map(|api| {
            let (store, writer) = reflector::store();
            let selected = watcher::Config::default().labels(&format!("{MANAGED_BY}={OPERATOR}"));
            let changes = watcher(api, selected).default_backoff().reflect(writer).touched_objects();
            (store, owners(changes).boxed())
        })
        .unzip();
    (Children(stores), stream::select_all(streams).boxed())
}

fn owners<K, Owner>(changes: impl Stream<Item = Result<K, watcher::Error>> + Send + 'static) -> impl Stream<Item = ObjectRef<Owner>>
where
    K: Resource<DynamicType = ()> + Send + 'static,
    Owner: Resource<DynamicType = ()> + 'static,
{
    changes.filter_map(|change| async move {
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
    })
}
