//! Who may run: a bounded number of places over the whole cluster, given by priority, then age. No I/O.
//!
//! The operator is one process, so that the places can be counted in it: a reconcile asks for a place and gets it, or
//! its position. A place that was given is held from that moment, not from the moment the Job is seen in the cache, so
//! that two reconciles at once never start one job too many.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
    sync::{Mutex, MutexGuard, PoisonError},
};

use jiff::Timestamp;

/// Namespace and name of an object.
pub type Key = (String, String);

/// What decides the order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ticket {
    /// `spec.priority`: higher goes first.
    pub priority: i32,
    /// When the object was created: older goes first.
    pub created: Timestamp,
}

/// The answer to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// The object may run.
    Admitted,
    /// The object waits.
    Waiting {
        /// Its position; 1 is next.
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
    waiting: BTreeMap<Key, Ticket>,
}

impl Queue {
    /// Asks for one of `limit` places. An object that holds one keeps it.
    pub fn request(&self, key: &Key, ticket: Ticket, limit: u32) -> Place {
        let mut state = self.lock();
        if state.holding.contains(key) {
            return Place::Admitted;
        }
        let shifts = state.waiting.insert(key.clone(), ticket) != Some(ticket);
        let rank = rank(&state.waiting, key);
        let free = usize::try_from(limit).unwrap_or(usize::MAX).saturating_sub(state.holding.len());
        if rank < free {
            state.waiting.remove(key);
            state.holding.insert(key.clone());
            Place::Admitted
        } else {
            Place::Waiting { position: i32::try_from(rank + 1).unwrap_or(i32::MAX), shifts }
        }
    }

    /// Notes that an object runs, whoever started it.
    pub fn hold(&self, key: &Key) {
        let mut state = self.lock();
        state.waiting.remove(key);
        state.holding.insert(key.clone());
    }

    /// Notes that an object waits, as it did before this process began.
    pub fn wait(&self, key: &Key, ticket: Ticket) {
        self.lock().waiting.insert(key.clone(), ticket);
    }

    /// Notes that an object neither runs nor waits, and says whether others may move up.
    pub fn leave(&self, key: &Key) -> bool {
        let mut state = self.lock();
        let held = state.holding.remove(key);
        state.waiting.remove(key).is_some() || held
    }

    /// The objects that wait, next first.
    #[must_use]
    pub fn waiting(&self) -> Vec<Key> {
        let state = self.lock();
        let mut keys: Vec<Key> = state.waiting.keys().cloned().collect();
        keys.sort_by_key(|key| rank(&state.waiting, key));
        keys
    }

    /// How many wait, and how many run.
    #[must_use]
    pub fn sizes(&self) -> (usize, usize) {
        let state = self.lock();
        (state.waiting.len(), state.holding.len())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // every change is one insertion or removal: nothing is half done after a panic elsewhere
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How many of those that wait come before `key`.
fn rank(waiting: &BTreeMap<Key, Ticket>, key: &Key) -> usize {
    let order = |key: &Key, ticket: &Ticket| (Reverse(ticket.priority), ticket.created, key.clone());
    let Some(own) = waiting.get(key).map(|ticket| order(key, ticket)) else { return waiting.len() };
    waiting.iter().filter(|(other, ticket)| order(other, ticket) < own).count()
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn key(name: &str) -> Key {
        ("default".to_owned(), name.to_owned())
    }

    fn ticket(priority: i32, created: i64) -> Ticket {
        Ticket { priority, created: Timestamp::from_second(created).unwrap() }
    }

    fn waiting(position: i32, shifts: bool) -> Place {
        Place::Waiting { position, shifts }
    }

    #[rstest]
    #[case::older_first(&[("b", 0, 20), ("a", 0, 10)], &["a", "b"])]
    #[case::priority_before_age(&[("old", 0, 10), ("urgent", 5, 20), ("idle", -5, 1)], &["urgent", "old", "idle"])]
    #[case::name_breaks_ties(&[("b", 0, 10), ("a", 0, 10)], &["a", "b"])]
    fn order(#[case] tickets: &[(&str, i32, i64)], #[case] expected: &[&str]) {
        let queue = Queue::default();
        for (name, priority, created) in tickets {
            queue.wait(&key(name), ticket(*priority, *created));
        }
        let names: Vec<String> = queue.waiting().into_iter().map(|(_, name)| name).collect();
        assert_eq!(names, expected);
    }

    #[test]
    fn a_place_is_held_from_the_moment_it_was_given() {
        let queue = Queue::default();
        assert_eq!(queue.request(&key("a"), ticket(0, 1), 1), Place::Admitted);
        assert_eq!(queue.request(&key("b"), ticket(0, 2), 1), waiting(1, true));
        assert_eq!(queue.request(&key("b"), ticket(0, 2), 1), waiting(1, false), "asking again moves nobody");
        assert_eq!(queue.request(&key("c"), ticket(9, 3), 1), waiting(1, true));
        assert_eq!(queue.request(&key("b"), ticket(0, 2), 1), waiting(2, false));
        assert_eq!(queue.request(&key("a"), ticket(0, 1), 1), Place::Admitted);
        assert!(queue.leave(&key("a")));
        assert_eq!(queue.request(&key("b"), ticket(0, 2), 1), waiting(2, false), "c has the higher priority");
        assert_eq!(queue.request(&key("c"), ticket(9, 3), 1), Place::Admitted);
        assert_eq!(queue.sizes(), (1, 1));
    }

    #[test]
    fn a_lower_limit_lets_what_runs_end() {
        let queue = Queue::default();
        queue.hold(&key("a"));
        queue.hold(&key("b"));
        assert_eq!(queue.request(&key("a"), ticket(0, 1), 1), Place::Admitted);
        assert_eq!(queue.request(&key("c"), ticket(0, 1), 1), waiting(1, true));
        queue.leave(&key("a"));
        assert_eq!(queue.request(&key("c"), ticket(0, 1), 1), waiting(1, false));
        queue.leave(&key("b"));
        assert_eq!(queue.request(&key("c"), ticket(0, 1), 1), Place::Admitted);
    }

    #[test]
    fn leaving_twice_moves_nobody() {
        let queue = Queue::default();
        queue.hold(&key("a"));
        assert!(queue.leave(&key("a")));
        assert!(!queue.leave(&key("a")));
    }

    #[test]
    fn a_new_priority_shifts_the_others() {
        let queue = Queue::default();
        queue.hold(&key("a"));
        queue.request(&key("b"), ticket(0, 1), 1);
        queue.request(&key("c"), ticket(0, 2), 1);
        assert_eq!(queue.request(&key("c"), ticket(1, 2), 1), waiting(1, true));
    }
}
