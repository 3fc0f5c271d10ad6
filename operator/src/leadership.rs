//! Until when this process leads, and the fence that keeps it from writing after that. Reads a clock.
//!
//! A process that was paused, or that had no processor for a while, goes on in the middle of whatever it did, and nothing
//! in it knows how late it is. So every write asks here first, as the last thing before it is sent. What is on its way at
//! the very end has the rest of the lease to arrive ([`crate::leader`] gives up before others may begin); later than that
//! the version that a status write carries, and the names that runs have, make it come to nothing.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use http::{Method, Request};
use rustix::time::{ClockId, clock_gettime};
use thiserror::Error;
use tower::BoxError;

/// A write that was held back.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("this process no longer leads, and writes nothing")]
pub struct NotLeading;

/// Until when the lease counts as this process's own. All clones are one.
#[derive(Clone)]
pub struct Leadership(Arc<State>);

struct State {
    /// In milliseconds of the clock.
    until: AtomicU64,
    clock: Box<dyn Fn() -> Duration + Send + Sync>,
}

impl Default for Leadership {
    fn default() -> Self {
        Self::by(since_boot)
    }
}

impl fmt::Debug for Leadership {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Leadership").field("left", &self.left()).finish()
    }
}

impl Leadership {
    /// A process that does not lead, with that clock.
    pub fn by(clock: impl Fn() -> Duration + Send + Sync + 'static) -> Self {
        Self(Arc::new(State { until: AtomicU64::new(0), clock: Box::new(clock) }))
    }

    /// The time by the clock that counts here: it goes on while the process, or the machine, is stopped.
    #[must_use]
    pub fn now(&self) -> Duration {
        (self.0.clock)()
    }

    /// The process leads until then.
    pub fn extend(&self, until: Duration) {
        self.0.until.store(u64::try_from(until.as_millis()).unwrap_or(u64::MAX), Ordering::Release);
    }

    /// The process leads no longer.
    pub fn end(&self) {
        self.extend(Duration::ZERO);
    }

    /// For how long the process still leads.
    #[must_use]
    pub fn left(&self) -> Duration {
        Duration::from_millis(self.0.until.load(Ordering::Acquire)).saturating_sub(self.now())
    }

    /// Lets reads pass, and writes while the process leads.
    ///
    /// # Errors
    /// [`NotLeading`], for any other write.
    pub fn fence<Body>(&self, request: Request<Body>) -> Result<Request<Body>, BoxError> {
        let reads = *request.method() == Method::GET;
        if reads || !self.left().is_zero() { Ok(request) } else { Err(NotLeading.into()) }
    }
}

/// Time since the machine was started, the times included in which it slept.
fn since_boot() -> Duration {
    let time = clock_gettime(ClockId::Boottime);
    Duration::new(u64::try_from(time.tv_sec).unwrap_or(0), u32::try_from(time.tv_nsec).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    /// A leadership and the seconds that its clock shows.
    fn at_second_zero() -> (Leadership, Arc<AtomicU64>) {
        let seconds = Arc::new(AtomicU64::new(0));
        let clock = Arc::clone(&seconds);
        (Leadership::by(move || Duration::from_secs(clock.load(Ordering::Relaxed))), seconds)
    }

    fn passes(leadership: &Leadership, method: Method) -> bool {
        let request = Request::builder().method(method).body(()).unwrap();
        match leadership.fence(request) {
            Ok(_) => true,
            Err(error) => {
                assert_eq!(error.downcast_ref(), Some(&NotLeading));
                false
            }
        }
    }

    #[rstest]
    #[case::create(Method::POST)]
    #[case::replace(Method::PUT)]
    #[case::change(Method::PATCH)]
    #[case::delete(Method::DELETE)]
    fn writes_pass_while_the_lease_lasts(#[case] method: Method) {
        let (leadership, seconds) = at_second_zero();
        assert!(!passes(&leadership, method.clone()), "nobody leads from the start");
        leadership.extend(Duration::from_secs(10));
        seconds.store(9, Ordering::Relaxed);
        assert!(passes(&leadership, method.clone()));
        seconds.store(10, Ordering::Relaxed);
        assert!(!passes(&leadership, method.clone()), "whoever was stopped meanwhile comes too late");
        leadership.extend(Duration::from_secs(20));
        assert!(passes(&leadership, method.clone()));
        leadership.end();
        assert!(!passes(&leadership, method));
    }

    #[test]
    fn reads_always_pass() {
        assert!(passes(&Leadership::default(), Method::GET));
    }

    #[test]
    fn clones_are_one() {
        let (leadership, _seconds) = at_second_zero();
        leadership.clone().extend(Duration::from_secs(7));
        assert_eq!(leadership.left(), Duration::from_secs(7));
    }

    #[test]
    fn the_clock_goes_forward() {
        let leadership = Leadership::default();
        let before = leadership.now();
        assert!(before > Duration::ZERO && leadership.now() >= before);
    }
}
