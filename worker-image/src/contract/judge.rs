//! What is wrong with a worker, by what was seen of it. No I/O.

use lexigram_api::contract::{ExitCode, Report};

use super::{
    Finding, Scenario,
    launch::{End, GRACE_SECONDS, Heard, Seen},
    message,
};

/// SIGTERM.
const TERM: i32 = 15;

/// What is wrong with a worker that was put through `scenario`; `run` is the name that the work spec gave to its run.
pub(super) fn judge(scenario: Scenario, seen: &Seen, run: &str) -> Vec<Finding> {
    match scenario {
        Scenario::Whole => whole(seen, run),
        Scenario::Interrupted => interrupted(seen, run),
        Scenario::OtherVersion => other_version(seen),
    }
}

fn whole(seen: &Seen, run: &str) -> Vec<Finding> {
    let mut findings = match seen.end {
        End::TimedOut(seconds) => vec![Finding::new(
            format!("the worker did not end within {seconds} s"),
            "end the process when the work is done, or give it more time with --timeout",
        )],
        End::Killed(signal) => vec![Finding::new(
            format!("the worker was ended by signal {signal}"),
            "find out why in what it printed; a worker ends by itself, with an exit code",
        )],
        End::Exited(code) => exited(code, seen, run),
    };
    if !seen.healthy {
        findings.push(Finding::new(
            "GET /healthz was not answered with 200",
            "listen at $LEXIGRAM_LISTEN before the work begins; Kubernetes kills a worker that is silent for five minutes",
        ));
    }
    findings.extend(match &seen.progress {
        Heard::Good => Vec::new(),
        Heard::Faulty(findings) => findings.clone(),
        Heard::Refused(status) => vec![Finding::new(
            format!("GET /progress was answered with HTTP {status}"),
            "answer it with 200 and JSON as in docs/contract/progress.schema.json",
        )],
        Heard::Nothing => vec![Finding::new(
            "GET /progress was not answered within a second while the worker ran",
            "answer it at $LEXIGRAM_LISTEN in a thread of its own, from the start on: users see nothing of a silent worker",
        )],
    });
    findings
}

fn exited(code: i32, seen: &Seen, run: &str) -> Vec<Finding> {
    let Some(exit) = ExitCode::from_code(code) else {
        return vec![unknown_code(code)];
    };
    if seen.report.is_empty() {
        return vec![Finding::new(
            format!("the worker ended with exit code {code} and left no report"),
            "write it to $LEXIGRAM_TERMINATION_LOG before the process ends: a run that ends well without one has failed",
        )];
    }
    let mut findings = message::report(&seen.report, Some(run), Some(exit));
    if exit != ExitCode::Finished {
        let report = serde_json::from_slice::<Report>(&seen.report).ok();
        let error = report.and_then(|report| report.error).map(|error| format!(": {}", error.message));
        findings.push(Finding::new(
            format!("the worker ended with exit code {code}{}", error.unwrap_or_default()),
            "mend what it says; if the sample is no work for it, give it a work spec of its own with --spec",
        ));
    }
    findings
}

fn unknown_code(code: i32) -> Finding {
    let known = ExitCode::ALL.map(|exit| exit.code().to_string()).join(", ");
    Finding::new(
        format!("the worker ended with exit code {code}, which says nothing to the operator"),
        format!("end with one of {known}: docs/worker-contract.md says what each means"),
    )
}

fn interrupted(seen: &Seen, run: &str) -> Vec<Finding> {
    let interrupted = ExitCode::Interrupted.code();
    let code = match seen.end {
        End::Exited(code) => code,
        End::TimedOut(seconds) => {
            return vec![Finding::new(
                format!("the worker did not end within {seconds} s of SIGTERM"),
                format!(
                    "finish the item at hand and exit with {interrupted}: Kubernetes kills it after {GRACE_SECONDS} s"
                ),
            )];
        }
        End::Killed(TERM) => {
            return vec![Finding::new(
                "the worker has no handler for SIGTERM",
                format!(
                    "handle it: finish the item at hand and exit with {interrupted}. The first process of a container \
                     that has none ignores SIGTERM, and is killed after {GRACE_SECONDS} s. If a shell starts it, use `exec`"
                ),
            )];
        }
        End::Killed(signal) => {
            return vec![Finding::new(
                format!("the worker was ended by signal {signal} after SIGTERM"),
                format!("handle SIGTERM: finish the item at hand and exit with {interrupted}"),
            )];
        }
    };
    match ExitCode::from_code(code) {
        // it was through before the signal came
        Some(exit @ ExitCode::Finished) => message::report(&seen.report, Some(run), Some(exit)),
        // one that is stopped may have nothing to say
        Some(ExitCode::Interrupted) if seen.report.is_empty() => Vec::new(),
        Some(exit @ ExitCode::Interrupted) => message::report(&seen.report, Some(run), Some(exit)),
        _ => vec![Finding::new(
            format!("the worker ended with exit code {code} after SIGTERM"),
            format!("exit with {interrupted}: other codes spend an attempt of the run, or fail it"),
        )],
    }
}

fn other_version(seen: &Seen) -> Vec<Finding> {
    let usage = ExitCode::Usage.code();
    if seen.end == End::Exited(i32::from(usage)) {
        return Vec::new();
    }
    let end = match seen.end {
        End::Exited(code) => format!("ended with exit code {code}"),
        End::Killed(signal) => format!("was ended by signal {signal}"),
        End::TimedOut(seconds) => format!("did not end within {seconds} s"),
    };
    vec![Finding::new(
        format!("the worker was given a work spec of contract version 'v0', and {end}"),
        format!(
            "compare contractVersion with the version that it was written for before anything else, and exit with {usage}"
        ),
    )]
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    const GOOD: &str = r#"{"contractVersion": "v1alpha1", "run": "r1", "counts": {"items": {"total": 1, "done": 1}}}"#;
    const FAILED: &str = r#"{"contractVersion": "v1alpha1", "run": "r1", "counts": {},
        "error": {"category": "Configuration", "reason": "ModelNotFound", "message": "there is no model"}}"#;

    fn seen(end: End, report: &str) -> Seen {
        Seen { end, healthy: true, progress: Heard::Good, report: report.as_bytes().to_vec() }
    }

    fn problems(findings: &[Finding]) -> Vec<&str> {
        findings.iter().map(|finding| finding.problem.as_str()).collect()
    }

    #[rstest]
    #[case::good(Scenario::Whole, End::Exited(0), GOOD, None)]
    #[case::no_report(Scenario::Whole, End::Exited(0), "", Some("left no report"))]
    #[case::crashed(Scenario::Whole, End::Exited(1), GOOD, Some("exit code 1, which says nothing"))]
    #[case::failed(Scenario::Whole, End::Exited(78), FAILED, Some("exit code 78: there is no model"))]
    #[case::killed(Scenario::Whole, End::Killed(9), "", Some("ended by signal 9"))]
    #[case::endless(Scenario::Whole, End::TimedOut(60), "", Some("did not end within 60 s"))]
    #[case::stopped(Scenario::Interrupted, End::Exited(143), "", None)]
    #[case::stopped_with_report(Scenario::Interrupted, End::Exited(143), GOOD, None)]
    #[case::was_through(Scenario::Interrupted, End::Exited(0), GOOD, None)]
    #[case::stopped_with_error(Scenario::Interrupted, End::Exited(143), FAILED, Some("error is ModelNotFound"))]
    #[case::stopped_as_failed(Scenario::Interrupted, End::Exited(75), FAILED, Some("exit code 75 after SIGTERM"))]
    #[case::no_handler(Scenario::Interrupted, End::Killed(15), "", Some("no handler for SIGTERM"))]
    #[case::deaf(Scenario::Interrupted, End::TimedOut(30), "", Some("within 30 s of SIGTERM"))]
    #[case::refused(Scenario::OtherVersion, End::Exited(2), "", None)]
    #[case::not_refused(Scenario::OtherVersion, End::Exited(0), GOOD, Some("'v0', and ended with exit code 0"))]
    fn endings(#[case] scenario: Scenario, #[case] end: End, #[case] report: &str, #[case] problem: Option<&str>) {
        let findings = judge(scenario, &seen(end, report), "r1");
        let problems = problems(&findings);
        assert_eq!(problems.len(), usize::from(problem.is_some()), "{problems:?}");
        assert!(problem.is_none_or(|problem| problems[0].contains(problem)), "{problems:?}");
    }

    #[rstest]
    #[case(true, Heard::Nothing, "GET /progress was not answered")]
    #[case(true, Heard::Refused(404), "HTTP 404")]
    #[case(true, Heard::Faulty(vec![Finding::new("progress: no run", "")]), "progress: no run")]
    #[case(false, Heard::Good, "GET /healthz")]
    fn silence(#[case] healthy: bool, #[case] progress: Heard, #[case] problem: &str) {
        let findings = judge(Scenario::Whole, &Seen { healthy, progress, ..seen(End::Exited(0), GOOD) }, "r1");
        let problems = problems(&findings);
        assert!(problems.len() == 1 && problems[0].contains(problem), "{problems:?}");
    }
}
