//! Jobs that this process has created a moment ago, so that a cache that is behind lets no second one start. No I/O.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// How long a Job may take to come into the cache. One that does not has been deleted in the meantime.
const PATIENCE: Duration = Duration::from_secs(10);

/// The newest Job of each object, by the object's uid.
#[derive(Debug, Default)]
pub(super) struct Begun(Mutex<HashMap<String, (String, Instant)>>);

impl Begun {
    /// A Job was created.
    pub(super) fn note(&self, uid: &str, job: String) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(uid.to_owned(), (job, Instant::now()));
    }

    /// The Job that was created and that the cache does not know yet.
    pub(super) fn unseen(&self, uid: &str, is_cached: impl Fn(&str) -> bool) -> Option<String> {
        let mut begun = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (job, since) = begun.get(uid)?;
        if !is_cached(job) && since.elapsed() < PATIENCE {
            return Some(job.clone());
        }
        begun.remove(uid);
        None
    }
}
