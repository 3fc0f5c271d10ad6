//! Metrics of maintenance: what tasks came to, and which checks fail. No I/O.

use std::{
    collections::HashMap,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicI64, AtomicU64},
    },
};

use lexigram_api::{
    contract::{TaskReport, TaskResult},
    maintenance::HealthCheckName,
    resource::CheckStatus,
};
use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::{Registry, Unit},
};

use crate::queue::Key;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Ended {
    task: &'static str,
    result: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Task {
    task: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Check {
    check: &'static str,
}

/// What maintenance comes to.
#[derive(Debug, Default)]
pub(super) struct MaintenanceMetrics {
    tasks: Family<Ended, Counter<u64, AtomicU64>>,
    items: Family<Task, Counter<u64, AtomicU64>>,
    freed: Family<Task, Counter<u64, AtomicU64>>,
    failing: Family<Check, Gauge<i64, AtomicI64>>,
    /// The checks that fail, by schedule.
    broken: Mutex<HashMap<Key, Vec<HealthCheckName>>>,
}

impl MaintenanceMetrics {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        registry.register(
            "maintenance_tasks",
            "Maintenance tasks that ended, by type and result",
            metrics.tasks.clone(),
        );
        registry.register("maintenance_items", "What maintenance tasks worked on, by type", metrics.items.clone());
        registry.register_with_unit(
            "maintenance_freed",
            "Bytes that stores take less after maintenance tasks, by type",
            Unit::Bytes,
            metrics.freed.clone(),
        );
        registry.register(
            "health_checks_failing",
            "Schedules whose newest health check found this check not to hold",
            metrics.failing.clone(),
        );
        metrics
    }

    /// A task has ended.
    pub(super) fn ended(&self, task: &'static str, report: &TaskReport) {
        let result = match report.result {
            TaskResult::Succeeded => "succeeded",
            TaskResult::Failed => "failed",
            TaskResult::Skipped => "skipped",
        };
        self.tasks.get_or_create(&Ended { task, result }).inc();
        self.items.get_or_create(&Task { task }).inc_by(u64::try_from(report.items).unwrap_or(0));
        self.freed.get_or_create(&Task { task }).inc_by(u64::try_from(report.bytes_freed).unwrap_or(0));
    }

    /// What the newest check of a schedule found, instead of what the one before did.
    pub(super) fn health(&self, schedule: &Key, checks: &[CheckStatus]) {
        let broken: Vec<_> = checks.iter().filter(|check| !check.passed).map(|check| check.name).collect();
        let mut known = self.broken.lock().unwrap_or_else(PoisonError::into_inner);
        let before = match broken.is_empty() {
            true => known.remove(schedule),
            false => known.insert(schedule.clone(), broken.clone()),
        };
        for (names, change) in [(before.unwrap_or_default(), -1), (broken, 1)] {
            for name in names {
                self.failing.get_or_create(&Check { check: name.as_str() }).inc_by(change);
            }
        }
    }
}
