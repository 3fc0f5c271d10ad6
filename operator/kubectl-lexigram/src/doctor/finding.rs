//! What a check has found, and how it is told. No I/O.

use serde::Serialize;

/// What a check comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Verdict {
    /// All is well.
    Ok,
    /// The user may not look.
    Unknown,
    /// Something does not work for everybody, or will not for ever.
    Warning,
    /// Something does not work.
    Problem,
}

impl Verdict {
    const fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Unknown => "unknown",
            Self::Warning => "warning",
            Self::Problem => "PROBLEM",
        }
    }
}

/// What a check has found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The check.
    pub check: &'static str,
    /// What it comes to.
    pub verdict: Verdict,
    /// What was found.
    pub message: String,
    /// A command that mends it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fix: Option<String>,
}

impl Finding {
    /// All is well.
    pub fn ok(check: &'static str, message: impl Into<String>) -> Self {
        Self { check, verdict: Verdict::Ok, message: message.into(), fix: None }
    }

    /// The user may not look, for this reason.
    pub fn unknown(check: &'static str, message: impl Into<String>) -> Self {
        Self { check, verdict: Verdict::Unknown, message: message.into(), fix: None }
    }

    /// Something to know, and what to do.
    pub fn warning(check: &'static str, message: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { check, verdict: Verdict::Warning, message: message.into(), fix: Some(fix.into()) }
    }

    /// Something that does not work, and what to do.
    pub fn problem(check: &'static str, message: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { check, verdict: Verdict::Problem, message: message.into(), fix: Some(fix.into()) }
    }
}

/// Width of the columns before messages.
const VERDICT: usize = 9;
const CHECK: usize = 13;

/// All findings below each other, each with its fix, and their sum.
pub fn report(findings: &[Finding]) -> String {
    let lines = findings.iter().map(|Finding { check, verdict, message, fix }| {
        let fix = fix.as_ref().map(|fix| format!("{:1$}fix: {fix}\n", "", VERDICT + CHECK));
        format!("{:VERDICT$}{check:CHECK$}{message}\n{}", verdict.word(), fix.unwrap_or_default())
    });
    let count = |verdict| findings.iter().filter(|finding| finding.verdict == verdict).count();
    let sum = match (count(Verdict::Problem), count(Verdict::Warning)) {
        (0, 0) => "Nothing is wrong.".to_owned(),
        (problems, warnings) => format!("Problems: {problems}, warnings: {warnings}."),
    };
    format!("{}\n{sum}\n", lines.collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fix_stands_below_what_it_mends() {
        let findings = [
            Finding::ok("API server", "v1.33.1"),
            Finding::problem("CRDs", "ingestionjobs.workers.lexigram.dev is missing", "helm upgrade …"),
            Finding::unknown("lease", "leases may not be read"),
        ];
        insta::assert_snapshot!(report(&findings));
        assert!(report(&findings[..1]).ends_with("\nNothing is wrong.\n"));
    }
}
