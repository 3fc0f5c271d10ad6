//! Whether a message can be read, by the same types with which operator and worker read it, and makes sense. No I/O.

use lexigram_api::contract::{
    CONTRACT_VERSION, ExitCode, Fault, PROGRESS_BYTES, Progress, Report, TERMINATION_MESSAGE_BYTES, WorkSpec,
};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{Finding, consistency};

/// Unknown fields that are named, at most.
const UNKNOWN_FIELDS: usize = 10;

/// A kind of message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// What a worker is told.
    WorkSpec,
    /// What it says while it works.
    Progress,
    /// What it leaves behind.
    Report,
}

impl Kind {
    /// The kind that a message seems to be, by the fields that only one has.
    #[must_use]
    pub fn of(json: &[u8]) -> Self {
        match serde_json::from_slice::<Value>(json) {
            Ok(value) if value.get("task").is_some() => Self::WorkSpec,
            Ok(value) if value.get("phase").is_some() || value.get("heartbeat").is_some() => Self::Progress,
            _ => Self::Report,
        }
    }

    /// Its name: that of its schema too.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::WorkSpec => "work-spec",
            Self::Progress => "progress",
            Self::Report => "report",
        }
    }

    fn schema(self) -> String {
        format!("docs/contract/{}.schema.json, which `lexigram-worker contract schema` prints too", self.as_str())
    }
}

/// What is wrong with a message of whichever kind it is.
#[must_use]
pub fn any(json: &[u8]) -> Vec<Finding> {
    match Kind::of(json) {
        Kind::WorkSpec => work_spec(json),
        Kind::Progress => progress(json, None),
        Kind::Report => report(json, None, None),
    }
}

/// What is wrong with a work spec.
#[must_use]
pub fn work_spec(json: &[u8]) -> Vec<Finding> {
    match read::<WorkSpec>(Kind::WorkSpec, json) {
        Err(finding) => vec![finding],
        Ok((spec, mut findings)) => {
            if spec.contract_version != CONTRACT_VERSION {
                findings.push(Finding::new(
                    format!("work-spec: contractVersion is '{}'", spec.contract_version),
                    format!("write {CONTRACT_VERSION}, the version of this contract"),
                ));
            }
            findings
        }
    }
}

/// What is wrong with an answer to `GET /progress`, of the run of that name where it is known.
#[must_use]
pub fn progress(json: &[u8], run: Option<&str>) -> Vec<Finding> {
    let kind = Kind::Progress;
    if json.len() > PROGRESS_BYTES {
        return vec![too_long(kind, json.len(), PROGRESS_BYTES)];
    }
    match read::<Progress>(kind, json) {
        Err(finding) => vec![finding],
        Ok((progress, mut findings)) => {
            findings.extend(faults(kind, progress.faults()));
            findings.extend(other_run(kind, &progress.run, run));
            findings.extend(consistency::of_progress(&progress));
            findings
        }
    }
}

/// What is wrong with a report, of the run of that name and a process that has ended so, where these are known.
#[must_use]
pub fn report(json: &[u8], run: Option<&str>, exit: Option<ExitCode>) -> Vec<Finding> {
    let kind = Kind::Report;
    if json.len() > TERMINATION_MESSAGE_BYTES {
        return vec![too_long(kind, json.len(), TERMINATION_MESSAGE_BYTES)];
    }
    match read::<Report>(kind, json) {
        Err(finding) => vec![finding],
        Ok((report, mut findings)) => {
            findings.extend(faults(kind, report.faults()));
            findings.extend(other_run(kind, &report.run, run));
            findings.extend(consistency::of_report(&report, exit));
            findings
        }
    }
}

/// A message, and what it holds that nobody reads.
fn read<T: DeserializeOwned>(kind: Kind, bytes: &[u8]) -> Result<(T, Vec<Finding>), Finding> {
    let name = kind.as_str();
    if bytes.trim_ascii().is_empty() {
        return Err(Finding::new(format!("{name}: is empty"), format!("write it as in {}", kind.schema())));
    }
    let mut unknown = Vec::new();
    let mut track = serde_path_to_error::Track::new();
    let mut json = serde_json::Deserializer::from_slice(bytes);
    let tracked = serde_path_to_error::Deserializer::new(&mut json, &mut track);
    let value = serde_ignored::deserialize(tracked, |path| unknown.push(path.to_string().replace(".?", "")));
    let value = value.and_then(|value| json.end().map(|()| value)).map_err(|error| {
        Finding::new(format!("{name}: {}: {error}", track.path()), format!("write it as in {}", kind.schema()))
    })?;
    let unknown = unknown.into_iter().take(UNKNOWN_FIELDS).map(|field| {
        Finding::new(
            format!("{name}: {field}: there is no such field, so that nobody reads it"),
            format!("correct its name, or leave it out; the fields stand in {}", kind.schema()),
        )
    });
    Ok((value, unknown.collect()))
}

fn faults(kind: Kind, faults: Vec<Fault>) -> impl Iterator<Item = Finding> {
    faults.into_iter().map(move |fault| {
        Finding::new(
            format!("{}: {fault}", kind.as_str()),
            "correct it: the operator takes no message with such a value",
        )
    })
}

fn other_run(kind: Kind, found: &str, run: Option<&str>) -> Option<Finding> {
    let expected = run.filter(|run| *run != found)?;
    Some(Finding::new(
        format!("{}: run is '{found}', and the work spec's is '{expected}'", kind.as_str()),
        "read the work spec at $LEXIGRAM_WORK_SPEC, and give its `run` back",
    ))
}

fn too_long(kind: Kind, length: usize, limit: usize) -> Finding {
    let name = kind.as_str();
    Finding::new(
        format!("{name}: is {length} bytes long or more, and is cut or not read beyond {limit}"),
        "cut long messages, and leave out the oldest of recentFailures until it fits",
    )
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    const GOOD: &str = r#"{"contractVersion": "v1alpha1", "run": "r1", "counts": {"items": {"total": 1, "done": 1}}}"#;

    fn problems(findings: &[Finding]) -> String {
        findings.iter().map(|finding| finding.problem.as_str()).collect::<Vec<_>>().join("\n")
    }

    #[rstest]
    #[case::good(GOOD.to_owned(), "")]
    #[case::empty(" \n".to_owned(), "report: is empty")]
    #[case::no_json("done".to_owned(), "expected value at line 1 column 1")]
    #[case::two(format!("{GOOD}{GOOD}"), "trailing characters")]
    #[case::field_missing(GOOD.replace("run", "Run"), "missing field `run`")]
    #[case::wrong_type(GOOD.replace("\"done\": 1", "\"done\": \"1\""), "report: counts.items.done: invalid type: string")]
    #[case::unknown_field(
        GOOD.replace("\"counts\"", "\"recent_failures\": [], \"counts\""),
        "report: recent_failures: there is no such field"
    )]
    #[case::unknown_field_deep_inside(GOOD.replace("\"done\": 1", "\"done\": 1, \"lost\": 0"), "report: counts.items.lost: ")]
    #[case::another_version(GOOD.replace("v1alpha1", "v2"), "report: contractVersion: 'v2'")]
    #[case::another_run(GOOD.replace("r1", "r2"), "report: run is 'r2', and the work spec's is 'r1'")]
    #[case::too_long(format!("{GOOD}{}", " ".repeat(4096)), "and is cut or not read beyond 4096")]
    fn what_is_wrong_with_a_report_is_said(#[case] json: String, #[case] expected: &str) {
        let findings = report(json.as_bytes(), Some("r1"), Some(ExitCode::Finished));
        let found = problems(&findings);
        assert!(found.contains(expected), "{found}");
        assert_eq!(findings.len(), usize::from(!expected.is_empty()), "{found}");
    }

    #[test]
    fn a_field_that_is_unknown_below_an_optional_one_has_its_path() {
        let error = r#""error": {"category": "Unknown", "reason": "No", "message": "", "code": 3}, "counts""#;
        let found = problems(&report(GOOD.replace("\"counts\"", error).as_bytes(), None, None));
        assert!(found.contains("report: error.code: "), "{found}");
    }

    #[rstest]
    #[case(r#"{"contractVersion": "v1alpha1", "run": "r1", "task": {"type": "Stub"}}"#, Kind::WorkSpec, "")]
    #[case(
        r#"{"contractVersion": "v0", "run": "r1", "task": {"type": "Stub"}}"#,
        Kind::WorkSpec,
        "contractVersion is 'v0'"
    )]
    #[case(
        r#"{"contractVersion": "v1alpha1", "run": "r1", "task": {"type": "Bake"}}"#,
        Kind::WorkSpec,
        "unknown variant `Bake`"
    )]
    #[case(
        r#"{"contractVersion": "v1alpha1", "run": "r1", "phase": "Busy"}"#,
        Kind::Progress,
        "progress: phase: unknown variant `Busy`"
    )]
    #[case(r#"{"heartbeat": "noon"}"#, Kind::Progress, "progress: heartbeat: ")]
    #[case(GOOD, Kind::Report, "")]
    fn a_message_is_known_by_its_fields(#[case] json: &str, #[case] kind: Kind, #[case] expected: &str) {
        assert_eq!(Kind::of(json.as_bytes()), kind);
        let found = problems(&any(json.as_bytes()));
        assert!(found.contains(expected) && found.is_empty() == expected.is_empty(), "{found}");
    }
}
