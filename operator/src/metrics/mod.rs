//! The operator's metrics. No I/O; [`crate::admin`] serves them.
//!
//! Every label has few values: kinds, outcomes, categories, actions and the constant reasons of errors.

pub mod api_requests;
mod dead_letters;
mod maintenance;
mod runs;
#[cfg(test)]
mod shipped;

use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicI64, AtomicU64},
    },
    time::Duration,
};

use jiff::Timestamp;
use lexigram_api::{
    contract::{CategoryCount, Report, TaskReport},
    resource::CheckStatus,
};
use prometheus_client::{
    encoding::{EncodeLabelSet, text::encode},
    metrics::{
        counter::Counter,
        family::Family,
        gauge::Gauge,
        histogram::{Histogram, exponential_buckets},
    },
    registry::Registry,
};

pub use self::runs::EndedRun;
use self::{
    api_requests::ApiRequests, dead_letters::DeadLetterMetrics, maintenance::MaintenanceMetrics, runs::RunMetrics,
};
use crate::queue::Key;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Kind {
    kind: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Outcome {
    kind: &'static str,
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Failure {
    kind: &'static str,
    reason: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Place {
    kind: &'static str,
    place: &'static str,
}

/// Everything that the operator counts and measures.
#[derive(Debug)]
pub struct Metrics {
    registry: Mutex<Registry>,
    reconciles: Family<Outcome, Counter<u64, AtomicU64>>,
    durations: Family<Kind, Histogram, fn() -> Histogram>,
    errors: Family<Failure, Counter<u64, AtomicU64>>,
    queue: Family<Place, Gauge<i64, AtomicI64>>,
    config_valid: Gauge<i64, AtomicI64>,
    leader: Gauge<i64, AtomicI64>,
    api_requests: ApiRequests,
    dead_letters: DeadLetterMetrics,
    maintenance: MaintenanceMetrics,
    runs: RunMetrics,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("lexigram");
        let api_requests = ApiRequests::register(&mut registry);
        let dead_letters = DeadLetterMetrics::register(&mut registry);
        let maintenance = MaintenanceMetrics::register(&mut registry);
        let runs = RunMetrics::register(&mut registry);
        let metrics = Self {
            registry: Mutex::new(registry),
            api_requests,
            dead_letters,
            maintenance,
            runs,
            reconciles: Family::default(),
            durations: Family::new_with_constructor(reconcile_durations),
            errors: Family::default(),
            queue: Family::default(),
            config_valid: Gauge::default(),
            leader: Gauge::default(),
        };
        metrics.config_valid.set(1);
        {
            let mut registry = metrics.registry.lock().unwrap_or_else(PoisonError::into_inner);
            registry.register("reconciles", "Reconciles by kind and outcome", metrics.reconciles.clone());
            registry.register("reconcile_duration_seconds", "Duration of reconciles", metrics.durations.clone());
            registry.register("reconcile_errors", "Failed steps of reconciles by reason", metrics.errors.clone());
            registry.register("queue_jobs", "Jobs that wait for a place, and that hold one", metrics.queue.clone());
            registry.register(
                "config_valid",
                "1 if the newest configuration is the running one, 0 if it was refused",
                metrics.config_valid.clone(),
            );
            registry.register("leader", "1 in the process that holds the lease", metrics.leader.clone());
        }
        metrics
    }
}

/// 1 ms to 4 s: a reconcile that asks a silent worker takes a second.
fn reconcile_durations() -> Histogram {
    Histogram::new(exponential_buckets(0.001, 2.0, 13))
}

impl Metrics {
    /// A reconcile has ended.
    pub fn reconciled(&self, kind: &'static str, duration: Duration, success: bool) {
        let outcome = if success { "success" } else { "error" };
        self.reconciles.get_or_create(&Outcome { kind, outcome }).inc();
        self.durations.get_or_create(&Kind { kind }).observe(duration.as_secs_f64());
    }

    /// A step of a reconcile has failed.
    pub fn reconcile_error(&self, kind: &'static str, reason: &'static str) {
        self.errors.get_or_create(&Failure { kind, reason }).inc();
    }

    /// How many jobs wait for a place, and how many hold one.
    pub fn queue(&self, kind: &'static str, waiting: usize, running: usize) {
        for (place, jobs) in [("waiting", waiting), ("running", running)] {
            self.queue.get_or_create(&Place { kind, place }).set(i64::try_from(jobs).unwrap_or(i64::MAX));
        }
    }

    /// A job has got a place for which it has waited so long.
    pub fn admitted(&self, kind: &'static str, waited: Duration) {
        self.runs.admitted(kind, waited.as_secs_f64());
    }

    /// How many workers an object has at present, instead of what it had before.
    pub fn at_work(&self, kind: &'static str, object: &Key, workers: usize) {
        self.runs.at_work(kind, object, workers);
    }

    /// A run has ended: what its workers counted is kept here, since they are gone.
    pub fn run_ended(&self, kind: &'static str, run: &EndedRun) {
        self.runs.ended(kind, run);
    }

    /// Whether the newest configuration was accepted.
    pub fn config_valid(&self, valid: bool) {
        self.config_valid.set(i64::from(valid));
    }

    /// Whether this process holds the lease.
    pub fn leader(&self, leads: bool) {
        self.leader.set(i64::from(leads));
    }

    /// The counter of requests to the Kubernetes API.
    pub fn api_requests(&self) -> &ApiRequests {
        &self.api_requests
    }

    /// What one object's status tells of dead letters, instead of what it told before.
    pub fn dead_letters(
        &self,
        kind: &'static str,
        object: &Key,
        categories: &[CategoryCount],
        oldest: Option<Timestamp>,
    ) {
        self.dead_letters.tell(kind, object, categories, oldest);
    }

    /// A retry run was started, so long after it was due, by a reconcile that took so long.
    pub fn retry_started(&self, kind: &'static str, lag: Duration, duration: Duration) {
        self.dead_letters.retry_started(kind, lag.as_secs_f64(), duration.as_secs_f64());
    }

    /// A retry run has come to its end.
    pub fn retried(&self, kind: &'static str, report: &Report) {
        self.dead_letters.retried(kind, &report.counts.items, &report.counts.failures);
    }

    /// An attempt to deliver a message to the webhook has ended.
    pub fn notified(&self, kind: &'static str, arrived: bool) {
        self.dead_letters.notified(kind, arrived);
    }

    /// A maintenance task of that type has ended.
    pub fn task_ended(&self, task: &'static str, report: &TaskReport) {
        self.maintenance.ended(task, report);
    }

    /// What the newest health check of a schedule found.
    pub fn health(&self, schedule: &Key, checks: &[CheckStatus]) {
        self.maintenance.health(schedule, checks);
    }

    /// All of it in the text format of OpenMetrics.
    ///
    /// # Errors
    /// If memory runs out.
    pub fn encode(&self) -> Result<String, std::fmt::Error> {
        self.dead_letters.age(Timestamp::now());
        let mut text = String::new();
        encode(&mut text, &self.registry.lock().unwrap_or_else(PoisonError::into_inner))?;
        Ok(text)
    }
}

#[cfg(test)]
mod tests {
    use lexigram_api::{
        contract::{Counts, ItemCounts, ProviderRequests},
        failure::FailureCategory,
        resource::RunResult,
    };

    use super::*;

    #[test]
    fn what_was_counted_is_served() {
        let metrics = Metrics::default();
        metrics.reconciled("IngestionJob", Duration::from_millis(3), true);
        metrics.reconcile_error("IngestionJob", "Forbidden");
        metrics.queue("IngestionJob", 2, 1);
        metrics.config_valid(false);
        let count = |retrying, archived| CategoryCount {
            category: FailureCategory::Timeout,
            count: retrying + archived,
            retrying,
            archived,
            notified: 0,
        };
        let object = |name: &str| ("team-a".to_owned(), name.to_owned());
        metrics.dead_letters("IngestionJob", &object("a"), &[count(2, 3)], Some(Timestamp::UNIX_EPOCH));
        metrics.dead_letters("IngestionJob", &object("b"), &[count(4, 0)], None);
        metrics.dead_letters("IngestionJob", &object("a"), &[count(1, 3)], Some(Timestamp::UNIX_EPOCH));
        metrics.dead_letters("IngestionJob", &object("b"), &[], None);
        let counts = Counts {
            items: ItemCounts { total: 9, done: 7, failed: 2, ..Default::default() },
            tokens: 900,
            ..Default::default()
        };
        let provider = ProviderRequests { answered: 3, rate_limited: 1, failed: 0, milliseconds: 1500 };
        let run = EndedRun { result: RunResult::Succeeded, seconds: Some(70.0), counts, provider };
        metrics.run_ended("IngestionJob", &run);
        metrics.run_ended("IngestionJob", &run);
        metrics.at_work("IngestionJob", &object("a"), 4);
        metrics.at_work("IngestionJob", &object("b"), 1);
        metrics.at_work("IngestionJob", &object("a"), 2);
        metrics.at_work("IngestionJob", &object("b"), 0);
        metrics.admitted("IngestionJob", Duration::from_secs(5));
        let text = metrics.encode().unwrap();
        for line in [
            r#"lexigram_reconciles_total{kind="IngestionJob",outcome="success"} 1"#,
            r#"lexigram_reconcile_errors_total{kind="IngestionJob",reason="Forbidden"} 1"#,
            r#"lexigram_queue_jobs{kind="IngestionJob",place="waiting"} 2"#,
            "lexigram_config_valid 0",
            r#"lexigram_dead_letters{kind="IngestionJob",category="Timeout",action="Retry"} 1"#,
            r#"lexigram_dead_letters{kind="IngestionJob",category="Timeout",action="Archive"} 3"#,
            r#"lexigram_runs_total{kind="IngestionJob",result="succeeded"} 2"#,
            r#"lexigram_run_duration_seconds_sum{kind="IngestionJob"} 140"#,
            r#"lexigram_items_total{kind="IngestionJob",result="done"} 14"#,
            r#"lexigram_items_total{kind="IngestionJob",result="failed"} 4"#,
            r#"lexigram_tokens_total{kind="IngestionJob"} 1800"#,
            r#"lexigram_provider_requests_total{kind="IngestionJob",outcome="rate_limited"} 2"#,
            r#"lexigram_provider_request_seconds_total{kind="IngestionJob"} 3"#,
            r#"lexigram_active_workers{kind="IngestionJob"} 2"#,
            r#"lexigram_queue_wait_seconds_sum{kind="IngestionJob"} 5"#,
            r#"lexigram_dead_letters_oldest_age_seconds{kind="IngestionJob"}"#,
        ] {
            assert!(text.contains(line), "{line} is not in\n{text}");
        }
    }
}
