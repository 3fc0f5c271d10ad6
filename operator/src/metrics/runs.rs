//! Metrics of runs: how long jobs wait for them, who is at work, and what they came to, their workers' last words
//! included. No I/O.

use std::{
    collections::HashMap,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicI64, AtomicU64},
    },
    time::Duration,
};

use lexigram_api::{
    contract::{Counts, ProviderRequests},
    resource::RunResult,
};
use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{
        counter::Counter,
        family::Family,
        gauge::Gauge,
        histogram::{Histogram, exponential_buckets},
    },
    registry::{Registry, Unit},
};

use super::{Kind, Outcome};
use crate::queue::Key;

/// A run that has ended.
#[derive(Clone, Debug, PartialEq)]
pub struct EndedRun {
    /// How.
    pub result: RunResult,
    /// Seconds from its start to its end, where both are known.
    pub seconds: Option<f64>,
    /// What its workers have reported.
    pub counts: Counts,
    /// How they have asked their embedding server.
    pub provider: ProviderRequests,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Ended {
    kind: &'static str,
    result: &'static str,
}

type Durations = Family<Kind, Histogram, fn() -> Histogram>;

/// What runs come to.
#[derive(Debug)]
pub(super) struct RunMetrics {
    queue_wait: Durations,
    workers: Family<Kind, Gauge<i64, AtomicI64>>,
    /// Workers of each object that has any.
    at_work: Mutex<HashMap<(&'static str, Key), i64>>,
    runs: Family<Ended, Counter<u64, AtomicU64>>,
    durations: Durations,
    items: Family<Ended, Counter<u64, AtomicU64>>,
    chunks: Family<Kind, Counter<u64, AtomicU64>>,
    tokens: Family<Kind, Counter<u64, AtomicU64>>,
    cached: Family<Kind, Counter<u64, AtomicU64>>,
    read: Family<Kind, Counter<u64, AtomicU64>>,
    requests: Family<Outcome, Counter<u64, AtomicU64>>,
    request_time: Family<Kind, Counter<f64, AtomicU64>>,
}

/// A second to 18 hours.
fn long_durations() -> Histogram {
    Histogram::new(exponential_buckets(1.0, 2.0, 17))
}

impl RunMetrics {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let metrics = Self {
            queue_wait: Family::new_with_constructor(long_durations),
            workers: Family::default(),
            at_work: Mutex::default(),
            runs: Family::default(),
            durations: Family::new_with_constructor(long_durations),
            items: Family::default(),
            chunks: Family::default(),
            tokens: Family::default(),
            cached: Family::default(),
            read: Family::default(),
            requests: Family::default(),
            request_time: Family::default(),
        };
        let mut durations = |name, help, histogram: &Durations| registry.register(name, help, histogram.clone());
        durations("queue_wait_seconds", "Time that jobs have waited for the place that they got", &metrics.queue_wait);
        durations("run_duration_seconds", "Time from the start of runs to their end", &metrics.durations);
        registry.register("active_workers", "Workers that run", metrics.workers.clone());
        registry.register("runs", "Runs that ended, by result", metrics.runs.clone());
        registry.register("items", "Documents and texts of runs that ended, by result", metrics.items.clone());
        registry.register("chunks", "Chunks that ended runs have written", metrics.chunks.clone());
        registry.register("tokens", "Tokens that ended runs have embedded", metrics.tokens.clone());
        registry.register("cached_vectors", "Vectors that ended runs found in the cache", metrics.cached.clone());
        let help = "Bytes of the documents and texts that ended runs have read";
        registry.register_with_unit("read", help, Unit::Bytes, metrics.read.clone());
        let help = "Requests of ended runs to embedding servers, by outcome";
        registry.register("provider_requests", help, metrics.requests.clone());
        let help = "Time from sending those requests to the ends of their answers";
        registry.register_with_unit("provider_request", help, Unit::Seconds, metrics.request_time.clone());
        metrics
    }

    pub(super) fn admitted(&self, kind: &'static str, waited_seconds: f64) {
        self.queue_wait.get_or_create(&Kind { kind }).observe(waited_seconds);
    }

    /// How many workers an object has, instead of what it had before.
    pub(super) fn at_work(&self, kind: &'static str, object: &Key, workers: usize) {
        let workers = i64::try_from(workers).unwrap_or(i64::MAX);
        let mut known = self.at_work.lock().unwrap_or_else(PoisonError::into_inner);
        let id = (kind, object.clone());
        let before = if workers == 0 { known.remove(&id) } else { known.insert(id, workers) };
        self.workers.get_or_create(&Kind { kind }).inc_by(workers - before.unwrap_or(0));
    }

    pub(super) fn ended(&self, kind: &'static str, run: &EndedRun) {
        let EndedRun { result, seconds, counts, provider } = run;
        let result = match result {
            RunResult::Succeeded => "succeeded",
            RunResult::Failed => "failed",
        };
        self.runs.get_or_create(&Ended { kind, result }).inc();
        if let Some(seconds) = seconds {
            self.durations.get_or_create(&Kind { kind }).observe(*seconds);
        }
        let items = &counts.items;
        for (result, count) in
            [("done", items.done), ("failed", items.failed), ("skipped", items.skipped), ("deleted", items.deleted)]
        {
            self.items.get_or_create(&Ended { kind, result }).inc_by(unsigned(count.into()));
        }
        for (counter, count) in [
            (&self.chunks, counts.chunks),
            (&self.tokens, counts.tokens),
            (&self.cached, counts.cached),
            (&self.read, counts.bytes),
        ] {
            counter.get_or_create(&Kind { kind }).inc_by(unsigned(count));
        }
        for (outcome, count) in
            [("answered", provider.answered), ("rate_limited", provider.rate_limited), ("failed", provider.failed)]
        {
            self.requests.get_or_create(&Outcome { kind, outcome }).inc_by(unsigned(count));
        }
        let time = Duration::from_millis(unsigned(provider.milliseconds));
        self.request_time.get_or_create(&Kind { kind }).inc_by(time.as_secs_f64());
    }
}

/// A report is a worker's word: what is below zero counts for nothing.
fn unsigned(count: i64) -> u64 {
    u64::try_from(count).unwrap_or(0)
}
