//! When runs are started, stopped, tried again and removed.

use jiff::Timestamp;
use k8s_openapi::{api::batch::v1::CronJob, apimachinery::pkg::apis::meta::v1::ObjectMeta};
use lexigram_api::{failure::FailureCategory, resource::MaintenanceSchedule};
use rstest::rstest;
use serde_json::{Value, json};

use super::fixtures::*;
use crate::{
    config::AiWorkers,
    controller::{
        job::{
            references::{Obstacle, Reference},
            tests::fixtures::{active, at},
        },
        maintenance_schedule::{
            name::RunName,
            observe::{CronSeen, Observation},
            plan::{Cron, Plan, Readiness, Start, plan},
        },
    },
    names::DIGEST,
};

fn config() -> AiWorkers {
    AiWorkers { dlq_check_interval: 60, ..AiWorkers::default() }
}

fn of(object: &MaintenanceSchedule, seen: &Observation, now: i64) -> Plan {
    plan(object, None, seen, &config(), at(now))
}

fn started(plan: &Plan) -> Option<RunName> {
    plan.start.as_ref().map(|start| start.name)
}

fn ok(second: i64) -> crate::controller::maintenance_schedule::runs::Run {
    settled(interval(second), vec![done("health", 1), done("cache", 2), done("again", 1)])
}

#[rstest]
#[case::before_the_first(vec![], 599, None, 600)]
#[case::the_first(vec![], 600, Some(600), 1200)]
#[case::late(vec![], 650, Some(600), 1200)]
#[case::after_one(vec![ok(600)], 1199, None, 1200)]
#[case::the_second(vec![ok(600)], 1200, Some(1200), 1800)]
#[case::taken(vec![ok(600), ok(1200)], 1201, None, 1800)]
#[case::three_missed(vec![ok(600)], 2450, Some(2400), 3000)]
#[case::clock_moved_back(vec![ok(600), ok(1200)], 700, None, 1800)]
fn runs_by_an_interval(
    #[case] runs: Vec<crate::controller::maintenance_schedule::runs::Run>,
    #[case] now: i64,
    #[case] expected: Option<i64>,
    #[case] next: i64,
) {
    let plan = of(&schedule(json!({})), &seen(runs), now);
    assert_eq!((started(&plan), plan.next_run), (expected.map(interval), Some(at(next))));
    assert_eq!(plan.wake, Some(at(next)));
}

#[test]
fn a_slot_has_a_name_that_no_second_operator_gives_again() {
    let plan = of(&schedule(json!({})), &seen(vec![]), 600);
    let start = plan.start.unwrap();
    assert_eq!(start.name.job_name("handbook"), "handbook-m1800000600");
    assert_eq!(start.tasks, ["health", "cache", "again"]);
}

#[test]
fn what_was_due_is_remembered_when_its_job_has_gone() {
    let mut object = schedule(json!({}));
    let run = json!({"job": "handbook-m1800001200", "scheduledTime": at(1200).to_string()});
    object.status = serde_json::from_value(json!({"runs": [run]})).unwrap();
    assert_eq!(started(&of(&object, &seen(vec![]), 1300)), None);
}

#[test]
fn a_missed_run_is_left_out_after_its_deadline() {
    let object = schedule(json!({"startingDeadlineSeconds": 30}));
    assert_eq!(started(&of(&object, &seen(vec![]), 630)), Some(interval(600)));
    assert_eq!(started(&of(&object, &seen(vec![]), 631)), None);
}

#[rstest]
#[case::forbid("Forbid", vec![])]
#[case::replace("Replace", vec!["handbook-m1800000600"])]
fn two_runs_are_never_at_work_at_once(#[case] policy: &str, #[case] stopped: Vec<&str>) {
    let object = schedule(json!({"concurrencyPolicy": policy}));
    let plan = of(&object, &seen(vec![running(interval(600))]), 1200);
    assert_eq!((started(&plan), plan.stop), (None, stopped.into_iter().map(str::to_owned).collect()));
}

#[test]
fn a_job_that_is_stopping_or_not_in_the_cache_yet_keeps_others_out() {
    let seen = Observation { in_transit: vec!["handbook-m1800000600".to_owned()], ..Default::default() };
    assert_eq!(started(&of(&schedule(json!({})), &seen, 1200)), None);
}

const ASKED: &str = "2027-01-15T08:05:00Z";

fn asked_at() -> Timestamp {
    ASKED.parse().unwrap()
}

#[test]
fn a_run_that_somebody_asks_for_comes_at_once_and_once() {
    let object = asked(json!({}), ASKED);
    let plan = of(&object, &seen(vec![]), 400);
    let start = plan.start.unwrap();
    assert_eq!((start.name, start.asked.as_deref()), (RunName::Asked(asked_at()), Some(ASKED)));
    let mut made = job(start.name, active());
    annotate(&mut made, "run", ASKED);
    assert_eq!(started(&of(&object, &seen(vec![read(&made, &[])]), 401)), None);
    let mut remembered = object;
    remembered.status = serde_json::from_value(json!({"lastRunRequest": ASKED})).unwrap();
    assert_eq!(started(&of(&remembered, &seen(vec![]), 500)), None);
}

#[rstest]
#[case::at_work(running(interval(300)))]
fn a_run_that_somebody_asks_for_waits(#[case] run: crate::controller::maintenance_schedule::runs::Run) {
    assert_eq!(started(&of(&asked(json!({"concurrencyPolicy": "Replace"}), ASKED), &seen(vec![run]), 400)), None);
}

#[rstest]
#[case::suspended(json!({"suspend": true}), config(), Readiness::Suspended)]
#[case::disabled(json!({}), AiWorkers { enabled: false, ..config() }, Readiness::WorkersDisabled)]
#[case::no_maintenance(json!({}), AiWorkers { enable_maintenance: false, ..config() }, Readiness::MaintenanceDisabled)]
#[case::stub(json!({}), AiWorkers { stub: true, ..config() }, Readiness::Stub)]
fn nothing_is_started_while_it_is_not_active(
    #[case] spec: Value,
    #[case] config: AiWorkers,
    #[case] readiness: Readiness,
) {
    let mut object = schedule(spec);
    object.metadata.annotations = Some([("workers.lexigram.dev/run".to_owned(), ASKED.to_owned())].into());
    let plan = plan(&object, None, &seen(vec![]), &config, at(5000));
    assert_eq!((plan.readiness.clone(), started(&plan), plan.next_run, plan.wake), (readiness, None, None, None));
}

#[test]
fn one_run_is_caught_up_with_when_maintenance_is_enabled_again() {
    let object = schedule(json!({}));
    let off = AiWorkers { enable_maintenance: false, ..config() };
    assert!(plan(&object, None, &seen(vec![ok(600)]), &off, at(6100)).start.is_none());
    assert_eq!(started(&of(&object, &seen(vec![ok(600)]), 6101)), Some(interval(6000)));
    assert_eq!(started(&of(&object, &seen(vec![ok(600), ok(6000)]), 6110)), None);
}

#[test]
fn what_is_missing_is_looked_for_again() {
    let missing = Obstacle::Missing(Reference::secret("db", "spec.store.postgres.connectionSecretRef.name"));
    let seen = Observation { obstacle: Some(missing.clone()), ..Default::default() };
    let plan = of(&schedule(json!({})), &seen, 700);
    assert_eq!((plan.readiness.clone(), started(&plan), plan.wake), (Readiness::Blocked(missing), None, Some(at(705))));
}

fn cron_seen(suspended: bool, digest: &str) -> Option<CronSeen> {
    Some(CronSeen { suspended, digest: Some(digest.to_owned()), resource_version: None })
}

/// The CronJob that the spec asks for.
fn wanted() -> CronJob {
    let annotations = [(DIGEST.to_owned(), "new".to_owned())].into();
    CronJob { metadata: ObjectMeta { annotations: Some(annotations), ..Default::default() }, ..Default::default() }
}

#[rstest]
#[case::created(false, None, Cron::Create)]
#[case::kept(false, cron_seen(false, "new"), Cron::Keep)]
#[case::changed(false, cron_seen(false, "old"), Cron::Update)]
#[case::goes_on(false, cron_seen(true, "new"), Cron::Update)]
#[case::stops(true, cron_seen(false, "new"), Cron::Suspend)]
#[case::has_stopped(true, cron_seen(true, "old"), Cron::Keep)]
#[case::not_made_while_suspended(true, None, Cron::Keep)]
fn the_cron_job_is_as_it_should_be(#[case] suspend: bool, #[case] cron: Option<CronSeen>, #[case] expected: Cron) {
    let object = schedule(json!({"intervalSeconds": null, "schedule": "0 3 * * *", "suspend": suspend}));
    let seen = Observation { cron, ..Default::default() };
    let plan = plan(&object, Some(&wanted()), &seen, &config(), at(5000));
    assert_eq!((plan.cron, started(&plan)), (expected, None));
}

#[test]
fn a_schedule_that_became_an_interval_has_no_cron_job() {
    let seen = Observation { cron: cron_seen(false, "old"), ..Default::default() };
    assert_eq!(of(&schedule(json!({})), &seen, 100).cron, Cron::Delete);
}

#[test]
fn one_that_became_invalid_starts_nothing_more() {
    let object = schedule(json!({"intervalSeconds": null, "schedule": "61 3 * * *"}));
    let seen = Observation { cron: cron_seen(false, "new"), ..Default::default() };
    let plan = plan(&object, Some(&wanted()), &seen, &config(), at(100));
    assert_eq!(plan.cron, Cron::Suspend);
    assert!(matches!(plan.readiness, Readiness::Invalid(invalid) if invalid.field == "spec.schedule"));
}

#[test]
fn what_has_failed_is_tried_again_at_a_tick_by_itself() {
    let object = schedule(json!({"intervalSeconds": 86_400, "failurePolicy": {"backoffBaseSeconds": 100}}));
    let first =
        settled(interval(600), vec![done("health", 1), broken("cache", FailureCategory::Transient), done("again", 1)]);
    let plan = of(&object, &seen(vec![first.clone()]), 610);
    assert_eq!(started(&plan), None);
    let tick = plan.wake.unwrap();
    // 80 to 100 seconds after the failure, at a tick of the sweep's clock
    assert!((at(685)..=at(765)).contains(&tick) && tick.as_second() % 60 == 0, "{tick}");
    let now = tick.as_second() - at(0).as_second();
    let plan = of(&object, &seen(vec![first.clone()]), now);
    let expected = Start { name: RunName::Retry(tick), tasks: vec!["cache".to_owned()], asked: None };
    assert_eq!(plan.start, Some(expected));
    let again = settled(RunName::Retry(tick), vec![done("cache", 3)]);
    let plan = of(&object, &seen(vec![first, again]), now + 1000);
    assert_eq!((plan.start, plan.failed), (None, vec![]));
}

#[test]
fn a_task_is_given_up_after_its_attempts_and_taken_by_the_next_run() {
    let object = schedule(json!({"intervalSeconds": 86_400, "failurePolicy": {"maxAttempts": 2}}));
    let fails = |name| settled(name, vec![broken("cache", FailureCategory::Transient)]);
    let runs = vec![fails(interval(600)), fails(RunName::Retry(at(660)))];
    let plan = of(&object, &seen(runs.clone()), 80_000);
    assert_eq!((plan.start, plan.failed[0].failure.attempts, plan.failed[0].failure.next_retry_time), (None, 2, None));
    let plan = of(&object, &seen(runs), 87_000);
    assert_eq!(started(&plan), Some(interval(600 + 86_400)));
}

#[test]
fn a_task_that_was_taken_out_of_the_spec_is_not_tried_again() {
    let object = schedule(json!({"intervalSeconds": 86_400, "tasks": [{"name": "health", "type": "HealthCheck"}]}));
    let run = settled(interval(600), vec![done("health", 1), broken("cache", FailureCategory::Transient)]);
    let plan = of(&object, &seen(vec![run]), 80_000);
    assert_eq!((plan.start, plan.failed), (None, vec![]));
}

#[test]
fn a_run_that_has_ended_is_written_down_before_anything_is_started() {
    let name = interval(600);
    let run = read(&job(name, complete(610)), &[reported(name, vec![done("health", 1), done("cache", 4)])]);
    let plan = of(&schedule(json!({})), &seen(vec![run]), 1200);
    assert_eq!((started(&plan), plan.settle.len()), (None, 1));
    let settle = &plan.settle[0];
    assert_eq!((settle.job.as_str(), settle.resyncs.as_slice()), ("handbook-m1800000600", &["again".to_owned()][..]));
    assert_eq!(settle.outcome.tasks.iter().map(|task| task.items).collect::<Vec<_>>(), [1, 4]);
}

#[test]
fn tasks_of_a_run_that_left_no_report_have_failed() {
    let name = interval(600);
    let plan = of(&schedule(json!({})), &seen(vec![read(&job(name, complete(610)), &[])]), 1200);
    let reasons = plan.settle[0].outcome.tasks.iter().map(|task| task.error.as_ref().unwrap().reason.as_str());
    assert_eq!(reasons.collect::<Vec<_>>(), ["ReportLost", "ReportLost"]);
}

#[test]
fn old_runs_go_by_what_came_of_them() {
    let object = schedule(json!({"successfulRunsHistoryLimit": 1, "failedRunsHistoryLimit": 1}));
    let bad = |second| settled(interval(second), vec![broken("cache", FailureCategory::InvalidInput)]);
    let runs = vec![bad(600), ok(1200), bad(1800), ok(2400), ok(3000)];
    let plan = of(&object, &seen(runs), 3001);
    assert_eq!(plan.remove, ["handbook-m1800000600", "handbook-m1800001200", "handbook-m1800002400"]);
}

#[test]
fn what_retries_count_by_stays() {
    let object = schedule(json!({"failedRunsHistoryLimit": 1, "intervalSeconds": 86_400}));
    let fails = |name| settled(name, vec![broken("cache", FailureCategory::Transient)]);
    let runs = vec![fails(interval(600)), fails(RunName::Retry(at(660))), fails(RunName::Retry(at(780)))];
    assert_eq!(of(&object, &seen(runs), 800).remove, Vec::<String>::new());
}
