//! Gauges of dead letters: sums over objects, each of which tells its own part again and again. No I/O.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicI64, AtomicU64},
    },
};

use jiff::Timestamp;
use lexigram_api::{
    contract::{CategoryCount, FailureCounts, ItemCounts},
    failure::FailureAction,
};
use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{
        counter::Counter,
        family::Family,
        gauge::Gauge,
        histogram::{Histogram, exponential_buckets},
    },
    registry::Registry,
};

use super::{Kind, Outcome, reconcile_durations};
use crate::queue::Key;

#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, EncodeLabelSet)]
struct DeadLetterLabels {
    kind: &'static str,
    category: &'static str,
    action: &'static str,
}

/// What one object has told.
#[derive(Debug, Default)]
struct Part {
    counts: BTreeMap<DeadLetterLabels, i64>,
    oldest: Option<Timestamp>,
}

/// Dead letters, and what their retries come to.
#[derive(Debug)]
pub(super) struct DeadLetterMetrics {
    parts: Mutex<HashMap<(&'static str, Key), Part>>,
    dead_letters: Family<DeadLetterLabels, Gauge<i64, AtomicI64>>,
    oldest_age: Family<Kind, Gauge<i64, AtomicI64>>,
    started: Family<Kind, Counter<u64, AtomicU64>>,
    retried: Family<Outcome, Counter<u64, AtomicU64>>,
    sweep_lag: Family<Kind, Histogram, fn() -> Histogram>,
    sweep_duration: Family<Kind, Histogram, fn() -> Histogram>,
    notifications: Family<Outcome, Counter<u64, AtomicU64>>,
}

impl DeadLetterMetrics {
    pub(super) fn register(registry: &mut Registry) -> Self {
        // a minute behind is late, an hour is a day to remember
        let lags: fn() -> Histogram = || Histogram::new(exponential_buckets(0.25, 2.0, 15));
        let metrics = Self {
            parts: Mutex::default(),
            dead_letters: Family::default(),
            oldest_age: Family::default(),
            started: Family::default(),
            retried: Family::default(),
            sweep_lag: Family::new_with_constructor(lags),
            sweep_duration: Family::new_with_constructor(reconcile_durations),
            notifications: Family::default(),
        };
        registry.register(
            "dead_letters",
            "Documents and texts that failed and are not done, by category and by what is done about them",
            metrics.dead_letters.clone(),
        );
        registry.register(
            "dead_letters_oldest_age_seconds",
            "Time since the first failure of the one that has waited longest, archived ones aside",
            metrics.oldest_age.clone(),
        );
        registry.register("retries_started", "Retry runs that were started", metrics.started.clone());
        registry.register(
            "retried_items",
            "Items of retry runs by outcome: succeeded, retrying (failed again), exhausted (given up, or left to a person)",
            metrics.retried.clone(),
        );
        registry.register(
            "sweep_lag_seconds",
            "Time from the tick at which a retry run was due to its start",
            metrics.sweep_lag.clone(),
        );
        registry.register(
            "sweep_duration_seconds",
            "Duration of reconciles that started a retry run",
            metrics.sweep_duration.clone(),
        );
        registry.register(
            "notifications",
            "Attempts to deliver a message to the webhook, by outcome",
            metrics.notifications.clone(),
        );
        metrics
    }

    /// What an object has at present, instead of what it had before.
    pub(super) fn tell(&self, kind: &'static str, key: &Key, counts: &[CategoryCount], oldest: Option<Timestamp>) {
        let part = Part { counts: by_labels(kind, counts), oldest };
        let mut parts = self.parts.lock().unwrap_or_else(PoisonError::into_inner);
        let id = (kind, key.clone());
        let before = match part.counts.is_empty() && part.oldest.is_none() {
            true => parts.remove(&id),
            false => parts.insert(id.clone(), part),
        };
        let before = before.unwrap_or_default().counts;
        let now = parts.get(&id).map(|part| &part.counts);
        for (labels, count) in before {
            self.dead_letters.get_or_create(&labels).dec_by(count);
        }
        for (labels, count) in now.into_iter().flatten() {
            self.dead_letters.get_or_create(labels).inc_by(*count);
        }
    }

    /// Brings what changes with time alone up to date.
    pub(super) fn age(&self, now: Timestamp) {
        let mut oldest: BTreeMap<&'static str, Timestamp> = BTreeMap::new();
        let parts = self.parts.lock().unwrap_or_else(PoisonError::into_inner);
        for ((kind, _), part) in parts.iter() {
            if let Some(time) = part.oldest {
                oldest.entry(kind).and_modify(|known| *known = time.min(*known)).or_insert(time);
            }
        }
        self.oldest_age.clear();
        for (kind, time) in oldest {
            self.oldest_age.get_or_create(&Kind { kind }).set(now.duration_since(time).as_secs().max(0));
        }
    }

    pub(super) fn retry_started(&self, kind: &'static str, lag_seconds: f64, duration_seconds: f64) {
        self.started.get_or_create(&Kind { kind }).inc();
        self.sweep_lag.get_or_create(&Kind { kind }).observe(lag_seconds);
        self.sweep_duration.get_or_create(&Kind { kind }).observe(duration_seconds);
    }

    pub(super) fn retried(&self, kind: &'static str, items: &ItemCounts, failures: &FailureCounts) {
        let exhausted = failures.archived.saturating_add(failures.notified);
        for (outcome, count) in [("succeeded", items.done), ("retrying", failures.retrying), ("exhausted", exhausted)] {
            self.retried.get_or_create(&Outcome { kind, outcome }).inc_by(u64::try_from(count).unwrap_or(0));
        }
    }

    pub(super) fn notified(&self, kind: &'static str, arrived: bool) {
        let outcome = if arrived { "delivered" } else { "failed" };
        self.notifications.get_or_create(&Outcome { kind, outcome }).inc();
    }
}

fn by_labels(kind: &'static str, counts: &[CategoryCount]) -> BTreeMap<DeadLetterLabels, i64> {
    let each = counts.iter().flat_map(|entry| {
        let of = [
            (FailureAction::Retry, entry.retrying),
            (FailureAction::Archive, entry.archived),
            (FailureAction::Notify, entry.notified),
        ];
        of.map(|(action, count)| {
            let labels = DeadLetterLabels { kind, category: entry.category.as_str(), action: action.as_str() };
            (labels, i64::from(count))
        })
    });
    each.filter(|(_, count)| *count > 0).collect()
}
