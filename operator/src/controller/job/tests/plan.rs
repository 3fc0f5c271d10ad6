//! What is planned for what is seen.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use lexigram_api::{
    contract::RunError,
    failure::FailureCategory,
    resource::{ConditionType, IngestionJob, IngestionJobStatus, set_condition},
};
use rstest::rstest;
use serde_json::{Value, json};

use super::fixtures::*;
use crate::{
    config::AiWorkers,
    controller::{
        job::{
            observe::Observation,
            plan::{Demand, Halt, Launch, Plan, Start, Take, plan},
            recovery::sweep::sweep_at,
            references::{Obstacle, Reference},
        },
        runs::Run,
    },
    names::RunNumber,
};

fn planned(job: &IngestionJob, seen: &Observation, now: i64) -> Plan {
    plan(job, seen, &AiWorkers::default(), at(now))
}

fn first(how: Launch) -> Plan {
    Plan::Start(Start { number: RunNumber::Full(1), how, request: None })
}

fn with_end(mut job: IngestionJob, kind: ConditionType, second: i64) -> IngestionJob {
    let mut status = IngestionJobStatus::default();
    status.job.completion_time = Some(Time(at(second)));
    set_condition(&mut status.job.conditions, kind, true, "Completed", "", Some(1), at(second));
    job.status = Some(status);
    job
}

fn active_run(suspend: bool) -> Run {
    run(&kube_job("handbook-r1", 1, suspend, active()), &[running("handbook-r1")])
}

fn paused_run() -> Run {
    run(&kube_job("handbook-r1", 1, true, json!({})), &[])
}

#[rstest]
#[case::new(json!({}), vec![], first(Launch::Create(Take::Everything)))]
#[case::born_suspended(json!({"suspend": true}), vec![], Plan::Suspended { halt: None, stopping: false })]
#[case::at_work(json!({}), vec![active_run(false)], Plan::Running { number: RunNumber::Full(1), trouble: None })]
#[case::to_be_suspended(json!({"suspend": true}), vec![active_run(false)],
    Plan::Suspended { halt: Some(Halt::Suspend("handbook-r1".to_owned())), stopping: true })]
#[case::stopping(json!({"suspend": true}), vec![active_run(true)], Plan::Suspended { halt: None, stopping: true })]
#[case::stopped(json!({"suspend": true}), vec![paused_run()], Plan::Suspended { halt: None, stopping: false })]
#[case::to_be_resumed(json!({}), vec![paused_run()], first(Launch::Resume))]
#[case::kueue_decides(json!({"queueName": "q"}), vec![paused_run()], Plan::AwaitingAdmission)]
#[case::kueue_suspended(json!({"queueName": "q", "suspend": true}), vec![active_run(false)],
    Plan::Suspended { halt: Some(Halt::Delete("handbook-r1".to_owned())), stopping: true })]
#[case::done(json!({}), vec![ended(&report("handbook-r1", 3, [0, 0, 0]))], Plan::Completed { archived: 0 })]
#[case::given_up(json!({}), vec![ended(&report("handbook-r1", 3, [0, 2, 0]))], Plan::Completed { archived: 2 })]
#[case::needs_a_person(json!({}), vec![ended(&report("handbook-r1", 3, [0, 2, 1]))], Plan::DeadLetters { notified: 1 })]
#[case::done_while_suspended(json!({"suspend": true}), vec![ended(&report("handbook-r1", 3, [0, 0, 0]))],
    Plan::Completed { archived: 0 })]
#[case::retries_wait(json!({}), vec![ended(&report("handbook-r1", 3, [2, 0, 1]))],
    Plan::RetryPending { at: at(120), retrying: 2 })]
#[case::retries_wait_suspended(json!({"suspend": true}), vec![ended(&report("handbook-r1", 3, [2, 0, 0]))],
    Plan::Suspended { halt: None, stopping: false })]
fn of_runs(#[case] spec: Value, #[case] runs: Vec<Run>, #[case] expected: Plan) {
    assert_eq!(planned(&job(spec), &seen(runs), 70), expected);
}

#[test]
fn a_retry_starts_at_the_tick_after_it_is_due_and_takes_what_is_due_then() {
    let runs = seen(vec![ended(&report("handbook-r1", 3, [2, 0, 0]))]);
    assert!(matches!(planned(&job(json!({})), &runs, 119), Plan::RetryPending { .. }));
    let retry = Start { number: RunNumber::Retry(1), how: Launch::Create(Take::Due(at(120))), request: None };
    assert_eq!(planned(&job(json!({})), &runs, 120), Plan::Start(retry));
}

#[test]
fn a_retry_that_mends_everything_completes_the_job() {
    let retry = run(
        &kube_job("handbook-retry1", 130, false, complete(140)),
        &[finished(&report("handbook-retry1", 2, [0, 0, 0]))],
    );
    let runs = seen(vec![retry, ended(&report("handbook-r1", 3, [2, 0, 0]))]);
    assert_eq!(planned(&job(json!({})), &runs, 150), Plan::Completed { archived: 0 });
}

#[test]
fn a_report_without_a_time_waits_for_the_first_backoff() {
    let mut report = report("handbook-r1", 3, [1, 0, 0]);
    report.next_retry_time = None;
    let plan = planned(&job(json!({})), &seen(vec![ended(&report)]), 70);
    assert_eq!(plan, Plan::RetryPending { at: at(120), retrying: 1 }, "60 s + 30 s, at the next tick");
}

#[rstest]
#[case::on_a_tick(at(120), 60, at(120))]
#[case::after_a_tick(at(121), 60, at(180))]
#[case::a_fraction_after(at(120) + jiff::SignedDuration::from_millis(1), 60, at(180))]
#[case::every_five_seconds(at(121), 5, at(125))]
fn sweeps_tick(#[case] due: Timestamp, #[case] interval: u32, #[case] expected: Timestamp) {
    assert_eq!(sweep_at(due, interval), expected);
}

#[test]
fn disabled_workers_start_nothing_and_stop_nothing() {
    let config = AiWorkers { enabled: false, ..Default::default() };
    let of = |runs| plan(&job(json!({})), &seen(runs), &config, at(200));
    assert_eq!(of(vec![]), Plan::Disabled);
    assert_eq!(of(vec![paused_run()]), Plan::Disabled);
    assert_eq!(of(vec![ended(&report("handbook-r1", 3, [2, 0, 0]))]), Plan::Disabled);
    assert!(matches!(of(vec![active_run(false)]), Plan::Running { .. }));
}

#[test]
fn stub_runs_take_nothing() {
    let config = AiWorkers { stub: true, ..Default::default() };
    assert_eq!(plan(&job(json!({})), &seen(vec![]), &config, at(1)), first(Launch::Create(Take::Nothing)));
}

#[test]
fn what_is_missing_blocks_starts_only() {
    let missing = Obstacle::Missing(Reference::config_map("guides", "spec.source.configMap.name"));
    let blocked = |runs| Observation { obstacle: Some(missing.clone()), ..seen(runs) };
    assert_eq!(planned(&from_config_map(), &blocked(vec![]), 1), Plan::Blocked(missing.clone()));
    let suspended = job(json!({"suspend": true}));
    assert_eq!(planned(&suspended, &blocked(vec![]), 1), Plan::Suspended { halt: None, stopping: false });
    let done = blocked(vec![ended(&report("handbook-r1", 3, [0, 0, 0]))]);
    assert_eq!(planned(&from_config_map(), &done, 70), Plan::Completed { archived: 0 });
}

#[test]
fn a_spec_that_cannot_be_used_is_a_plan() {
    let rules = json!({"failurePolicy": {"rules": [{"message": "(", "category": "Transient"}]}});
    let Plan::Invalid(invalid) = planned(&job(rules), &seen(vec![]), 1) else { panic!("not invalid") };
    assert_eq!(invalid.field, "spec.failurePolicy.rules[0].message");
}

#[rstest]
#[case::no_ttl(json!({}), 10_000, Plan::Finished { expires: None })]
#[case::ttl_runs(json!({"ttlSecondsAfterFinished": 30}), 89, Plan::Finished { expires: Some(at(90)) })]
#[case::ttl_over(json!({"ttlSecondsAfterFinished": 30}), 90, Plan::Expired)]
#[case::ttl_of_zero(json!({"ttlSecondsAfterFinished": 0}), 60, Plan::Expired)]
fn a_recorded_end_stays(
    #[case] spec: Value,
    #[case] now: i64,
    #[case] expected: Plan,
    #[values(ConditionType::Complete, ConditionType::Failed)] end: ConditionType,
) {
    // its Jobs are gone: nothing is done again
    assert_eq!(planned(&with_end(job(spec), end, 60), &seen(vec![]), now), expected);
}

#[test]
fn deletion_comes_first() {
    let mut job = with_end(job(json!({})), ConditionType::Complete, 60);
    job.metadata.deletion_timestamp = Some(Time(at(70)));
    assert_eq!(planned(&job, &seen(vec![]), 71), Plan::Deleting { stopping: false });
    assert_eq!(planned(&job, &seen(vec![active_run(false)]), 71), Plan::Deleting { stopping: true });
}

fn failed_run(reason: &str, pods: &[std::sync::Arc<k8s_openapi::api::core::v1::Pod>]) -> Run {
    run(&kube_job("handbook-r1", 1, false, failed(reason, "said Kubernetes")), pods)
}

#[rstest]
#[case::deadline("DeadlineExceeded", vec![running("handbook-r1")], FailureCategory::Timeout, "DeadlineExceeded",
    "the run was active longer than spec.activeDeadlineSeconds")]
#[case::what_the_worker_said(
    "PodFailurePolicy",
    vec![crashed("handbook-r1", 77, "Error", &error_report("handbook-r1", FailureCategory::Authentication, "CredentialsRefused", "401 from https://x")
        .to_termination_message().unwrap())],
    FailureCategory::Authentication, "CredentialsRefused", "401 from https://x")]
#[case::out_of_memory("BackoffLimitExceeded", vec![crashed("handbook-r1", 137, "OOMKilled", "")],
    FailureCategory::ResourceExhausted, "BackoffLimitExceeded", "the worker was killed because it used more memory than its limit (OOMKilled)")]
#[case::crashes("BackoffLimitExceeded", vec![crashed("handbook-r1", 139, "Error", "")],
    FailureCategory::Unknown, "BackoffLimitExceeded", "the worker ended with exit code 139; said Kubernetes")]
#[case::usage("PodFailurePolicy", vec![crashed("handbook-r1", 2, "Error", "unexpected argument")],
    FailureCategory::Configuration, "WorkerFailed", "the worker ended with exit code 2; said Kubernetes")]
#[case::no_trace("BackoffLimitExceeded", vec![], FailureCategory::Unknown, "BackoffLimitExceeded", "the worker left no trace")]
fn of_failed_runs(
    #[case] reason: &str,
    #[case] pods: Vec<std::sync::Arc<k8s_openapi::api::core::v1::Pod>>,
    #[case] category: FailureCategory,
    #[case] expected: &str,
    #[case] message: &str,
) {
    // what may pass by itself is tried again, and for all else a person is needed
    let passes = !matches!(
        category,
        FailureCategory::Timeout | FailureCategory::Authentication | FailureCategory::Configuration
    );
    let error = match planned(&job(json!({})), &seen(vec![failed_run(reason, &pods)]), 70) {
        Plan::Failed(error) if !passes => error,
        Plan::RunRetryPending { at: time, attempts: 1, error } if passes && time == at(120) => error,
        other => panic!("{other:?}"),
    };
    assert_eq!((error.category, error.reason.as_str()), (category, expected));
    assert!(error.message.starts_with(message), "{}", error.message);
}

#[test]
fn a_report_is_waited_for_then_the_run_is_made_again_a_bounded_number_of_times() {
    let lost = |number: i64| run(&kube_job(&format!("handbook-r{number}"), number, false, complete(60)), &[]);
    let of = |runs: i64, now| planned(&job(json!({})), &seen((1..=runs).map(lost).collect()), now);
    assert_eq!(of(1, 61), Plan::AwaitingReport);
    let again = Start { number: RunNumber::Full(2), how: Launch::Create(Take::Everything), request: None };
    assert_eq!(of(1, 80), Plan::Start(again));
    assert!(matches!(of(3, 80), Plan::Failed(RunError { reason, .. }) if reason == "ReportLost"));
}

#[test]
fn a_full_run_whose_pod_has_gone_before_its_retries_were_through_is_made_again() {
    let full = run(&kube_job("handbook-r1", 1, false, complete(60)), &[]);
    let retry = run(
        &kube_job("handbook-retry1", 130, false, complete(140)),
        &[finished(&report("handbook-retry1", 1, [1, 0, 0]))],
    );
    let again = Start { number: RunNumber::Full(2), how: Launch::Create(Take::Everything), request: None };
    assert_eq!(planned(&job(json!({})), &seen(vec![full, retry]), 200), Plan::Start(again));
}

#[test]
fn the_report_of_an_interrupted_worker_is_not_that_of_the_run() {
    let interrupted = report("handbook-r1", 1, [0, 0, 0]).to_termination_message().unwrap();
    let earlier = crashed("handbook-r1", 143, "Error", &interrupted);
    // the cache of Jobs is ahead of that of pods
    let newest = pod("handbook-r1", 20, "Running", json!({"running": {}}));
    let run = run(&kube_job("handbook-r1", 1, false, complete(60)), &[earlier, newest]);
    assert_eq!(planned(&job(json!({})), &seen(vec![run]), 61), Plan::AwaitingReport);
}

#[rstest]
#[case::another_shape(json!({"counts": 2}))]
#[case::another_version(json!({"contractVersion": "v2"}))]
#[case::a_number_that_does_not_fit(json!({"counts": {"items": {"failed": -1}}}))]
#[case::a_reason_that_the_api_server_would_refuse(
    json!({"error": {"category": "Unknown", "reason": "it broke", "message": ""}})
)]
fn a_report_that_cannot_be_read_fails_the_job(#[case] change: Value) {
    let mut strange = serde_json::to_value(report("handbook-r1", 1, [0, 0, 0])).unwrap();
    strange.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
    let end = json!({"terminated": {"exitCode": 0, "message": strange.to_string()}});
    let strange = pod("handbook-r1", 6, "Succeeded", end);
    let run = run(&kube_job("handbook-r1", 1, false, complete(60)), &[strange]);
    let plan = planned(&job(json!({})), &seen(vec![run]), 61);
    assert!(matches!(plan, Plan::Failed(RunError { reason, .. }) if reason == "ReportUnreadable"));
}

#[rstest]
#[case::start(first(Launch::Resume), Demand::Request)]
#[case::running(Plan::Running { number: RunNumber::Full(1), trouble: None }, Demand::Hold)]
#[case::stopping(Plan::Suspended { halt: None, stopping: true }, Demand::Hold)]
#[case::stopped(Plan::Suspended { halt: None, stopping: false }, Demand::None)]
#[case::waits_for_retry(Plan::RetryPending { at: at(9), retrying: 1 }, Demand::None)]
#[case::going_with_a_worker(Plan::Deleting { stopping: true }, Demand::Hold)]
#[case::going(Plan::Deleting { stopping: false }, Demand::None)]
fn places(#[case] plan: Plan, #[case] expected: Demand) {
    assert_eq!(plan.demand(false), expected);
    assert_eq!(plan.demand(true), Demand::None, "Kueue keeps its own queue");
}
