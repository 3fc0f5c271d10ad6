//! What a message has to keep beyond its shape. Its words and numbers go into statuses and conditions, and its author may
//! be anybody: a message with a fault counts for nothing. No I/O.

use std::fmt;

use super::{CONTRACT_VERSION, Counts, DeadLetters, FailureCounts, ItemFailure, Progress, RECENT_FAILURES, Report};

/// Longest answer to `GET /progress`, in bytes.
pub const PROGRESS_BYTES: usize = 64 * 1024;
/// Longest reason of a failure, in characters.
pub const REASON_CHARS: usize = 128;

/// What is wrong with one field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Path of the field.
    pub field: String,
    /// What is wrong with it, and what it should be.
    pub problem: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.field, self.problem)
    }
}

impl Progress {
    /// What is wrong with it; nothing where it can be shown.
    #[must_use]
    pub fn faults(&self) -> Vec<Fault> {
        let mut faults = Faults::default();
        faults.version(&self.contract_version);
        faults.counts(&self.counts);
        faults.failures(&self.recent_failures);
        faults.0
    }
}

impl Report {
    /// What is wrong with it; nothing where it can be shown.
    #[must_use]
    pub fn faults(&self) -> Vec<Fault> {
        let mut faults = Faults::default();
        faults.version(&self.contract_version);
        if let Some(error) = &self.error {
            faults.reason("error.reason", &error.reason);
        }
        faults.counts(&self.counts);
        faults.dead_letters(&self.dead_letters);
        for (place, task) in self.maintenance.iter().enumerate() {
            if let Some(error) = &task.error {
                faults.reason(&format!("maintenance[{place}].error.reason"), &error.reason);
            }
        }
        faults.failures(&self.recent_failures);
        faults.0
    }
}

#[derive(Default)]
struct Faults(Vec<Fault>);

impl Faults {
    fn add(&mut self, field: &str, problem: impl Into<String>) {
        self.0.push(Fault { field: field.to_owned(), problem: problem.into() });
    }

    fn version(&mut self, version: &str) {
        if version != CONTRACT_VERSION {
            self.add("contractVersion", format!("'{version}' is not the version of this contract, {CONTRACT_VERSION}"));
        }
    }

    /// Reasons become those of conditions, which the API server refuses in any other form.
    fn reason(&mut self, field: &str, reason: &str) {
        let is_word = reason.starts_with(|first: char| first.is_ascii_uppercase())
            && reason.chars().all(|letter| letter.is_ascii_alphanumeric());
        if !is_word || reason.len() > REASON_CHARS {
            let problem =
                format!("is no CamelCase word of at most {REASON_CHARS} letters and digits, such as TextTooLong");
            self.add(field, problem);
        }
    }

    fn number(&mut self, field: &str, number: i64) {
        if number < 0 {
            self.add(field, format!("{number} is less than nothing"));
        }
    }

    fn actions(&mut self, field: &str, actions: &FailureCounts) {
        let FailureCounts { retrying, archived, notified } = actions;
        for (name, number) in [("retrying", retrying), ("archived", archived), ("notified", notified)] {
            self.number(&format!("{field}.{name}"), i64::from(*number));
        }
    }

    fn counts(&mut self, counts: &Counts) {
        let Counts { items, failures, chunks, tokens, bytes, cached } = counts;
        for (name, number) in [
            ("total", items.total),
            ("done", items.done),
            ("failed", items.failed),
            ("skipped", items.skipped),
            ("deleted", items.deleted),
        ] {
            self.number(&format!("counts.items.{name}"), i64::from(number));
        }
        self.actions("counts.failures", failures);
        for (name, number) in [("chunks", chunks), ("tokens", tokens), ("bytes", bytes), ("cached", cached)] {
            self.number(&format!("counts.{name}"), *number);
        }
    }

    fn dead_letters(&mut self, dead: &DeadLetters) {
        self.actions("deadLetters.actions", &dead.actions);
        for (place, entry) in dead.categories.iter().enumerate() {
            for number in [entry.count, entry.retrying, entry.archived, entry.notified] {
                self.number(&format!("deadLetters.categories[{place}]"), i64::from(number));
            }
        }
    }

    fn failures(&mut self, failures: &[ItemFailure]) {
        if failures.len() > RECENT_FAILURES {
            let problem =
                format!("{} failures, and {RECENT_FAILURES} are shown at most: keep the newest", failures.len());
            self.add("recentFailures", problem);
        }
        for (place, failure) in failures.iter().enumerate() {
            self.reason(&format!("recentFailures[{place}].reason"), &failure.reason);
            self.number(&format!("recentFailures[{place}].attempts"), i64::from(failure.attempts));
        }
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::{Value, json};

    use super::*;

    fn failure(reason: &str) -> Value {
        json!({
            "item": "a.md", "stage": "Parse", "category": "InvalidInput", "reason": reason, "message": "no text",
            "attempts": 1, "action": "Archive", "lastFailureTime": "2027-01-15T08:00:00Z",
        })
    }

    fn report(change: Value) -> Report {
        let mut report =
            json!({"contractVersion": "v1alpha1", "run": "r1", "counts": {"items": {"total": 1, "done": 1}}});
        report.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        serde_json::from_value(report).unwrap()
    }

    #[rstest]
    #[case::good(json!({}), None)]
    #[case::another_version(json!({"contractVersion": "v2"}), Some("contractVersion"))]
    #[case::a_sentence(
        json!({"error": {"category": "Unknown", "reason": "it broke", "message": ""}}),
        Some("error.reason")
    )]
    #[case::less_than_nothing(json!({"counts": {"items": {"done": -1}}}), Some("counts.items.done"))]
    #[case::tokens(json!({"counts": {"tokens": -1}}), Some("counts.tokens"))]
    #[case::dead_letters(json!({"deadLetters": {"actions": {"archived": -1}}}), Some("deadLetters.actions.archived"))]
    #[case::a_category(
        json!({"deadLetters": {"categories": [{"category": "Unknown", "count": -1}]}}),
        Some("deadLetters.categories[0]")
    )]
    #[case::no_reason(json!({"recentFailures": [failure("")]}), Some("recentFailures[0].reason"))]
    #[case::a_long_one(json!({"recentFailures": [failure(&"A".repeat(129))]}), Some("recentFailures[0].reason"))]
    #[case::too_many(json!({"recentFailures": vec![failure("NoText"); 11]}), Some("recentFailures"))]
    #[case::a_task(
        json!({"maintenance": [{"name": "a", "result": "Failed", "error": {"category": "Unknown", "reason": "", "message": ""}}]}),
        Some("maintenance[0].error.reason")
    )]
    fn a_report_has_one_fault(#[case] change: Value, #[case] field: Option<&str>) {
        let faults = report(change).faults();
        assert_eq!(faults.iter().map(|fault| fault.field.as_str()).collect::<Vec<_>>(), field.as_slice());
    }

    #[rstest]
    #[case::good(json!({}), None)]
    #[case::another_version(json!({"contractVersion": "v2"}), Some("contractVersion"))]
    #[case::less_than_nothing(json!({"counts": {"items": {"total": -1}}}), Some("counts.items.total"))]
    #[case::too_many(json!({"recentFailures": vec![failure("NoText"); 11]}), Some("recentFailures"))]
    fn progress_has_one_fault(#[case] change: Value, #[case] field: Option<&str>) {
        let now = "2027-01-15T08:00:00Z";
        let mut progress = json!({
            "contractVersion": "v1alpha1", "run": "r1", "phase": "Working", "heartbeat": now, "started": now,
            "counts": {}, "recentFailures": [],
        });
        progress.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        let faults = serde_json::from_value::<Progress>(progress).unwrap().faults();
        assert_eq!(faults.iter().map(|fault| fault.field.as_str()).collect::<Vec<_>>(), field.as_slice());
    }
}
