//! Runs the controllers of a kind, whatever the kind is, and says what came of each reconcile: in the log, and in metrics.

use std::{
    fmt::Debug,
    sync::Arc,
    time::{Duration, Instant},
};

use futures::{StreamExt, stream};
use kube::{
    Resource,
    runtime::{
        controller::{Action, Controller, Error as RuntimeError},
        reflector::ObjectRef,
        watcher::Error as WatchError,
    },
};
use serde::de::DeserializeOwned;

use super::ControllerError;
use crate::{metrics::Metrics, queue::Key};

/// How soon a reconcile is made again that failed.
pub(super) const RETRY_INTERVAL: Duration = Duration::from_secs(5);

/// What came of a reconcile, or of the look for its object.
type Outcome<K> = Result<(ObjectRef<K>, Action), RuntimeError<ControllerError, WatchError>>;

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
        Ok((object, action)) => tracing::debug!(%object, ?action, "reconciled"),
        Err(RuntimeError::ObjectNotFound(object)) => {
            let key = (object.namespace.clone().unwrap_or_default(), object.name.clone());
            metrics.dead_letters(kind, &key, &[], None);
            gone(&key);
        }
        Err(RuntimeError::ReconcilerFailed(error, object)) => {
            metrics.reconcile_error(kind, error.reason());
            tracing::warn!(%object, %error, reason = error.reason(), category = %error.category(), "a reconcile failed");
        }
        Err(error) => tracing::warn!(%error, "a watch was interrupted and is being resumed"),
    }
}

/// Counts a reconcile that began then, and says when it is made again. One whose object was changed or deleted meanwhile
/// has not failed.
pub(super) fn conclude(
    kind: &'static str,
    begun: Instant,
    result: Result<Action, ControllerError>,
    metrics: &Metrics,
) -> Result<Action, ControllerError> {
    metrics.reconciled(kind, begun.elapsed(), result.is_ok());
    match result {
        Err(error) if error.is_conflict() => Ok(Action::requeue(Duration::from_secs(1))),
        Err(error) if error.is_not_found() => Ok(Action::await_change()),
        other => other,
    }
}
