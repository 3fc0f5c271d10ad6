//! Whose turn it is in the queue: the objects that are looked at again when others come or go. No I/O but waiting.

use std::{sync::Arc, time::Duration};

use futures::{Stream, StreamExt, stream};
use kube::{Resource, runtime::reflector::ObjectRef};
use tokio::{sync::watch as channel, time::sleep};

use crate::{
    controller::watch,
    queue::{Key, Queue},
};

/// How long movements are gathered before positions are told anew.
const GATHER: Duration = Duration::from_secs(2);
/// Positions that are told anew at once, a watched namespace: with [`GATHER`] the bound of what they cost, however many wait.
const CORRECTIONS: usize = 10;

/// The objects of one watched namespace, or of all, that may have moved.
pub(super) struct Turns {
    pub(super) queue: Arc<Queue>,
    pub(super) scope: Option<String>,
    /// Told whenever objects come or go.
    pub(super) moved: channel::Receiver<()>,
}

impl Turns {
    /// Each time that a place comes free, the objects that may take it; there are `limit` places.
    pub(super) fn admissible<K, Limit>(&self, limit: Limit) -> impl Stream<Item = ObjectRef<K>> + Send + use<K, Limit>
    where
        K: Resource<DynamicType = ()> + Send + 'static,
        Limit: Fn() -> u32 + Send + 'static,
    {
        let (queue, scope) = (Arc::clone(&self.queue), self.scope.clone());
        watch::changes(self.moved.clone()).flat_map(move |()| {
            let next = queue.next(limit()).into_iter().filter(|key| is_within(scope.as_deref(), key));
            stream::iter(next.map(reference).collect::<Vec<_>>())
        })
    }

    /// The objects that are to tell their new positions.
    pub(super) fn corrected<K>(&self) -> impl Stream<Item = ObjectRef<K>> + Send + use<K>
    where
        K: Resource<DynamicType = ()> + Send + 'static,
    {
        let (queue, scope) = (Arc::clone(&self.queue), self.scope.clone());
        let corrections = stream::unfold((self.moved.clone(), false), move |(mut moved, more)| {
            let (queue, scope) = (Arc::clone(&queue), scope.clone());
            async move {
                if !more {
                    moved.changed().await.ok()?;
                }
                sleep(GATHER).await;
                moved.mark_unchanged();
                let (keys, more) = queue.correct(CORRECTIONS, |key| is_within(scope.as_deref(), key));
                Some((stream::iter(keys.into_iter().map(reference)), (moved, more)))
            }
        });
        corrections.flatten()
    }
}

fn is_within(scope: Option<&str>, (namespace, _): &Key) -> bool {
    scope.is_none_or(|scope| scope == namespace)
}

fn reference<K: Resource<DynamicType = ()>>((namespace, name): Key) -> ObjectRef<K> {
    ObjectRef::new(&name).within(&namespace)
}
