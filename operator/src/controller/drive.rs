//! Runs the controllers of a kind, whatever the kind is, and says what came of each reconcile: in the log, and in metrics.

#[cfg(test)]
mod tests;

use std::{
    fmt::Debug,
    sync::Arc,
    time::{Duration, Instant},
};

use futures::{StreamExt, stream};
use kube::{
    Resource,
    runtime::{
        controller::{Action, Config, Controller, Error as RuntimeError},
        reflector::ObjectRef,
        watcher::Error as WatchError,
    },
};
use serde::de::DeserializeOwned;
use tracing::{Instrument, Span, field};

use super::ControllerError;
use crate::{metrics::Metrics, queue::Key};

/// How soon a reconcile is made again that failed.
pub(super) const RETRY_INTERVAL: Duration = Duration::from_secs(5);

/// How long changes are gathered: a Job, its pod and its object tend to change together, and are then looked at once.
const GATHER: Duration = Duration::from_millis(100);

/// What came of a reconcile, or of the look for its object.
type Outcome<K> = Result<(ObjectRef<K>, Action), RuntimeError<ControllerError, WatchError>>;

/// How a controller works that reconciles so many objects at once.
pub(super) fn limits(concurrency: u16) -> Config {
    Config::default().concurrency(concurrency).debounce(GATHER)
}

/// Runs the controllers, one a watched namespace, until they are told to shut down. `gone` hears of objects that are no
/// longer there.
pub(super) async fn drive<K, C, F, R>(
    kind: &'static str,
    controllers: Vec<Controller<K>>,
    reconcile: R,
    context: Arc<C>,
    metrics: &Metrics,
    gone: impl Fn(&Key),
) where
    K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Send + Sync + 'static,
    C: Send + Sync + 'static,
    F: Future<Output = Result<Action, ControllerError>> + Send + 'static,
    R: Fn(Arc<K>, Arc<C>) -> F + Copy + Send + 'static,
{
    let outcomes = controllers.into_iter().map(|controller| {
        controller.run(reconcile, |_, _, _| Action::requeue(RETRY_INTERVAL), Arc::clone(&context)).boxed()
    });
    let mut outcomes = stream::select_all(outcomes);
    while let Some(outcome) = outcomes.next().await {
        note(kind, outcome, metrics, &gone);
    }
}

fn note<K: Resource<DynamicType = ()>>(
    kind: &'static str,
    outcome: Outcome<K>,
    metrics: &Metrics,
    gone: &impl Fn(&Key),
) {
    match outcome {
        Err(RuntimeError::ObjectNotFound(object)) => {
            let key = (object.namespace.clone().unwrap_or_default(), object.name.clone());
            metrics.dead_letters(kind, &key, &[], None);
            gone(&key);
        }
        // were told within their span
        Ok(_) | Err(RuntimeError::ReconcilerFailed(..)) => {}
        Err(error) => tracing::warn!(%error, "a watch was interrupted and is being resumed"),
    }
}

/// Makes one pass over an object. Whatever is logged meanwhile carries its kind, namespace and name, uid and, once
/// [`name_run`] knows it, its run; and traces have a span of the pass.
pub(super) async fn in_span<K: Resource<DynamicType = ()>>(
    kind: &'static str,
    object: &K,
    metrics: &Metrics,
    pass: impl Future<Output = Result<Action, ControllerError>>,
) -> Result<Action, ControllerError> {
    let meta = object.meta();
    let (namespace, name) = (meta.namespace.as_deref().unwrap_or_default(), meta.name.as_deref().unwrap_or_default());
    let uid = meta.uid.as_deref().unwrap_or_default();
    // at the level of errors, so that no filter takes the fields from what it lets through
    let span = tracing::error_span!("reconcile", kind, object = format!("{namespace}/{name}"), uid, run = field::Empty);
    let counted = async {
        let begun = Instant::now();
        conclude(kind, begun, pass.await, metrics)
    };
    counted.instrument(span).await
}

/// Tells log and traces which run the pass at hand is about, if there is one.
pub(super) fn name_run(run: Option<&str>) {
    if let Some(run) = run {
        Span::current().record("run", run);
    }
}

/// Counts a reconcile that began then, and says when it is made again. One whose object was changed or deleted meanwhile
/// has not failed.
fn conclude(
    kind: &'static str,
    begun: Instant,
    result: Result<Action, ControllerError>,
    metrics: &Metrics,
) -> Result<Action, ControllerError> {
    metrics.reconciled(kind, begun.elapsed(), result.is_ok());
    match result {
        Err(error) if error.is_conflict() => Ok(Action::requeue(Duration::from_secs(1))),
        Err(error) if error.is_not_found() => Ok(Action::await_change()),
        Err(error) => {
            let reason = error.reason();
            metrics.reconcile_error(kind, reason);
            tracing::warn!(%error, reason, category = %error.category(), "a reconcile failed");
            Err(error)
        }
        Ok(action) => {
            tracing::debug!(?action, "reconciled");
            Ok(action)
        }
    }
}
