//! A job that is run again because an annotation asks for it, what status tells of its runs, and which Jobs are kept.

use lexigram_api::{
    failure::FailureCategory,
    resource::{ConditionType, IngestionJob, IngestionJobStatus, RunRecord, RunResult, State, condition},
};
use rstest::rstest;
use serde_json::{Value, json};

use super::fixtures::*;
use crate::{
    config::AiWorkers,
    controller::{
        job::{
            history,
            leftovers::leftovers,
            observe::Observation,
            plan::{Launch, Plan, Start, Take, plan},
            status::project,
        },
        runs::Run,
    },
    names::{ARCHIVE, EXHAUSTED, RUN, RunNumber},
};

const MONDAY: &str = "2027-01-15T08:00:00Z";
const TUESDAY: &str = "2027-01-16T08:00:00Z";

fn planned(job: &IngestionJob, seen: &Observation, now: i64) -> Plan {
    plan(job, seen, &AiWorkers::default(), at(now))
}

/// One pass over the job: its status afterwards, and the plan.
fn pass(job: &mut IngestionJob, runs: &[Run], now: i64) -> (IngestionJobStatus, Plan) {
    let mut seen = seen(runs.to_vec());
    seen.told = job.status.as_ref().map(|status| history::ended(&status.job)).unwrap_or_default();
    let plan = planned(job, &seen, now);
    let status = project(job, &seen, &plan, None, at(now));
    job.status = Some(status.clone());
    (status, plan)
}

fn annotate(job: &mut IngestionJob, key: &str, value: &str) {
    job.metadata.annotations.get_or_insert_default().insert(key.to_owned(), value.to_owned());
}

/// The job with the status that these runs give it, and then with the annotation.
fn asked(spec: Value, runs: &[Run]) -> IngestionJob {
    let mut job = job(spec);
    pass(&mut job, runs, 61);
    annotate(&mut job, RUN, MONDAY);
    job
}

/// How a run goes: its Job's status, and its pod.
enum Way {
    Ends,
    Fails,
    Works,
    Vanished,
}

/// A run that began at second `created`, with the annotation of its Job.
fn of(name: &str, created: i64, way: &Way, wish: Option<(&str, &str)>) -> Run {
    let status = match way {
        Way::Ends | Way::Vanished => json!({
            "startTime": at(created).to_string(),
            "conditions": [{"type": "Complete", "status": "True", "lastTransitionTime": at(created + 9).to_string()}],
        }),
        Way::Fails => failed("BackoffLimitExceeded", "said Kubernetes"),
        Way::Works => json!({"active": 1, "startTime": at(created).to_string()}),
    };
    let mut child = kube_job(name, created, false, status);
    let wish = wish.map(|(key, value)| (key.to_owned(), value.to_owned()));
    child.metadata.annotations.get_or_insert_default().extend(wish);
    let pods = match way {
        Way::Ends => vec![finished(&report(name, 3, [0, 0, 0]))],
        Way::Fails => vec![crashed(name, 1, "Error", "")],
        Way::Works => vec![running(name)],
        Way::Vanished => Vec::new(),
    };
    run(&child, &pods)
}

fn full_run(number: u32, request: Option<&str>) -> Plan {
    let Plan::Start(mut start) = planned(&job(json!({})), &seen(vec![]), 1) else { panic!("not started") };
    if let Some(value) = request {
        let mut job = job(json!({}));
        annotate(&mut job, RUN, value);
        let Plan::Start(asked) = planned(&job, &seen(vec![]), 1) else { panic!("not started") };
        start = asked;
    }
    Plan::Start(Start { number: RunNumber::Full(number), ..start })
}

#[test]
fn the_first_run_meets_a_request_that_was_there_before_it() {
    let Plan::Start(start) = full_run(1, Some(MONDAY)) else { panic!("not started") };
    assert_eq!(start.how, Launch::Create(Take::Everything));
    let mut job = job(json!({}));
    annotate(&mut job, RUN, MONDAY);
    let (_, plan) = pass(&mut job, &[of("handbook-r1", 1, &Way::Ends, Some((RUN, MONDAY)))], 70);
    assert_eq!(plan, Plan::Completed { archived: 0 });
}

#[rstest]
#[case::complete(json!({}), ended(&report("handbook-r1", 3, [0, 0, 0])), full_run(2, Some(MONDAY)))]
#[case::failed(json!({"failurePolicy": {"maxAttempts": 1}}), of("handbook-r1", 1, &Way::Fails, None), full_run(2, Some(MONDAY)))]
#[case::would_be_made_again(json!({}), of("handbook-r1", 1, &Way::Fails, None), full_run(2, Some(MONDAY)))]
#[case::waits_for_a_person(json!({}), ended(&report("handbook-r1", 3, [0, 0, 1])), full_run(2, Some(MONDAY)))]
#[case::waits_for_retries(json!({}), ended(&report("handbook-r1", 3, [1, 0, 0])), full_run(2, Some(MONDAY)))]
#[case::at_work(json!({}), of("handbook-r1", 1, &Way::Works, None), Plan::Running { number: RunNumber::Full(1), trouble: None })]
#[case::suspended(json!({"suspend": true}), ended(&report("handbook-r1", 3, [0, 0, 0])), Plan::Finished { expires: None })]
#[case::ttl_runs(json!({"ttlSecondsAfterFinished": 30}), ended(&report("handbook-r1", 3, [0, 0, 0])), full_run(2, Some(MONDAY)))]
#[case::ttl_over(json!({"ttlSecondsAfterFinished": 0}), ended(&report("handbook-r1", 3, [0, 0, 0])), Plan::Expired)]
fn a_request_starts_a_full_run_once_nothing_is_at_work(#[case] spec: Value, #[case] run: Run, #[case] expected: Plan) {
    let job = asked(spec, std::slice::from_ref(&run));
    assert_eq!(planned(&job, &seen(vec![run]), 70), expected);
}

#[test]
fn operators_that_are_told_to_start_nothing_wait_with_a_request() {
    let run = ended(&report("handbook-r1", 3, [0, 0, 0]));
    let job = asked(json!({}), std::slice::from_ref(&run));
    let config = AiWorkers { enabled: false, ..Default::default() };
    let seen = seen(vec![run]);
    let plan = plan(&job, &seen, &config, at(70));
    assert_eq!(plan, Plan::Finished { expires: None });
    let status = project(&job, &seen, &plan, None, at(70)).job;
    let accepted = condition(&status.conditions, ConditionType::RequestAccepted).unwrap();
    assert_eq!((accepted.status.as_str(), accepted.reason.as_str()), ("False", "RequestPending"));
    assert!(accepted.message.starts_with("workers.lexigram.dev/run: 2027-01-15T08:00:00Z is acted on"));
}

#[test]
fn archiving_that_has_to_wait_holds_up_no_run() {
    let failed = of("handbook-r1", 1, &Way::Fails, None);
    let mut job = asked(json!({"failurePolicy": {"maxAttempts": 1}}), std::slice::from_ref(&failed));
    annotate(&mut job, ARCHIVE, "2027-01-01T00:00:00Z");
    assert_eq!(planned(&job, &seen(vec![failed]), 70), full_run(2, Some(MONDAY)));
}

#[test]
fn a_new_run_is_told_from_its_start_to_its_end() {
    let first = of("handbook-r1", 5, &Way::Ends, None);
    let second = |way| of("handbook-r2", 1000, &way, Some((RUN, MONDAY)));
    let mut job = asked(json!({}), std::slice::from_ref(&first));
    let over = job.status.clone().unwrap().job;
    assert_eq!((over.progress.as_deref(), over.duration.as_deref()), (Some("3/3"), Some("56s")));

    let (starting, plan) = pass(&mut job, std::slice::from_ref(&first), 990);
    assert_eq!(plan, full_run(2, Some(MONDAY)));
    assert!(
        condition(&starting.job.conditions, ConditionType::Complete).unwrap().message.contains("run asks: 2027-01-15")
    );
    let of_before =
        (&starting.job.start_time, &starting.job.completion_time, &starting.job.progress, &starting.job.duration);
    assert_eq!(of_before, (&None, &None, &None, &None));
    assert_eq!(starting.documents.map(|documents| documents.done), Some(3), "what is stored stays");

    let (working, _) = pass(&mut job, &[first.clone(), second(Way::Works)], 1010);
    assert_eq!(condition(&working.job.conditions, ConditionType::Complete).unwrap().status, "False");
    assert_eq!(working.job.start_time.unwrap().0, at(1000));
    assert_eq!(
        (working.job.latest_run.as_deref(), working.job.last_run_request.as_deref()),
        (Some("handbook-r2"), Some(MONDAY))
    );
    assert_eq!((working.job.progress, working.job.runs[0].result), (None, None));

    let (complete, _) = pass(&mut job, &[first, second(Way::Ends)], 1011);
    assert_eq!((complete.job.state, complete.job.completion_time.unwrap().0), (Some(State::Complete), at(1011)));
    assert_eq!((complete.job.start_time.unwrap().0, complete.job.duration.as_deref()), (at(1000), Some("11s")));
    let told: Vec<_> = complete.job.runs.iter().map(|run| (run.name.as_str(), run.result)).collect();
    assert_eq!(told, [("handbook-r2", Some(RunResult::Succeeded)), ("handbook-r1", Some(RunResult::Succeeded))]);
    assert_eq!(complete.job.runs[0].completion_time.as_ref().unwrap().0, at(1009));

    let (_, plan) = pass(&mut job, &[], 1100);
    assert_eq!(plan, Plan::Finished { expires: None }, "status remembers the request");
    annotate(&mut job, RUN, TUESDAY);
    let (_, plan) = pass(&mut job, &[], 1101);
    assert_eq!(plan, full_run(3, Some(TUESDAY)), "numbers are not given twice, even if all Jobs have gone");
}

#[test]
fn a_run_that_was_begun_and_not_told_is_noticed() {
    let runs = [of("handbook-r1", 5, &Way::Ends, None), of("handbook-retry1", 20, &Way::Ends, None)];
    let mut job = asked(json!({}), &runs);
    // the retry that status names has gone since
    let runs = [runs[0].clone(), of("handbook-r2", 100, &Way::Works, Some((RUN, MONDAY)))];
    let (status, plan) = pass(&mut job, &runs, 110);
    assert_eq!(plan, Plan::Running { number: RunNumber::Full(2), trouble: None });
    assert_eq!(status.job.start_time.unwrap().0, at(100));
}

#[test]
fn a_run_that_was_asked_for_and_fails_is_made_again_until_its_attempts_are_spent() {
    let spec = || json!({"failurePolicy": {"maxAttempts": 2}});
    let mut runs =
        vec![of("handbook-r1", 1, &Way::Fails, None), of("handbook-r2", 2, &Way::Fails, Some((RUN, MONDAY)))];
    let mut job = job(spec());
    annotate(&mut job, RUN, MONDAY);
    assert!(matches!(planned(&job, &seen(runs.clone()), 61), Plan::RunRetryPending { attempts: 1, .. }));
    assert_eq!(planned(&job, &seen(runs.clone()), 999), full_run(3, Some(MONDAY)), "for the same request");
    runs.push(of("handbook-r3", 3, &Way::Fails, Some((RUN, MONDAY))));
    assert!(
        matches!(planned(&job, &seen(runs), 999), Plan::Failed(error) if error.category == FailureCategory::Unknown)
    );
}

#[test]
fn five_runs_are_told_of_and_what_has_gone_is_kept_as_it_was() {
    let mut known: Vec<RunRecord> = Vec::new();
    let runs = |numbers: std::ops::RangeInclusive<i64>| {
        seen(numbers.map(|number| of(&format!("handbook-r{number}"), number, &Way::Ends, None)).collect())
    };
    history::record(&mut known, &runs(1..=2));
    let before = known.clone();
    history::record(&mut known, &runs(3..=6));
    let names: Vec<_> = known.iter().map(|run| run.name.as_str()).collect();
    assert_eq!(names, ["handbook-r6", "handbook-r5", "handbook-r4", "handbook-r3", "handbook-r2"]);
    assert_eq!(known[4], before[0]);
    // the pod went before the Job
    history::record(&mut known, &seen(vec![of("handbook-r6", 6, &Way::Vanished, None)]));
    assert_eq!(known[0].items.as_ref().map(|items| items.done), Some(3));
}

#[test]
fn a_retry_counts_for_its_run() {
    let mut known = Vec::new();
    let retry = run(
        &kube_job("handbook-retry1", 130, false, complete(140)),
        &[finished(&report("handbook-retry1", 2, [0, 0, 0]))],
    );
    history::record(&mut known, &seen(vec![ended(&report("handbook-r1", 3, [2, 0, 0])), retry]));
    let items = known[0].items.as_ref().unwrap();
    assert_eq!((known.len(), items.total, items.done, items.failed), (1, 5, 5, 0));
}

const ENDS: Way = Way::Ends;
const FAILS: Way = Way::Fails;
const WORKS: Way = Way::Works;

/// Runs by name, how they went, and the request that their Jobs carry, in the order in which they were created.
#[rstest]
#[case::nothing(&[], &[])]
#[case::nobody_asked(&[("r1", ENDS, ""), ("retry1", ENDS, ""), ("r2", FAILS, ""), ("r3", ENDS, "")], &[])]
#[case::the_run_before_stays(&[("r1", ENDS, ""), ("r2", WORKS, MONDAY)], &[])]
#[case::older_ones_go(&[("r1", ENDS, ""), ("r2", ENDS, MONDAY), ("r3", WORKS, TUESDAY)], &["r1"])]
#[case::with_their_retries(
    &[("r1", ENDS, ""), ("retry1", ENDS, ""), ("retry2", FAILS, ""), ("retry3", ENDS, ""), ("r2", ENDS, MONDAY)],
    &["retry1", "retry2"])]
#[case::retries_of_the_newest_stay(
    &[("r1", ENDS, ""), ("retry1", ENDS, ""), ("r2", ENDS, MONDAY), ("retry2", ENDS, ""), ("retry3", ENDS, "")],
    &["retry1"])]
#[case::attempts_at_one_request_stay(
    &[("r1", ENDS, ""), ("r2", FAILS, MONDAY), ("r3", FAILS, TUESDAY), ("r4", FAILS, TUESDAY), ("r5", WORKS, TUESDAY)],
    &["r1", "r2"])]
#[case::what_is_at_work_stays(&[("r1", WORKS, ""), ("r2", ENDS, MONDAY), ("r3", ENDS, TUESDAY)], &[])]
fn jobs_that_nothing_is_told_by_go(#[case] runs: &[(&str, Way, &str)], #[case] expected: &[&str]) {
    let runs = (0..).zip(runs).map(|(created, (name, way, request))| {
        of(&format!("handbook-{name}"), created, way, Some((RUN, *request)).filter(|(_, value)| !value.is_empty()))
    });
    let seen = seen(runs.collect());
    let gone: Vec<&str> = leftovers(&seen).into_iter().map(|job| job.strip_prefix("handbook-").unwrap()).collect();
    assert_eq!(gone, expected);

    let kept =
        Observation::of(seen.all().filter(|run| !leftovers(&seen).contains(&run.job.as_str())).cloned().collect());
    let facts = |seen: &Observation| (seen.next_full(), seen.next_retry(), seen.failed_in_a_row(), seen.tally());
    assert_eq!(facts(&kept), facts(&seen));
    assert_eq!(leftovers(&kept), [""; 0], "at once");
}

#[test]
fn memory_that_ran_out_is_remembered_by_the_jobs_that_follow() {
    let exhausted = |name: &str, created, before: Option<&str>| {
        let mut child = kube_job(name, created, false, failed("BackoffLimitExceeded", ""));
        let count = before.map(|count| (EXHAUSTED.to_owned(), count.to_owned()));
        child.metadata.annotations.get_or_insert_default().extend(count);
        run(&child, &[crashed(name, 137, "OOMKilled", "")])
    };
    let runs = [exhausted("handbook-r1", 1, None), exhausted("handbook-r2", 2, Some("1"))];
    assert_eq!(seen(runs.to_vec()).exhausted(), 2);
    assert_eq!(seen(runs[1..].to_vec()).exhausted(), 2, "the first has gone");
}

#[test]
fn what_is_asked_for_without_a_time_is_refused() {
    let mut job = asked(json!({}), &[ended(&report("handbook-r1", 3, [0, 0, 0]))]);
    annotate(&mut job, RUN, "now");
    let (status, plan) = pass(&mut job, &[ended(&report("handbook-r1", 3, [0, 0, 0]))], 70);
    assert_eq!(plan, Plan::Finished { expires: None });
    let accepted = condition(&status.job.conditions, ConditionType::RequestAccepted).unwrap();
    assert!(accepted.message.starts_with("annotation workers.lexigram.dev/run: 'now' is no time such as"));
}
