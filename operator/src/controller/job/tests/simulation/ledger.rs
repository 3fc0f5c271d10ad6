//! The simulated ledger of one source: who has begun which attempt of what. Its rules are those of the worker's stores.

use std::collections::BTreeSet;

use jiff::Timestamp;
use lexigram_api::{
    contract::{Counts, DeadLetters, FailureCounts, ItemCounts, Mode, Report},
    failure::{FailureAction, FailureCategory, FailurePolicy},
};

use super::super::fixtures::report;

/// Documents of a source.
pub const ITEMS: usize = 4;

/// What becomes of an attempt.
#[derive(Clone, Copy, Debug)]
pub enum Fate {
    Lands,
    Fails(FailureCategory),
}

/// Where a document stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum State {
    #[default]
    Pending,
    Waiting(Timestamp),
    Done,
    Archived,
    Notified,
}

/// What a run has made of a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    Done,
    Skipped,
    Failed,
}

#[derive(Clone, Debug, Default)]
struct Item {
    state: State,
    /// How often it was given all its attempts again.
    lives: u32,
    attempts: u32,
    failed: Timestamp,
    /// The run that took it last.
    run: String,
    outcome: Option<Outcome>,
    in_hand: bool,
}

#[derive(Default)]
pub struct SimulatedLedger {
    runs: BTreeSet<String>,
    items: [Item; ITEMS],
    /// Item, life and number of each attempt that was begun.
    begun: BTreeSet<(usize, u32, u32)>,
}

impl SimulatedLedger {
    /// A worker takes what its run is to take, unless the run has it already.
    pub fn begin(&mut self, run: &str, mode: &Mode) {
        if self.runs.insert(run.to_owned()) {
            for item in &mut self.items {
                item.take(run, mode);
            }
        }
        for (index, item) in self.items.iter_mut().enumerate() {
            if item.run == run && item.outcome.is_none() && !item.in_hand {
                item.in_hand = true;
                let attempt = (index, item.lives, item.attempts + 1);
                assert!(self.begun.insert(attempt), "{run} begins an attempt that was begun: {attempt:?}");
            }
        }
    }

    /// What a run has in hand fares like this.
    pub fn end(&mut self, run: &str, fates: [Fate; ITEMS], policy: &FailurePolicy, now: Timestamp) {
        for (seed, (item, fate)) in (0..).zip(self.items.iter_mut().zip(fates)) {
            if item.run == run && item.in_hand {
                item.end(fate, policy, now, seed);
            }
        }
    }

    /// What a run has in hand is given back: no attempt was made.
    pub fn release(&mut self, run: &str) {
        for (index, item) in self.items.iter_mut().enumerate() {
            if item.run == run && item.in_hand {
                item.in_hand = false;
                self.begun.remove(&(index, item.lives, item.attempts + 1));
            }
        }
    }

    pub fn states(&self) -> impl Iterator<Item = State> {
        self.items.iter().map(|item| item.state)
    }

    /// What there is of the source that is not done.
    pub fn failures(&self) -> FailureCounts {
        let count =
            |wanted: fn(State) -> bool| self.states().filter(|state| wanted(*state)).count().try_into().unwrap();
        FailureCounts {
            retrying: count(|state| matches!(state, State::Waiting(_))),
            archived: count(|state| state == State::Archived),
            notified: count(|state| state == State::Notified),
        }
    }

    /// The report of the run of a Job.
    pub fn report(&self, job: &str, run: &str) -> Report {
        let of = |wanted| self.items.iter().filter(|item| item.run == run && item.outcome == Some(wanted)).count();
        let [done, skipped, failed] =
            [Outcome::Done, Outcome::Skipped, Outcome::Failed].map(|wanted| i32::try_from(of(wanted)).unwrap());
        let due = self.states().filter_map(|state| if let State::Waiting(due) = state { Some(due) } else { None });
        Report {
            run: run.to_owned(),
            counts: Counts {
                items: ItemCounts { total: done + skipped + failed, done, skipped, failed, deleted: 0 },
                failures: self.failures(),
                ..Default::default()
            },
            dead_letters: DeadLetters { actions: self.failures(), ..Default::default() },
            next_retry_time: due.min(),
            ..report(job, 0, [0, 0, 0])
        }
    }
}

impl Item {
    fn take(&mut self, run: &str, mode: &Mode) {
        let (taken, anew) = match mode {
            Mode::Full => (true, self.state != State::Done),
            Mode::Retry { due_before } => (matches!(self.state, State::Waiting(due) if due <= *due_before), false),
            Mode::Again { failed_before, .. } => {
                let dead = !matches!(self.state, State::Pending | State::Done) && self.failed <= *failed_before;
                (dead, dead)
            }
            Mode::Archive { .. } => unreachable!("nobody asks for it here"),
        };
        if taken {
            run.clone_into(&mut self.run);
            self.outcome = (self.state == State::Done).then_some(Outcome::Skipped);
        }
        if anew {
            assert!(!self.in_hand, "{run} takes what another run has in hand");
            (self.lives, self.attempts) = (self.lives + 1, 0);
            self.state = match mode {
                // due until it is claimed: whatever becomes of the run, it is not forgotten
                Mode::Again { failed_before, .. } => State::Waiting(*failed_before),
                _ => State::Pending,
            };
        }
    }

    fn end(&mut self, fate: Fate, policy: &FailurePolicy, now: Timestamp, seed: u64) {
        self.in_hand = false;
        let Fate::Fails(category) = fate else {
            (self.state, self.outcome) = (State::Done, Some(Outcome::Done));
            return;
        };
        self.attempts += 1;
        let verdict = policy.judge(category, self.attempts, now, seed);
        self.state = match verdict.action {
            FailureAction::Retry => State::Waiting(verdict.next_attempt.unwrap()),
            FailureAction::Archive => State::Archived,
            FailureAction::Notify => State::Notified,
        };
        (self.outcome, self.failed) = (Some(Outcome::Failed), now);
    }
}
