//! What the newest health check found. No I/O.

use lexigram_api::{
    contract::{CheckReport, TaskResult},
    maintenance::TaskType,
    resource::{CheckStatus, ConditionStatus},
};

use super::runs::Run;

/// The condition `Healthy`, and what stands behind it.
#[derive(Clone, Debug, PartialEq)]
pub struct Health {
    /// Whether all checks hold.
    pub status: ConditionStatus,
    /// One constant CamelCase word.
    pub reason: &'static str,
    /// What was found, and what to do.
    pub message: String,
    /// Every check.
    pub checks: Vec<CheckStatus>,
}

/// What the newest run with a health check says, of those that are over; nothing if there was none yet. A check that
/// was skipped says nothing.
#[must_use]
pub fn health(runs: &[Run]) -> Option<Health> {
    runs.iter().rev().find_map(of_run)
}

fn of_run(run: &Run) -> Option<Health> {
    let (_, outcome) = run.settled()?;
    let is_check =
        |name: &str| run.tasks.iter().any(|task| task.name == name && task.task_type == TaskType::HealthCheck);
    let reports = || {
        let of_checks = outcome.tasks.iter().filter(|task| is_check(&task.name));
        of_checks.filter(|task| task.result != TaskResult::Skipped)
    };
    reports().next()?;
    if let Some(failed) = reports().find(|task| task.result == TaskResult::Failed) {
        let why = failed.error.as_ref().map_or("", |error| &error.message);
        let message = format!("task {} of {} could not find out: {why}", failed.name, run.job);
        return Some(Health { status: ConditionStatus::Unknown, reason: "NotChecked", message, checks: Vec::new() });
    }
    let mut checks: Vec<&CheckReport> = Vec::new();
    for check in reports().flat_map(|task| &task.checks) {
        match checks.iter_mut().find(|known| known.name == check.name) {
            None => checks.push(check),
            Some(known) if known.passed => *known = check,
            Some(_) => {}
        }
    }
    let broken: Vec<_> = checks.iter().filter(|check| !check.passed).collect();
    let (status, reason, message) = match broken.split_first() {
        None => (ConditionStatus::True, "ChecksPassed", format!("all {} checks hold", checks.len())),
        Some((first, _)) => {
            let said: Vec<_> =
                broken.iter().map(|check| format!("{}: {}", check.name.as_str(), check.message)).collect();
            (ConditionStatus::False, first.name.failure(), said.join("; "))
        }
    };
    let told =
        |check: &&CheckReport| CheckStatus { name: check.name, passed: check.passed, message: check.message.clone() };
    Some(Health { status, reason, message, checks: checks.iter().map(told).collect() })
}
