//! Progress of a run in memory: written by the pipeline, read by the endpoint and the progress bar. No I/O.

use std::{
    collections::VecDeque,
    sync::{Mutex, MutexGuard, PoisonError},
};

use jiff::Timestamp;
use lexigram_api::{
    contract::{CONTRACT_VERSION, DocumentCounts, DocumentFailure, FailureCounts, Phase, Progress, RECENT_FAILURES},
    failure::FailureAction,
};

use crate::store::RunSummary;

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
    documents: DocumentCounts,
    failures: FailureCounts,
    chunks: i64,
    tokens: i64,
    bytes: i64,
    /// Oldest first.
    recent_failures: VecDeque<DocumentFailure>,
}

impl Tracker {
    /// A run that begins now.
    #[must_use]
    pub fn new(run: &str) -> Self {
        let started = Timestamp::now();
        let state = State {
            phase: Phase::Starting,
            heartbeat: started,
            documents: DocumentCounts::default(),
            failures: FailureCounts::default(),
            chunks: 0,
            tokens: 0,
            bytes: 0,
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
        state.documents = summary.documents.clone();
        state.failures = summary.failures.clone();
        (state.chunks, state.tokens, state.bytes) = (summary.chunks, summary.tokens, summary.bytes);
        state.recent_failures = summary.recent_failures.iter().rev().cloned().collect();
    }

    /// A document was ingested.
    pub fn done(&self, chunks: i64, tokens: i64, bytes: i64) {
        let mut state = self.state();
        state.documents.done += 1;
        state.chunks += chunks;
        state.tokens += tokens;
        state.bytes += bytes;
    }

    /// A document turned out to be unchanged.
    pub fn skipped(&self) {
        self.state().documents.skipped += 1;
    }

    /// A document failed.
    pub fn failed(&self, failure: DocumentFailure) {
        let mut state = self.state();
        state.documents.failed += 1;
        match failure.action {
            FailureAction::Retry => state.failures.retrying += 1,
            FailureAction::Archive => state.failures.archived += 1,
            FailureAction::Notify => state.failures.notified += 1,
        }
        state.recent_failures.push_back(failure);
        if state.recent_failures.len() > RECENT_FAILURES {
            state.recent_failures.pop_front();
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
            documents: state.documents.clone(),
            failures: state.failures.clone(),
            chunks: state.chunks,
            tokens: state.tokens,
            bytes: state.bytes,
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
