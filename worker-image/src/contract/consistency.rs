//! Whether the numbers of a message agree with each other, and a report with the exit code. No I/O.

use lexigram_api::contract::{ExitCode, FailureCounts, ItemCounts, Phase, Progress, Report, RunError};

use super::Finding;

/// What does not agree in progress.
pub(super) fn of_progress(progress: &Progress) -> Option<Finding> {
    let listed = matches!(progress.phase, Phase::Working | Phase::Finishing);
    let ItemCounts { total, .. } = progress.counts.items;
    let processed = progress.counts.items.processed();
    (listed && processed > total).then(|| {
        Finding::new(
            format!("progress: {processed} items are done, failed or skipped, of {total}"),
            "set counts.items.total before the phase Working; users see done of total",
        )
    })
}

/// What does not agree in a report, and with how the process has ended where that is known.
pub(super) fn of_report(report: &Report, exit: Option<ExitCode>) -> Vec<Finding> {
    let whole = report.error.is_none() && exit.is_none_or(|exit| exit == ExitCode::Finished);
    let numbers = if whole { of_numbers(report) } else { Vec::new() };
    exit.and_then(|exit| of_exit(exit, report.error.as_ref())).into_iter().chain(numbers).collect()
}

fn of_numbers(report: &Report) -> Vec<Finding> {
    let items = &report.counts.items;
    let sum = |counts: &FailureCounts| {
        let FailureCounts { retrying, archived, notified } = counts;
        retrying.saturating_add(*archived).saturating_add(*notified)
    };
    let (failures, dead) = (sum(&report.counts.failures), sum(&report.dead_letters.actions));
    let processed = items.processed();
    let ItemCounts { total, failed, .. } = items;
    let checks = [
        (
            processed != *total,
            format!("report: {processed} items are done, failed or skipped, and counts.items.total is {total}"),
            "count every listed item once; a run that was not able to try all of them has failed, and says why in `error`",
        ),
        (
            failures != *failed,
            format!("report: counts.failures add up to {failures}, and counts.items.failed is {failed}"),
            "count each failed item under what is done about it: retrying, archived or notified",
        ),
        (
            dead < failures,
            format!("report: deadLetters.actions add up to {dead}, and {failures} items failed in this run alone"),
            "count in deadLetters all that has failed and is not done yet, whatever run it failed in: retries go by it",
        ),
    ];
    checks.into_iter().filter(|(wrong, ..)| *wrong).map(|(_, problem, fix)| Finding::new(problem, fix)).collect()
}

/// Whether the exit code says the same as the report's error.
fn of_exit(exit: ExitCode, error: Option<&RunError>) -> Option<Finding> {
    let code = exit.code();
    match (exit, error) {
        (ExitCode::Finished | ExitCode::Interrupted, None) => None,
        (ExitCode::Finished | ExitCode::Interrupted, Some(error)) => Some(Finding::new(
            format!("report: error is {} ({}), and the exit code is {code}", error.reason, error.category),
            format!(
                "exit with {} for a failure of that category; `error` is for runs that failed as a whole, and items that \
                 failed belong into counts, deadLetters and recentFailures",
                ExitCode::of_failure(error.category).code()
            ),
        )),
        (_, None) => Some(Finding::new(
            format!("report: the exit code is {code}, and there is no error"),
            "say in `error` why the run failed: users read it in the job's conditions",
        )),
        // what cannot be understood is a question of configuration, whatever the category
        (ExitCode::Usage, Some(_)) => None,
        (_, Some(error)) => {
            let expected = ExitCode::of_failure(error.category);
            (expected != exit).then(|| {
                Finding::new(
                    format!("report: the exit code is {code}, and error.category is {}", error.category),
                    format!(
                        "exit with {}, or correct the category: the code decides whether the pod is tried again",
                        expected.code()
                    ),
                )
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::{Value, json};

    use super::*;

    fn report(fields: Value) -> Report {
        let mut report = json!({"contractVersion": "v1alpha1", "run": "r1", "counts": {}});
        report.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        serde_json::from_value(report).unwrap()
    }

    fn error(category: &str) -> Value {
        json!({"error": {"category": category, "reason": "NoLuck", "message": "none"}})
    }

    fn items(total: i32, done: i32, failed: i32) -> Value {
        json!({"total": total, "done": done, "failed": failed})
    }

    #[rstest]
    #[case::finished(json!({}), ExitCode::Finished, None)]
    #[case::interrupted(json!({"counts": {"items": items(9, 1, 0)}}), ExitCode::Interrupted, None)]
    #[case::refused(error("Authentication"), ExitCode::Authentication, None)]
    #[case::usage(error("Configuration"), ExitCode::Usage, None)]
    #[case::out_of_memory(error("ResourceExhausted"), ExitCode::Retryable, None)]
    #[case::failed_well(error("Transient"), ExitCode::Finished, Some("exit with 75 for a failure"))]
    #[case::silent(json!({}), ExitCode::Retryable, Some("say in `error` why"))]
    #[case::wrong_code(error("Authentication"), ExitCode::Retryable, Some("exit with 77, or correct the category"))]
    #[case::lost_items(json!({"counts": {"items": items(3, 1, 0)}}), ExitCode::Finished, Some("count every listed item once"))]
    #[case::no_action(
        json!({"counts": {"items": items(2, 1, 1)}}), ExitCode::Finished, Some("count each failed item under what is done")
    )]
    #[case::no_dead_letters(
        json!({"counts": {"items": items(1, 0, 1), "failures": {"retrying": 1}}}),
        ExitCode::Finished,
        Some("count in deadLetters all that has failed")
    )]
    #[case::dead_letters(
        json!({"counts": {"items": items(1, 0, 1), "failures": {"retrying": 1}}, "deadLetters": {"actions": {"retrying": 3}}}),
        ExitCode::Finished,
        None
    )]
    fn a_report_and_its_exit_code(#[case] fields: Value, #[case] exit: ExitCode, #[case] fix: Option<&str>) {
        let findings = of_report(&report(fields), Some(exit));
        let fixes: Vec<_> = findings.iter().map(|finding| finding.fix.as_str()).collect();
        assert_eq!(fixes.len(), usize::from(fix.is_some()), "{fixes:?}");
        assert!(fix.is_none_or(|fix| fixes[0].contains(fix)), "{fixes:?}");
    }

    #[rstest]
    #[case("Listing", 2, 1, false)]
    #[case("Working", 1, 1, false)]
    #[case("Working", 2, 1, true)]
    fn no_more_is_done_than_there_is(#[case] phase: &str, #[case] done: i32, #[case] total: i32, #[case] wrong: bool) {
        let progress = serde_json::from_value(json!({
            "contractVersion": "v1alpha1", "run": "r1", "phase": phase, "heartbeat": "2027-01-15T08:00:00Z",
            "started": "2027-01-15T08:00:00Z", "counts": {"items": items(total, done, 0)}, "recentFailures": [],
        }));
        assert_eq!(of_progress(&progress.unwrap()).is_some(), wrong);
    }
}
