//! Jobs that come back: because an annotation asks for it, or because a Secret, ConfigMap or claim that they name has
//! changed since the run that failed for want of a good one. No I/O.

use kube::ResourceExt;
use lexigram_api::failure::FailureCategory;

use super::request::{self, BadRequest, Request, Wish};
use crate::controller::{
    job::{
        kind::{JobKind, status_of},
        observe::Observation,
    },
    runs::Run,
};

/// Categories of failures that another Secret or ConfigMap can mend.
pub const MENDED_OUTSIDE: [FailureCategory; 2] = [FailureCategory::Authentication, FailureCategory::Configuration];

/// The requests that nobody has acted on yet, the earliest first.
///
/// # Errors
/// An annotation that cannot be understood; it counts even where the others can.
pub fn wanted<K: JobKind>(job: &K, seen: &Observation) -> Result<Vec<Request>, BadRequest> {
    let mut open = Vec::new();
    for wish in Wish::ALL {
        open.extend(request::read(wish, job.annotations())?.filter(|request| !is_met(job, seen, request)));
    }
    open.sort_by_key(|request| request.time);
    Ok(open)
}

/// A request is met by the Job that carries it. Status remembers it for the time after that Job.
fn is_met<K: JobKind>(job: &K, seen: &Observation, request: &Request) -> bool {
    let by = |run: &Run| run.request.as_ref().is_some_and(|of| of.wish == request.wish && of.value == request.value);
    let remembered = status_of(job).and_then(|status| request.wish.last(status));
    seen.all().any(by) || remembered == Some(&request.value)
}

/// Whether what the spec names is another than at the start of the newest run. False while that is not known.
#[must_use]
pub fn is_mended(seen: &Observation) -> bool {
    let then = seen.runs.last().and_then(|run| run.references.as_ref());
    matches!((then, &seen.references), (Some(then), Some(now)) if then != now)
}
