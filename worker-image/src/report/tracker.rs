//! Progress of a run in memory: written by the pipeline, read by the endpoint and the progress bar. No I/O.

use std::{
    collections::VecDeque,
    pin::pin,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use jiff::Timestamp;
use lexigram_api::{
    contract::{CONTRACT_VERSION, Counts, ItemFailure, Phase, Progress, RECENT_FAILURES},
    failure::FailureAction,
};

use crate::{embed::Embedder, store::RunSummary};

/// How often a worker that waits for vectors says so.
const BEAT_INTERVAL: Duration = Duration::from_secs(1);

/// Progress of one run.
#[derive(Debug)]
pub struct Tracker {
    run: String,
    started: Timestamp,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    phase: Phase,
    heartbeat: Timestamp,
    counts: Counts,
    rate_limited_until: Option<Timestamp>,
    /// Oldest first.
    recent_failures: VecDeque<ItemFailure>,
}

impl Tracker {
    /// A run that begins now.
    #[must_use]
    pub fn new(run: &str) -> Self {
        let started = Timestamp::now();
        let state = State {
            phase: Phase::Starting,
            heartbeat: started,
            counts: Counts::default(),
            rate_limited_until: None,
            recent_failures: VecDeque::new(),
        };
        Self { run: run.to_owned(), started, state: Mutex::new(state) }
    }

    /// The run has come to another phase.
    pub fn phase(&self, phase: Phase) {
        self.state().phase = phase;
    }

    /// The worker made a step.
    pub fn beat(&self) {
        drop(self.state());
    }

    /// Takes over what the ledger says of the run.
    pub fn load(&self, summary: &RunSummary) {
        let mut state = self.state();
        state.counts = summary.counts.clone();
        state.recent_failures = summary.recent_failures.iter().rev().cloned().collect();
    }

    /// Items are done, or turned out to be unchanged.
    pub fn done(&self, more: &Counts) {
        self.state().counts += more;
    }

    /// An item failed; `weight` is how many it stands for: the rows of a range, or 1.
    pub fn failed(&self, failure: ItemFailure, weight: i32) {
        let mut state = self.state();
        let counts = &mut state.counts;
        counts.items.failed += weight;
        match failure.action {
            FailureAction::Retry => counts.failures.retrying += weight,
            FailureAction::Archive => counts.failures.archived += weight,
            FailureAction::Notify => counts.failures.notified += weight,
        }
        state.recent_failures.push_back(failure);
        if state.recent_failures.len() > RECENT_FAILURES {
            state.recent_failures.pop_front();
        }
    }

    /// The embedding provider has told the worker to slow down, or takes requests again.
    fn rate_limited(&self, until: Option<Timestamp>) {
        self.state().rate_limited_until = until;
    }

    /// Waits for an embedding provider, and tells meanwhile that the worker lives, and when the provider is asked again.
    pub async fn watch<T>(&self, embedder: &dyn Embedder, embedding: impl Future<Output = T>) -> T {
        let mut embedding = pin!(embedding);
        loop {
            match tokio::time::timeout(BEAT_INTERVAL, &mut embedding).await {
                Ok(outcome) => {
                    self.rate_limited(None);
                    return outcome;
                }
                Err(_) => self.rate_limited(embedder.rate_limited_until()),
            }
        }
    }

    /// How far the run has come.
    #[must_use]
    pub fn progress(&self) -> Progress {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        Progress {
            contract_version: CONTRACT_VERSION.to_owned(),
            run: self.run.clone(),
            phase: state.phase,
            heartbeat: state.heartbeat,
            started: self.started,
            counts: state.counts.clone(),
            rate_limited_until: state.rate_limited_until,
            circuit: None,
            recent_failures: state.recent_failures.iter().rev().cloned().collect(),
        }
    }

    /// The state to be changed; every change is a sign of life.
    fn state(&self) -> MutexGuard<'_, State> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.heartbeat = Timestamp::now();
        state
    }
}
