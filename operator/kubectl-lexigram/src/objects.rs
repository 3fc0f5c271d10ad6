//! Objects of any kind, as the API server has them. Reads the cluster.

use std::collections::BTreeMap;

use futures::{Stream, StreamExt, stream::select_all};
use kube::{
    Api, ResourceExt,
    api::ListParams,
    core::DynamicObject,
    runtime::{
        WatchStreamExt,
        watcher::{self, Config, Event, watcher},
    },
};

use crate::{
    cluster::Cluster,
    error::PluginError,
    kind::{Kind, Target},
};

/// Objects of a page of a list.
const PAGE: u32 = 500;

/// Which objects a command is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scope {
    /// One object.
    One(Target),
    /// All of a namespace.
    Namespace,
    /// All of the cluster.
    Everywhere,
}

impl Scope {
    fn kinds(&self) -> Vec<Kind> {
        match self {
            Self::One(target) => vec![target.kind],
            Self::Namespace | Self::Everywhere => Kind::ALL.to_vec(),
        }
    }
}

/// An object and its kind.
#[derive(Clone, Debug, PartialEq)]
pub struct Object {
    /// Its kind.
    pub kind: Kind,
    /// The object.
    pub content: DynamicObject,
}

impl Object {
    /// The object as a person names it.
    pub fn target(&self) -> Target {
        Target { kind: self.kind, name: self.content.name_any() }
    }
}

/// The objects of one kind in the cluster's namespace, or in all.
pub fn api(cluster: &Cluster, kind: Kind, everywhere: bool) -> Api<DynamicObject> {
    let resource = kind.resource();
    match everywhere {
        true => Api::all_with(cluster.client.clone(), &resource),
        false => Api::namespaced_with(cluster.client.clone(), &cluster.namespace, &resource),
    }
}

/// One object.
pub async fn get(cluster: &Cluster, target: &Target) -> Result<Object, PluginError> {
    let found = api(cluster, target.kind, false).get_opt(&target.name).await?;
    let content = found.ok_or_else(|| not_found(cluster, target))?;
    Ok(Object { kind: target.kind, content })
}

/// What to say of an object that is not there.
pub fn not_found(cluster: &Cluster, target: &Target) -> PluginError {
    PluginError::NotFound { object: target.to_string(), namespace: cluster.namespace.clone() }
}

/// The objects of a scope, by kind and then as the API server sorts them.
pub async fn list(cluster: &Cluster, scope: &Scope) -> Result<Vec<Object>, PluginError> {
    if let Scope::One(target) = scope {
        return Ok(vec![get(cluster, target).await?]);
    }
    let mut objects = Vec::new();
    for kind in Kind::ALL {
        let api = api(cluster, kind, *scope == Scope::Everywhere);
        let mut page = ListParams::default().limit(PAGE);
        loop {
            let list = api.list(&page).await.map_err(PluginError::of_list)?;
            let next = list.metadata.continue_.clone().filter(|token| !token.is_empty());
            objects.extend(list.into_iter().map(|content| Object { kind, content }));
            match next {
                Some(token) => page = page.continue_token(&token),
                None => break,
            }
        }
    }
    Ok(objects)
}

/// Changes to the objects of a scope, for ever.
pub fn changes(cluster: &Cluster, scope: &Scope) -> impl Stream<Item = (Kind, watcher::Result<Event<DynamicObject>>)> {
    let streams = scope.kinds().into_iter().map(|kind| {
        let config = match scope {
            Scope::One(target) => Config::default().fields(&format!("metadata.name={}", target.name)),
            Scope::Namespace | Scope::Everywhere => Config::default(),
        };
        let events = watcher(api(cluster, kind, *scope == Scope::Everywhere), config).default_backoff();
        events.map(move |event| (kind, event)).boxed()
    });
    select_all(streams)
}

/// What changes have come to.
#[derive(Debug)]
pub struct Seen {
    objects: BTreeMap<(Kind, String, String), Object>,
    unlisted: Vec<Kind>,
}

impl Seen {
    /// Nothing yet of a scope.
    pub fn nothing(scope: &Scope) -> Self {
        Self { objects: BTreeMap::new(), unlisted: scope.kinds() }
    }

    /// Takes a change over.
    pub fn take(&mut self, kind: Kind, event: Event<DynamicObject>) {
        let key = |object: &DynamicObject| (kind, object.namespace().unwrap_or_default(), object.name_any());
        match event {
            Event::Init => {
                self.objects.retain(|(of, _, _), _| *of != kind);
                if !self.unlisted.contains(&kind) {
                    self.unlisted.push(kind);
                }
            }
            Event::Apply(content) | Event::InitApply(content) => {
                self.objects.insert(key(&content), Object { kind, content });
            }
            Event::Delete(content) => {
                self.objects.remove(&key(&content));
            }
            Event::InitDone => self.unlisted.retain(|of| *of != kind),
        }
    }

    /// The objects, sorted by kind, namespace and name; nothing while a list is under way.
    pub fn objects(&self) -> Option<Vec<&Object>> {
        self.unlisted.is_empty().then(|| self.objects.values().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(name: &str) -> DynamicObject {
        DynamicObject::new(name, &Kind::Ingestion.resource()).within("docs")
    }

    #[test]
    fn a_list_that_is_under_way_shows_nothing() {
        let names =
            |seen: &Seen| Some(seen.objects()?.iter().map(|object| object.content.name_any()).collect::<Vec<_>>());
        let mut seen = Seen::nothing(&Scope::One(Target { kind: Kind::Ingestion, name: "a".to_owned() }));
        let mut take = |event| {
            seen.take(Kind::Ingestion, event);
            names(&seen)
        };
        assert_eq!(take(Event::Init), None);
        assert_eq!(take(Event::InitApply(object("b"))), None);
        assert_eq!(take(Event::InitDone), Some(vec!["b".to_owned()]));
        assert_eq!(take(Event::Apply(object("a"))), Some(vec!["a".to_owned(), "b".to_owned()]));
        assert_eq!(take(Event::Delete(object("b"))), Some(vec!["a".to_owned()]));
        assert_eq!(take(Event::Init), None, "what has gone meanwhile is forgotten");
        assert_eq!(take(Event::InitDone), Some(vec![]));
    }
}
