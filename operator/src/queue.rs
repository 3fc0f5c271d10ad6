//! Who may run: a bounded number of places over the whole cluster, given by priority, then age. No I/O.
//!
//! The operator is one process, so that the places can be counted in it: a reconcile asks for a place and gets it, or
//! its position. A place that was given is held from that moment, not from the moment the Job is seen in the cache, so
//! that two reconciles at once never start one job too many.
//!
//! Each start moves everybody who waits, and each position that is told is a write. So a position stays as it was told
//! until [`Queue::correct`] takes the turn of its object, a few at a time: with thousands that wait, the cost of a start
//! is that of one start.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
    sync::{Mutex, MutexGuard, PoisonError},
};

use jiff::{SignedDuration, Timestamp};

/// Namespace and name of an object.
pub type Key = (String, String);

/// What decides the order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ticket {
    /// `spec.priority`: higher goes first.
    pub priority: Reverse<i32>,
    /// When the object was created: older goes first.
    pub created: Timestamp,
}

/// The answer to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// The object may run.
    Admitted {
        /// How long it has waited, where it has got the place just now.
        waited: Option<SignedDuration>,
    },
    /// The object waits.
    Waiting {
        /// The position that it is told; 1 is next.
        position: i32,
        /// Whether others may have moved because of it.
        shifts: bool,
    },
}

/// The places of one kind.
#[derive(Debug, Default)]
pub struct Queue {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    holding: BTreeSet<Key>,
    waiting: BTreeMap<Key, Waiting>,
    /// Those that wait, next first.
    order: BTreeSet<(Ticket, Key)>,
}

/// An object that waits.
#[derive(Clone, Copy, Debug)]
struct Waiting {
    ticket: Ticket,
    /// The position that the object is told.
    told: Option<i32>,
    since: Timestamp,
}

impl Queue {
    /// Asks for one of `limit` places. An object that holds one keeps it.
    pub fn request(&self, key: &Key, ticket: Ticket, limit: u32, now: Timestamp) -> Place {
        let mut state = self.lock();
        if state.holding.contains(key) {
            return Place::Admitted { waited: None };
        }
        let since = state.waiting.get(key).map_or(now, |waiting| waiting.since);
        let shifts = state.wait(key, ticket, None, now);
        if state.admissible(limit).any(|next| next == key) {
            state.forget(key);
            state.holding.insert(key.clone());
            return Place::Admitted { waited: Some(now.duration_since(since)) };
        }
        Place::Waiting { position: state.tell(key), shifts }
    }

    /// Notes that an object runs, whoever started it.
    pub fn hold(&self, key: &Key) {
        let mut state = self.lock();
        state.forget(key);
        state.holding.insert(key.clone());
    }

    /// Notes that an object waits, and the position that it was told, as it was before this process began; for how long is
    /// not known.
    pub fn wait(&self, key: &Key, ticket: Ticket, told: Option<i32>, since: Timestamp) {
        self.lock().wait(key, ticket, told, since);
    }

    /// Notes that an object neither runs nor waits, and says whether others may move up.
    pub fn leave(&self, key: &Key) -> bool {
        let mut state = self.lock();
        let held = state.holding.remove(key);
        state.forget(key) || held
    }

    /// The objects for which there would be a place, next first.
    #[must_use]
    pub fn next(&self, limit: u32) -> Vec<Key> {
        self.lock().admissible(limit).cloned().collect()
    }

    /// Corrects positions of these objects that are told and no longer true, at most `most` of them, those first that are
    /// furthest out in proportion. Gives the objects, and whether there are more.
    pub fn correct(&self, most: usize, of: impl Fn(&Key) -> bool) -> (Vec<Key>, bool) {
        let mut state = self.lock();
        let state = &mut *state;
        let positions = (1..).zip(&state.order);
        let mut wrong: Vec<(Reverse<i64>, i32, &Key)> = positions
            .filter(|(_, (_, key))| of(key))
            .filter_map(|(position, (_, key))| {
                let told = state.waiting.get(key)?.told?;
                let off = i64::from(told).abs_diff(position.into());
                let off = i64::try_from(off).unwrap_or(i64::MAX).saturating_mul(1000) / i64::from(position);
                (told != position).then_some((Reverse(off), position, key))
            })
            .collect();
        wrong.sort_unstable();
        let more = wrong.len() > most;
        wrong.truncate(most);
        for (_, position, key) in &wrong {
            if let Some(waiting) = state.waiting.get_mut(*key) {
                waiting.told = Some(*position);
            }
        }
        (wrong.into_iter().map(|(_, _, key)| key.clone()).collect(), more)
    }

    /// How many wait, and how many run.
    #[must_use]
    pub fn sizes(&self) -> (usize, usize) {
        let state = self.lock();
        (state.waiting.len(), state.holding.len())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // after a panic elsewhere at most one object is missing from the order, until it asks again
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Lets an object wait; says whether it is new, or has another ticket than before.
    fn wait(&mut self, key: &Key, ticket: Ticket, told: Option<i32>, now: Timestamp) -> bool {
        let same = self.waiting.get(key).is_some_and(|waiting| waiting.ticket == ticket);
        if !same {
            let since = self.waiting.get(key).map_or(now, |waiting| waiting.since);
            self.forget(key);
            self.waiting.insert(key.clone(), Waiting { ticket, told, since });
        }
        self.order.insert((ticket, key.clone()));
        !same
    }

    /// Takes an object out of those that wait; says whether it was among them.
    fn forget(&mut self, key: &Key) -> bool {
        let Some(waiting) = self.waiting.remove(key) else { return false };
        self.order.remove(&(waiting.ticket, key.clone()));
        true
    }

    /// The objects for which there would be a place, next first.
    fn admissible(&self, limit: u32) -> impl Iterator<Item = &Key> {
        let free = usize::try_from(limit).unwrap_or(usize::MAX).saturating_sub(self.holding.len());
        self.order.iter().take(free).map(|(_, key)| key)
    }

    /// The position that an object is told: the true one, if it was told none yet.
    fn tell(&mut self, key: &Key) -> i32 {
        let Some(waiting) = self.waiting.get_mut(key) else { return i32::MAX };
        let before = || self.order.range(..(waiting.ticket, key.clone())).count();
        *waiting.told.get_or_insert_with(|| i32::try_from(before() + 1).unwrap_or(i32::MAX))
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    /// A place that it has already.
    const HELD: Place = Place::Admitted { waited: None };

    fn key(name: &str) -> Key {
        ("default".to_owned(), name.to_owned())
    }

    fn ticket(priority: i32, created: i64) -> Ticket {
        Ticket { priority: Reverse(priority), created: at(created) }
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    /// A place that is given just now, after so many seconds.
    fn after(seconds: i64) -> Place {
        Place::Admitted { waited: Some(SignedDuration::from_secs(seconds)) }
    }

    fn waiting(position: i32, shifts: bool) -> Place {
        Place::Waiting { position, shifts }
    }

    fn names(keys: Vec<Key>) -> Vec<String> {
        keys.into_iter().map(|(_, name)| name).collect()
    }

    #[rstest]
    #[case::older_first(&[("b", 0, 20), ("a", 0, 10)], &["a", "b"])]
    #[case::priority_before_age(&[("old", 0, 10), ("urgent", 5, 20), ("idle", -5, 1)], &["urgent", "old", "idle"])]
    #[case::name_breaks_ties(&[("b", 0, 10), ("a", 0, 10)], &["a", "b"])]
    fn order(#[case] tickets: &[(&str, i32, i64)], #[case] expected: &[&str]) {
        let queue = Queue::default();
        for (name, priority, created) in tickets {
            queue.wait(&key(name), ticket(*priority, *created), None, at(100));
        }
        assert_eq!(names(queue.next(9)), expected);
        assert_eq!(names(queue.next(1)), expected[..1]);
    }

    #[test]
    fn a_place_is_held_from_the_moment_it_was_given() {
        let queue = Queue::default();
        assert_eq!(queue.request(&key("a"), ticket(0, 1), 1, at(100)), after(0));
        assert_eq!(queue.request(&key("b"), ticket(0, 2), 1, at(100)), waiting(1, true));
        assert_eq!(queue.request(&key("b"), ticket(0, 2), 1, at(100)), waiting(1, false), "asking again moves nobody");
        assert_eq!(queue.request(&key("c"), ticket(9, 3), 1, at(100)), waiting(1, true));
        assert_eq!(queue.request(&key("a"), ticket(0, 1), 1, at(100)), HELD);
        assert!(queue.next(1).is_empty());
        assert!(queue.leave(&key("a")));
        assert_eq!(names(queue.next(1)), ["c"], "it has the higher priority");
        assert_eq!(queue.request(&key("b"), ticket(0, 2), 1, at(100)), waiting(1, false));
        assert_eq!(queue.request(&key("c"), ticket(9, 3), 1, at(130)), after(30), "since it asked for the first time");
        assert_eq!(queue.sizes(), (1, 1));
    }

    #[test]
    fn a_lower_limit_lets_what_runs_end() {
        let queue = Queue::default();
        queue.hold(&key("a"));
        queue.hold(&key("b"));
        assert_eq!(queue.request(&key("a"), ticket(0, 1), 1, at(100)), HELD);
        assert_eq!(queue.request(&key("c"), ticket(0, 1), 1, at(100)), waiting(1, true));
        queue.leave(&key("a"));
        assert_eq!(queue.request(&key("c"), ticket(0, 1), 1, at(100)), waiting(1, false));
        queue.leave(&key("b"));
        assert_eq!(queue.request(&key("c"), ticket(0, 1), 1, at(100)), after(0));
    }

    #[test]
    fn leaving_twice_moves_nobody() {
        let queue = Queue::default();
        queue.hold(&key("a"));
        assert!(queue.leave(&key("a")));
        assert!(!queue.leave(&key("a")));
    }

    #[test]
    fn a_new_priority_shifts_the_others_and_is_told_at_once() {
        let queue = Queue::default();
        queue.hold(&key("a"));
        queue.request(&key("b"), ticket(0, 1), 1, at(100));
        assert_eq!(queue.request(&key("c"), ticket(0, 2), 1, at(100)), waiting(2, true));
        assert_eq!(queue.request(&key("c"), ticket(1, 2), 1, at(100)), waiting(1, true));
    }

    #[test]
    fn positions_stay_as_they_were_told_until_they_are_corrected() {
        let queue = Queue::default();
        queue.hold(&key("running"));
        for created in 1..=9 {
            queue.request(&key(&created.to_string()), ticket(0, created), 1, at(100));
        }
        queue.leave(&key("running"));
        assert_eq!(queue.request(&key("1"), ticket(0, 1), 1, at(100)), after(0));
        assert_eq!(queue.request(&key("2"), ticket(0, 2), 1, at(100)), waiting(2, false));
        let (corrected, more) = queue.correct(3, |_| true);
        assert_eq!((names(corrected), more), (["2", "3", "4"].map(str::to_owned).to_vec(), true));
        assert_eq!(queue.request(&key("2"), ticket(0, 2), 1, at(100)), waiting(1, false));
        assert_eq!(queue.request(&key("5"), ticket(0, 5), 1, at(100)), waiting(5, false));
        let (corrected, more) = queue.correct(9, |_| true);
        assert_eq!((corrected.len(), more), (5, false));
        assert_eq!(queue.correct(9, |_| true), (Vec::new(), false));
        assert_eq!(queue.request(&key("5"), ticket(0, 5), 1, at(100)), waiting(4, false));
    }

    #[test]
    fn those_furthest_out_are_corrected_first() {
        let queue = Queue::default();
        queue.hold(&key("running"));
        for (name, created, told) in [("a", 1, 1), ("b", 2, 9), ("c", 3, 4), ("d", 4, 90)] {
            queue.wait(&key(name), ticket(0, created), Some(told), at(100));
        }
        assert_eq!(queue.correct(9, |(namespace, _)| namespace == "other"), (Vec::new(), false));
        assert_eq!(names(queue.correct(1, |_| true).0), ["d"]);
        assert_eq!(names(queue.correct(1, |_| true).0), ["b"]);
        assert_eq!(queue.correct(2, |_| true), (vec![key("c")], false), "what was told before a restart is known");
    }

    #[test]
    fn an_object_that_has_been_told_nothing_needs_no_correction() {
        let queue = Queue::default();
        queue.wait(&key("a"), ticket(0, 1), None, at(100));
        assert_eq!(queue.correct(9, |_| true), (Vec::new(), false));
    }
}
