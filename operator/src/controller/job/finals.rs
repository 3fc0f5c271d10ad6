//! Which runs have come to an end that metrics do not know of yet: each is counted once by this process, and not at all
//! where the process before has done so. No I/O.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use jiff::Timestamp;
use lexigram_api::resource::{ConditionType, JobStatus, is_true};

use super::{observe::Observation, plan::REPORT_GRACE_SECONDS};
use crate::{
    controller::{
        pods::Worker,
        runs::{Run, RunPhase},
    },
    queue::Key,
};

/// The runs that are counted, by their names in the ledger: as many as there are Jobs that have ended.
#[derive(Debug, Default)]
pub struct Counted(Mutex<HashMap<Key, Vec<String>>>);

impl Counted {
    /// The runs that are to be counted now. `status` is what the object has told so far.
    pub fn take<'a>(
        &self,
        object: &Key,
        status: Option<&JobStatus>,
        seen: &'a Observation,
        now: Timestamp,
    ) -> Vec<&'a Run> {
        let mut known = self.known();
        let (new, counted) = newly_ended(known.get(object).map(Vec::as_slice), status, seen, now);
        known.insert(object.clone(), counted);
        new
    }

    /// The object is gone.
    pub fn forget(&self, object: &Key) {
        self.known().remove(object);
    }

    fn known(&self) -> MutexGuard<'_, HashMap<Key, Vec<String>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The runs that have ended and are not counted, and those that are counted after that. An object that this process sees
/// for the first time has nothing `counted`: what its status tells the end of, another process has counted.
fn newly_ended<'a>(
    counted: Option<&[String]>,
    status: Option<&JobStatus>,
    seen: &'a Observation,
    now: Timestamp,
) -> (Vec<&'a Run>, Vec<String>) {
    let ended: Vec<&Run> = seen.all().filter(|run| has_told(run, now)).collect();
    let is_counted = |run: &Run| match counted {
        Some(counted) => counted.contains(&run.ledger_run),
        None => is_recorded(run, status, seen),
    };
    let new = ended.iter().copied().filter(|run| !is_counted(run)).collect();
    (new, ended.iter().map(|run| run.ledger_run.clone()).collect())
}

/// Whether a run has ended, and its worker has said all that it will say. The two caches move apart by moments.
fn has_told(run: &Run, now: Timestamp) -> bool {
    match &run.phase {
        RunPhase::Active | RunPhase::Suspended { .. } => false,
        RunPhase::Succeeded { at } => {
            run.finisher().is_some() || now.duration_since(*at).as_secs() >= REPORT_GRACE_SECONDS
        }
        RunPhase::Failed { .. } => !matches!(run.workers.current, Worker::Running(_)),
    }
}

/// Whether status tells that a run has ended. One that another has followed had ended before that.
fn is_recorded(run: &Run, status: Option<&JobStatus>, seen: &Observation) -> bool {
    let newest = seen.all().next_back().is_some_and(|newest| newest.job == run.job);
    let is_latest = |status: &&JobStatus| status.latest_run.as_ref() == Some(&run.job);
    let told_of_latest = |status: &JobStatus| {
        // whoever announces the next run has seen the end of this one
        status.dead_letters.as_ref().is_some_and(|dead| dead.next_retry_time.is_some())
            || is_true(&status.conditions, ConditionType::Complete)
            || is_true(&status.conditions, ConditionType::Failed)
    };
    !newest || seen.told.contains(&run.number) || status.filter(is_latest).is_some_and(told_of_latest)
}

#[cfg(test)]
mod tests {
    use lexigram_api::{
        contract::{ProviderRequests, Report},
        failure::FailureCategory,
        resource::RunResult,
    };
    use rstest::rstest;
    use serde_json::{Value, json};

    use super::*;
    use crate::controller::job::{history, tests::fixtures::*};

    fn object() -> Key {
        ("docs".to_owned(), "handbook".to_owned())
    }

    fn status(fields: Value) -> JobStatus {
        serde_json::from_value(fields).unwrap()
    }

    /// What is seen of an object with this status.
    fn with(status: &JobStatus, runs: Vec<Run>) -> Observation {
        Observation { told: history::ended(status), ..seen(runs) }
    }

    fn at_work() -> Run {
        run(&kube_job("handbook-r1", 1, false, active()), &[running("handbook-r1")])
    }

    fn done(name: &str) -> Run {
        ended(&report(name, 3, [0, 0, 0]))
    }

    fn failed_run(name: &str, created: i64) -> Run {
        let report = error_report(name, FailureCategory::Transient, "StoreBusy", "busy");
        let message = report.to_termination_message().unwrap();
        let job = kube_job(name, created, false, failed("BackoffLimitExceeded", "too many"));
        run(&job, &[crashed(name, 75, "Error", &message)])
    }

    fn unreported() -> Run {
        run(&kube_job("handbook-r1", 1, false, complete(60)), &[])
    }

    fn names(runs: &[&Run]) -> Vec<String> {
        runs.iter().map(|run| run.job.clone()).collect()
    }

    /// What a process counts that has just begun.
    #[rstest]
    #[case::at_work(json!({}), vec![at_work()], &[])]
    #[case::ended_and_nobody_has_told(json!({"latestRun": "handbook-r1"}), vec![done("handbook-r1")], &["handbook-r1"])]
    #[case::failed_and_nobody_has_told(json!({}), vec![failed_run("handbook-r1", 1)], &["handbook-r1"])]
    #[case::told_by_the_list_of_runs(
        json!({"runs": [{"name": "handbook-r1", "result": "Succeeded"}]}), vec![done("handbook-r1")], &[]
    )]
    #[case::told_by_the_next_retry(
        json!({"latestRun": "handbook-retry1", "deadLetters": {"nextRetryTime": at(90).to_string()}}),
        vec![done("handbook-r1"), failed_run("handbook-retry1", 70)], &[]
    )]
    #[case::a_retry_that_nobody_has_told_of(
        json!({"latestRun": "handbook-retry1", "runs": [{"name": "handbook-r1", "result": "Succeeded"}]}),
        vec![done("handbook-r1"), failed_run("handbook-retry1", 70)], &["handbook-retry1"]
    )]
    #[case::followed_by_another(json!({}), vec![failed_run("handbook-r1", 1), failed_run("handbook-r2", 70)], &["handbook-r2"])]
    fn a_process_that_begins(#[case] told: Value, #[case] runs: Vec<Run>, #[case] expected: &[&str]) {
        let (counted, status) = (Counted::default(), status(told));
        let seen = with(&status, runs);
        assert_eq!(names(&counted.take(&object(), Some(&status), &seen, at(61))), expected);
        assert_eq!(names(&counted.take(&object(), Some(&status), &seen, at(62))), [""; 0], "never twice");
    }

    #[test]
    fn what_ends_under_the_eyes_of_a_process_is_counted_whatever_status_says_by_then() {
        let (counted, told) =
            (Counted::default(), status(json!({"runs": [{"name": "handbook-r1", "result": "Succeeded"}]})));
        assert_eq!(names(&counted.take(&object(), None, &seen(vec![at_work()]), at(50))), [""; 0]);
        let seen = with(&told, vec![done("handbook-r1")]);
        assert_eq!(names(&counted.take(&object(), Some(&told), &seen, at(61))), ["handbook-r1"]);
    }

    #[test]
    fn a_report_is_waited_for_and_not_for_ever() {
        let (counted, lost) = (Counted::default(), seen(vec![unreported()]));
        assert_eq!(names(&counted.take(&object(), None, &lost, at(61))), [""; 0]);
        assert_eq!(names(&counted.take(&object(), None, &seen(vec![done("handbook-r1")]), at(62))), ["handbook-r1"]);
        let counted = Counted::default();
        assert_eq!(names(&counted.take(&object(), None, &lost, at(61))), [""; 0]);
        assert_eq!(names(&counted.take(&object(), None, &lost, at(75))), ["handbook-r1"]);
    }

    #[test]
    fn an_object_that_was_made_anew_has_runs_of_its_own() {
        let counted = Counted::default();
        counted.take(&object(), None, &seen(vec![done("handbook-r1")]), at(61));
        let other = Run { ledger_run: "handbook-r1.99999999".to_owned(), ..done("handbook-r1") };
        assert_eq!(names(&counted.take(&object(), None, &seen(vec![other]), at(99))), ["handbook-r1"]);
    }

    #[test]
    fn all_parts_of_a_run_count_and_all_processes_of_a_part() {
        let job = serde_json::from_value(json!({
            "metadata": {
                "name": "handbook-r1", "namespace": "docs",
                "labels": {"workers.lexigram.dev/owner-uid": "11111111-2222-3333-4444-555555555555"},
            },
            "spec": {"completions": 2, "template": {}},
            "status": complete(60),
        }));
        let pod = |index: &str, created: i64, exit: i32, done: i32, answered: i64| {
            let provider = Some(ProviderRequests { answered, ..Default::default() });
            let report = Report { provider, ..report("handbook-r1", done, [0, 0, 0]) };
            let message = report.to_termination_message().unwrap();
            let end = json!({"terminated": {"exitCode": exit, "message": message}});
            let mut pod = std::sync::Arc::unwrap_or_clone(pod("handbook-r1", created, "Succeeded", end));
            let annotation = ("batch.kubernetes.io/job-completion-index".to_owned(), index.to_owned());
            pod.metadata.annotations = Some([annotation].into());
            std::sync::Arc::new(pod)
        };
        // the second process of the first part goes on with its ledger, and asks by itself
        let run = run(&job.unwrap(), &[pod("0", 6, 143, 1, 3), pod("0", 20, 0, 4, 2), pod("1", 6, 0, 3, 1)]);
        let ended = run.ended_run().unwrap();
        assert_eq!((ended.result, ended.seconds), (RunResult::Succeeded, Some(55.0)));
        assert_eq!((ended.counts.items.done, ended.counts.chunks, ended.provider.answered), (7, 28, 6));
    }

    #[test]
    fn what_is_gone_is_forgotten() {
        let counted = Counted::default();
        counted.take(&object(), None, &seen(vec![done("handbook-r1")]), at(61));
        counted.take(&object(), None, &seen(vec![]), at(62));
        assert_eq!(counted.known()[&object()], [""; 0]);
        counted.forget(&object());
        assert!(counted.known().is_empty());
    }
}
