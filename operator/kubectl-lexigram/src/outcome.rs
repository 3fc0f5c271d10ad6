//! How an object has ended, if it has. No I/O.

use jiff::Timestamp;
use kube::{ResourceExt, core::DynamicObject};
use lexigram_api::{
    annotation::{ARCHIVE, RETRY, RUN},
    contract::TaskResult,
    resource::{ConditionType, JobStatus, MaintenanceScheduleStatus, condition},
};
use serde::de::DeserializeOwned;

use crate::{error::PluginError, kind::Kind, objects::Object};

/// How an object has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// All is well.
    Succeeded,
    /// Some of its items, or all of it.
    Failed,
}

/// The status of an object; none where it has none yet.
pub fn status<T: DeserializeOwned>(object: &Object) -> Result<Option<T>, PluginError> {
    let Some(status) = object.content.data.get("status") else { return Ok(None) };
    let read = serde_json::from_value(status.clone());
    read.map(Some).map_err(|problem| PluginError::Unreadable { object: object.target().to_string(), problem })
}

/// How a job has ended, what was asked of it included; or the run of a schedule that was asked for at `asked`, since a
/// schedule has no end.
pub fn outcome(object: &Object, asked: Option<Timestamp>) -> Result<Option<Outcome>, PluginError> {
    Ok(match object.kind {
        Kind::Ingestion | Kind::Embedding => {
            status::<JobStatus>(object)?.and_then(|status| of_job(&object.content, &status))
        }
        Kind::Maintenance => {
            status::<MaintenanceScheduleStatus>(object)?.zip(asked).and_then(|(status, asked)| of_run(&status, asked))
        }
    })
}

fn of_job(object: &DynamicObject, status: &JobStatus) -> Option<Outcome> {
    let dead = status.dead_letters.clone().unwrap_or_default();
    let answers =
        [(RUN, &status.last_run_request), (RETRY, &dead.last_retry_request), (ARCHIVE, &dead.last_archive_request)];
    let open = answers
        .iter()
        .any(|(key, answer)| object.annotations().get(*key).is_some_and(|asked| Some(asked) != answer.as_ref()));
    let holds = |kind| {
        let condition = condition(&status.conditions, kind)?;
        let current = condition.observed_generation.zip(object.metadata.generation).is_none_or(|(seen, is)| seen >= is);
        (current && condition.status == "True").then_some(())
    };
    if open {
        return None;
    }
    match (holds(ConditionType::Failed), holds(ConditionType::Complete)) {
        (Some(()), _) => Some(Outcome::Failed),
        (None, Some(())) if dead.total > 0 => Some(Outcome::Failed),
        (None, Some(())) => Some(Outcome::Succeeded),
        (None, None) => None,
    }
}

fn of_run(status: &MaintenanceScheduleStatus, asked: Timestamp) -> Option<Outcome> {
    let run = status.runs.iter().find(|run| run.scheduled_time.0 == asked)?;
    match run.result? {
        TaskResult::Failed => Some(Outcome::Failed),
        TaskResult::Succeeded | TaskResult::Skipped => Some(Outcome::Succeeded),
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::{Value, json};

    use super::*;

    const ASKED: &str = "2027-01-15T08:00:00Z";

    fn object(kind: Kind, annotations: Value, status: Value) -> Object {
        let object = json!({"metadata": {"name": "a", "generation": 2, "annotations": annotations}, "status": status});
        Object { kind, content: serde_json::from_value(object).unwrap() }
    }

    fn conditions(kind: &str, status: &str, generation: i64) -> Value {
        json!([{"type": kind, "status": status, "observedGeneration": generation, "reason": "R", "message": "",
            "lastTransitionTime": ASKED}])
    }

    #[rstest]
    #[case::at_work(json!({}), json!({"conditions": conditions("Complete", "False", 2)}), None)]
    #[case::complete(json!({}), json!({"conditions": conditions("Complete", "True", 2)}), Some(Outcome::Succeeded))]
    #[case::with_failures(json!({}), json!({"conditions": conditions("Complete", "True", 2),
        "deadLetters": {"total": 1, "archived": 1}}), Some(Outcome::Failed))]
    #[case::failed(json!({}), json!({"conditions": conditions("Failed", "True", 2)}), Some(Outcome::Failed))]
    #[case::edited_since(json!({}), json!({"conditions": conditions("Complete", "True", 1)}), None)]
    #[case::asked_to_run(json!({RUN: ASKED}), json!({"conditions": conditions("Complete", "True", 2)}), None)]
    #[case::has_run(json!({RUN: ASKED}), json!({"conditions": conditions("Complete", "True", 2), "lastRunRequest": ASKED}),
        Some(Outcome::Succeeded))]
    #[case::asked_to_retry(json!({RETRY: ASKED}), json!({"conditions": conditions("Complete", "True", 2)}), None)]
    fn jobs(#[case] annotations: Value, #[case] status: Value, #[case] expected: Option<Outcome>) {
        assert_eq!(outcome(&object(Kind::Ingestion, annotations, status), None).unwrap(), expected);
    }

    #[rstest]
    #[case::at_work(json!([{"job": "a-m1", "scheduledTime": ASKED}]), None)]
    #[case::another(json!([{"job": "a-m1", "scheduledTime": "2027-01-15T09:00:00Z", "result": "Failed"}]), None)]
    #[case::done(json!([{"job": "a-m1", "scheduledTime": ASKED, "result": "Succeeded"}]), Some(Outcome::Succeeded))]
    #[case::failed(json!([{"job": "a-m1", "scheduledTime": ASKED, "result": "Failed"}]), Some(Outcome::Failed))]
    fn runs_of_schedules(#[case] runs: Value, #[case] expected: Option<Outcome>) {
        let schedule = object(Kind::Maintenance, json!({}), json!({"runs": runs}));
        assert_eq!(outcome(&schedule, Some(ASKED.parse().unwrap())).unwrap(), expected);
        assert_eq!(outcome(&schedule, None).unwrap(), None, "a schedule has no end");
    }

    #[test]
    fn a_status_of_another_release_is_named() {
        let error = outcome(&object(Kind::Ingestion, json!({}), json!({"state": "Dreaming"})), None).unwrap_err();
        assert!(error.to_string().starts_with("ij/a cannot be understood"), "{error}");
    }
}
