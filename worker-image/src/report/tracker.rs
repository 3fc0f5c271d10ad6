//! Progress of a run in memory: written by the pipeline, read by the endpoint and the progress bar. No I/O.

use std::{
    collections::VecDeque,
    pin::pin,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use jiff::Timestamp;
use lexigram_api::{
    contract::{
        CONTRACT_VERSION, Counts, ItemFailure, OpenCircuit, Phase, Progress, ProviderRequests, RECENT_FAILURES,
        StageName,
    },
    failure::FailureAction,
};
use tracing::Instrument;

use super::busy::Busyness;
use crate::{embed::Asked, store::RunSummary};

/// How often a worker that waits for vectors says so.
const BEAT_INTERVAL: Duration = Duration::from_secs(1);

/// Progress of one run.
#[derive(Debug)]
pub struct Tracker {
    run: String,
    started: Timestamp,
    state: Mutex<State>,
    busyness: Mutex<Busyness>,
}

/// A stage at work; dropping it tells that the stage is done, or was given up.
struct AtWork<'a>(&'a Tracker, StageName);

impl Drop for AtWork<'_> {
    fn drop(&mut self) {
        self.0.busyness().leave(self.1, Instant::now());
    }
}

#[derive(Debug)]
struct State {
    phase: Phase,
    heartbeat: Timestamp,
    counts: Counts,
    rate_limited_until: Option<Timestamp>,
    circuit: Option<OpenCircuit>,
    provider: Option<ProviderRequests>,
    /// Oldest first, each item once.
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
            circuit: None,
            provider: None,
            recent_failures: VecDeque::new(),
        };
        Self { run: run.to_owned(), started, state: Mutex::new(state), busyness: Mutex::default() }
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
        state.recent_failures.retain(|earlier| earlier.item != failure.item);
        state.recent_failures.push_back(failure);
        if state.recent_failures.len() > RECENT_FAILURES {
            state.recent_failures.pop_front();
        }
    }

    /// How the embedding provider has been asked so far.
    fn asked(&self, asked: Asked) {
        let mut state = self.state();
        state.rate_limited_until = asked.rate_limited_until;
        state.provider = asked.requests;
    }

    /// A circuit has opened, or closed again.
    pub fn circuit(&self, open: Option<OpenCircuit>) {
        self.state().circuit = open;
    }

    /// Waits so long, and tells meanwhile that the worker lives.
    pub async fn wait(&self, wait: Duration) {
        let end = tokio::time::Instant::now() + wait;
        while tokio::time::Instant::now() < end {
            self.beat();
            tokio::time::sleep_until(end.min(tokio::time::Instant::now() + BEAT_INTERVAL)).await;
        }
    }

    /// Waits for an embedding provider, and tells meanwhile that the worker lives, and when the provider is asked again,
    /// while it has told to slow down.
    pub async fn watch<T>(&self, asked: impl Fn() -> Asked, embedding: impl Future<Output = T>) -> T {
        let mut embedding = pin!(embedding);
        loop {
            match tokio::time::timeout(BEAT_INTERVAL, &mut embedding).await {
                Ok(outcome) => {
                    self.asked(Asked { rate_limited_until: None, ..asked() });
                    return outcome;
                }
                Err(_) => self.asked(asked()),
            }
        }
    }

    /// A stage works on an item; waiting for other stages is no part of that.
    pub async fn busy<T>(&self, stage: StageName, work: impl Future<Output = T>) -> T {
        self.busyness().enter(stage, Instant::now());
        let _at_work = AtWork(self, stage);
        work.instrument(tracing::debug_span!("stage", otel.name = stage.as_str())).await
    }

    /// The time that each stage has been at work.
    pub(super) fn busy_times(&self) -> Vec<(StageName, Duration)> {
        self.busyness().times(Instant::now())
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
            circuit: state.circuit.clone(),
            stages: self.busyness().shares(Instant::now()),
            provider: state.provider.clone(),
            recent_failures: state.recent_failures.iter().rev().cloned().collect(),
        }
    }

    fn busyness(&self) -> MutexGuard<'_, Busyness> {
        self.busyness.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The state to be changed; every change is a sign of life.
    fn state(&self) -> MutexGuard<'_, State> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.heartbeat = Timestamp::now();
        state
    }
}
