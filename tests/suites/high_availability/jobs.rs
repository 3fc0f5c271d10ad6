//! Every Kubernetes Job that a namespace has ever had, by a watch that goes on beside the test. Reads the cluster.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, PoisonError},
};

use futures::StreamExt;
use k8s_openapi::api::batch::v1::Job;
use kube::{
    ResourceExt,
    runtime::{
        WatchStreamExt,
        watcher::{Config, Event, watcher},
    },
};
use lexigram_tests::Sandbox;
use tokio::task::JoinHandle;

type Seen = BTreeMap<String, BTreeSet<String>>;

/// The Jobs that were there: uids by name. The watch ends when this is dropped.
pub struct Jobs {
    seen: Arc<Mutex<Seen>>,
    task: JoinHandle<()>,
}

impl Jobs {
    /// Begins to watch.
    pub fn watch(it: &Sandbox) -> Self {
        let seen = Arc::new(Mutex::new(Seen::new()));
        let (noted, jobs) = (Arc::clone(&seen), it.api::<Job>());
        let task = tokio::spawn(async move {
            let mut events = watcher(jobs, Config::default()).default_backoff().boxed();
            while let Some(event) = events.next().await {
                if let Ok(Event::Apply(job) | Event::InitApply(job) | Event::Delete(job)) = event {
                    let mut noted = noted.lock().unwrap_or_else(PoisonError::into_inner);
                    noted.entry(job.name_any()).or_default().insert(job.uid().unwrap());
                }
            }
        });
        Self { seen, task }
    }

    /// Checks that there was one Job of each of these names, and no other one.
    pub fn assert_once(&self, names: &[String]) {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let twice: Vec<_> = seen.iter().filter(|(_, uids)| uids.len() != 1).collect();
        assert!(twice.is_empty(), "these were made more than once: {twice:?}");
        assert_eq!(seen.keys().collect::<BTreeSet<_>>(), names.iter().collect::<BTreeSet<_>>());
    }
}

impl Drop for Jobs {
    fn drop(&mut self) {
        self.task.abort();
    }
}
