//! Waiting for conditions: by watches, with a bound, and with a message that says what was seen last. Reads the cluster.

use std::{collections::BTreeMap, fmt::Debug, time::Duration};

use futures::StreamExt;
use kube::{
    Api, Resource, ResourceExt,
    runtime::{
        WatchStreamExt,
        watcher::{self, Config, Event, watcher},
    },
};
use serde::{Serialize, de::DeserializeOwned};

/// How long a test waits for one condition: far longer than it takes, so that only what never comes fails.
pub const BOUND: Duration = Duration::from_secs(300);

/// How often is asked what cannot be watched.
const TURN: Duration = Duration::from_millis(200);

/// Waits until `found` makes something of the objects that the watch sees, sorted by name.
///
/// # Panics
/// If that has not happened within [`BOUND`]; the message tells `what` was waited for and what was seen last.
pub async fn until<K, T>(api: Api<K>, config: Config, what: &str, mut found: impl FnMut(&[&K]) -> Option<T>) -> T
where
    K: Resource<DynamicType = ()> + Clone + Debug + Send + Serialize + DeserializeOwned + 'static,
{
    let mut seen = BTreeMap::new();
    let mut listed = false;
    let mut trouble = None;
    let watching = async {
        let mut events = watcher(api, config).default_backoff().boxed();
        while let Some(event) = events.next().await {
            match event {
                Ok(Event::Init) => seen.clear(),
                Ok(Event::InitDone) => listed = true,
                Ok(Event::Apply(object) | Event::InitApply(object)) => {
                    seen.insert(object.name_any(), object);
                }
                Ok(Event::Delete(object)) => {
                    seen.remove(&object.name_any());
                }
                Err(error) => trouble = Some(error),
            }
            let objects: Vec<&K> = seen.values().collect();
            if listed && let Some(result) = found(&objects) {
                return Some(result);
            }
        }
        None
    };
    if let Ok(Some(result)) = tokio::time::timeout(BOUND, watching).await {
        return result;
    }
    panic!("waited {} s in vain until {what}; seen last: {}", BOUND.as_secs(), describe(&seen, trouble.as_ref()))
}

/// As [`until`], for one object; `found` is asked about it only while it is there.
///
/// # Panics
/// As [`until`].
pub async fn until_object<K, T>(api: Api<K>, name: &str, what: &str, mut found: impl FnMut(&K) -> Option<T>) -> T
where
    K: Resource<DynamicType = ()> + Clone + Debug + Send + Serialize + DeserializeOwned + 'static,
{
    let config = Config::default().fields(&format!("metadata.name={name}"));
    let what = format!("{} {name} {what}", K::kind(&()));
    until(api, config, &what, |objects| objects.first().and_then(|object| found(object))).await
}

/// Asks again and again until `found` makes something of the answer: where there is nothing to watch.
///
/// # Panics
/// If that has not happened within [`BOUND`].
pub async fn poll<T>(what: &str, mut found: impl AsyncFnMut() -> Option<T>) -> T {
    let asking = async {
        let mut turns = tokio::time::interval(TURN);
        loop {
            if let Some(result) = found().await {
                return result;
            }
            turns.tick().await;
        }
    };
    let asked = tokio::time::timeout(BOUND, asking).await;
    asked.unwrap_or_else(|_| panic!("waited {} s in vain until {what}", BOUND.as_secs()))
}

/// What the objects say: their status where they have one.
fn describe<K: Serialize>(seen: &BTreeMap<String, K>, trouble: Option<&watcher::Error>) -> String {
    let mut lines: Vec<String> = seen
        .iter()
        .map(|(name, object)| {
            let object = serde_json::to_value(object).unwrap_or_default();
            let said = object.get("status").unwrap_or(&object);
            format!("{name}: {said}")
        })
        .collect();
    if lines.is_empty() {
        lines.push("nothing".to_owned());
    }
    lines.extend(trouble.map(|error| format!("the watch: {error}")));
    lines.join("\n")
}
