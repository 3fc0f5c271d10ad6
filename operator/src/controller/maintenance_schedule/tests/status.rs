//! What users see of a schedule.

use lexigram_api::{
    contract::{RunError, TaskReport},
    failure::FailureCategory,
    maintenance::HealthCheckName::{CountsAgree, FreeSpace, StoreIntact},
    resource::{ConditionType, MAX_RUNS_BYTES, MaintenanceSchedule, MaintenanceScheduleStatus, condition},
};
use rstest::rstest;
use serde_json::json;

use super::fixtures::*;
use crate::{
    config::AiWorkers,
    controller::{
        job::tests::fixtures::at,
        maintenance_schedule::{
            name::RunName,
            observe::Observation,
            plan::plan,
            runs::{Phase, Run},
            settle::settle,
            status::{notify, project, story, transitions},
        },
        notice,
    },
    notify::outbox::Delivery,
};

fn status_of(object: &MaintenanceSchedule, seen: &Observation, now: i64) -> MaintenanceScheduleStatus {
    project(object, seen, &plan(object, None, seen, &AiWorkers::default(), at(now)), None, at(now))
}

fn says(status: &MaintenanceScheduleStatus, kind: ConditionType) -> (String, String) {
    let condition = condition(&status.conditions, kind).unwrap();
    (condition.status.clone(), condition.reason.clone())
}

fn pair(status: &str, reason: &str) -> (String, String) {
    (status.to_owned(), reason.to_owned())
}

#[test]
fn a_new_schedule() {
    let status = status_of(&schedule(json!({})), &seen(vec![]), 1);
    assert_eq!(says(&status, ConditionType::Ready), pair("True", "Scheduled"));
    assert_eq!(says(&status, ConditionType::Healthy), pair("Unknown", "NotChecked"));
    assert_eq!(status.schedule.as_deref(), Some("every 10m00s"));
    assert_eq!(status.next_schedule_time.map(|time| time.0), Some(at(600)));
}

#[test]
fn the_time_zone_is_told() {
    let object = schedule(json!({"intervalSeconds": null, "schedule": "0 3 * * *", "timeZone": "Europe/Berlin"}));
    assert_eq!(status_of(&object, &seen(vec![]), 1).schedule.as_deref(), Some("0 3 * * * Europe/Berlin"));
}

#[test]
fn runs_are_told_newest_first_with_what_their_tasks_did() {
    let first = settled(interval(600), vec![done("health", 2), done("cache", 7), done("again", 1)]);
    let status = status_of(&schedule(json!({})), &seen(vec![first, running(interval(1200))]), 1210);
    let jobs: Vec<_> = status.runs.iter().map(|run| run.job.as_str()).collect();
    assert_eq!(jobs, ["handbook-m1800001200", "handbook-m1800000600"]);
    assert_eq!((status.active.as_slice(), status.items), (&["handbook-m1800001200".to_owned()][..], Some(10)));
    let cache = &status.runs[1].tasks[1];
    assert_eq!((cache.name.as_str(), cache.items, cache.bytes_freed), ("cache", 7, 7168));
    assert_eq!(status.last_success_time.map(|time| time.0), Some(at(605)));
    assert_eq!(status.last_schedule_time.map(|time| time.0), Some(at(1200)));
    assert_eq!(
        says(&status_of(&schedule(json!({})), &seen(vec![running(interval(600))]), 601), ConditionType::Ready),
        pair("True", "Running")
    );
}

#[test]
fn a_run_is_told_of_after_its_job_has_gone_within_the_limits() {
    let mut object = schedule(json!({"successfulRunsHistoryLimit": 2}));
    let ok = |second| settled(interval(second), vec![done("health", 1)]);
    object.status = Some(status_of(&object, &seen(vec![ok(600), ok(1200)]), 1210));
    let jobs =
        |runs| -> Vec<String> { status_of(&object, &seen(runs), 2410).runs.into_iter().map(|run| run.job).collect() };
    assert_eq!(jobs(vec![]), ["handbook-m1800001200", "handbook-m1800000600"]);
    assert_eq!(jobs(vec![ok(2400)]), ["handbook-m1800002400", "handbook-m1800001200"]);
}

#[test]
fn older_runs_say_less_where_a_status_would_be_too_long() {
    let object = schedule(json!({"successfulRunsHistoryLimit": 10}));
    let wordy = |task| TaskReport { message: "m".repeat(256), ..done(task, 1) };
    let run = |n: i64| settled(interval(600 * n), vec![wordy("health"), wordy("cache"), wordy("again")]);
    let status = status_of(&object, &seen((1..=10).map(run).collect()), 6010);
    let said: Vec<_> = status.runs.iter().map(|run| !run.tasks[0].message.is_empty()).collect();
    assert_eq!((said.len(), said[0], said[9]), (10, true, false));
    assert!(said.is_sorted_by(|newer, older| newer >= older), "{said:?}");
    let bytes = serde_json::to_string(&status.runs).unwrap().len();
    assert!(bytes <= MAX_RUNS_BYTES + 2, "{bytes}");
    // it stays so when the Jobs have gone
    let mut later = object.clone();
    later.status = Some(status.clone());
    assert_eq!(status_of(&later, &seen(vec![]), 6020).runs, status.runs);
}

#[test]
fn a_run_that_failed_as_a_whole_says_why_in_few_words() {
    let error =
        RunError { category: FailureCategory::Unknown, reason: "Unknown".to_owned(), message: "ü".repeat(400) };
    let job = job(interval(600), complete(605));
    let run = Run { phase: Phase::Ended { at: at(605), said: Some(Err(error)) }, ..read(&job, &[]) };
    let outcome = settle(&run).unwrap().outcome;
    let message = outcome.error.unwrap().message;
    assert!(message.ends_with('…') && message.len() <= 256, "{message}");
}

#[rstest]
#[case::good(vec![checked(&[(StoreIntact, true), (CountsAgree, true)])], "True", "ChecksPassed")]
#[case::the_first_that_fails(vec![checked(&[(StoreIntact, true), (CountsAgree, false), (FreeSpace, false)])], "False", "CountsDiffer")]
#[case::no_word(vec![broken("health", FailureCategory::Timeout)], "Unknown", "NotChecked")]
fn health_is_what_the_newest_check_found(#[case] tasks: Vec<TaskReport>, #[case] status: &str, #[case] reason: &str) {
    let runs = vec![settled(interval(600), tasks), settled(RunName::Retry(at(660)), vec![done("cache", 1)])];
    assert_eq!(says(&status_of(&schedule(json!({})), &seen(runs), 700), ConditionType::Healthy), pair(status, reason));
}

#[test]
fn health_stays_known_when_the_job_has_gone() {
    let mut object = schedule(json!({}));
    let bad = settled(interval(600), vec![checked(&[(StoreIntact, false)])]);
    object.status = Some(status_of(&object, &seen(vec![bad]), 610));
    let status = status_of(&object, &seen(vec![]), 620);
    assert_eq!(says(&status, ConditionType::Healthy), pair("False", "StoreDamaged"));
    assert!(!status.checks[0].passed);
}

#[test]
fn failed_tasks_are_dead_letters() {
    let runs = vec![settled(
        interval(600),
        vec![broken("health", FailureCategory::Configuration), broken("cache", FailureCategory::Transient)],
    )];
    let status = status_of(&schedule(json!({})), &seen(runs), 620);
    let dead = status.dead_letters.clone().unwrap();
    assert_eq!((dead.summary.as_str(), dead.recent.len()), ("1 retrying, 1 notified", 2));
    assert_eq!((dead.recent[1].id.as_str(), dead.recent[1].attempts), ("cache", 1));
    let told = transitions(Some(&MaintenanceScheduleStatus::default()), &status);
    let event = told.iter().find(|event| event.reason == "TasksFailed").unwrap();
    assert!(
        event.warning && event.message.contains("health (StoreUnavailable): no answer; it needs a person"),
        "{event:?}"
    );
    assert_eq!(transitions(Some(&status), &status), []);
}

#[test]
fn a_task_that_waits_for_a_person_is_told_to_the_webhook_once() {
    let mut object = schedule(json!({}));
    let runs = || seen(vec![settled(interval(600), vec![broken("health", FailureCategory::Configuration)])]);
    let subject = notice::subject("MaintenanceSchedule", &object);
    let mut pass = |delivery: Option<Delivery>| {
        let posted = story(&object).and_then(|story| notice::pending(&subject, &story));
        let notice = posted.as_ref().map(|event| event.id.clone()).zip(delivery);
        let mut status = status_of(&object, &runs(), 620);
        notify(&mut status, &subject, notice.as_ref(), at(620));
        object.status = Some(status.clone());
        (posted, says(&status, ConditionType::Notified).1)
    };
    assert_eq!(pass(None), (None, "WebhookPending".to_owned()));
    let (posted, reason) = pass(Some(Delivery::Delivered { at: at(621) }));
    let event = serde_json::to_value(posted.unwrap()).unwrap();
    assert_eq!(event["id"], "11111111-2222-3333-4444-555555555555.handbook-m1800000600");
    assert_eq!((&event["data"]["notified"], &event["data"]["examples"][0]["id"]), (&json!(1), &json!("health")));
    assert_eq!(reason, "WebhookDelivered");
    assert_eq!(pass(None), (None, "WebhookDelivered".to_owned()));
}

#[test]
fn health_that_changes_is_an_event() {
    let of = |passed| {
        status_of(
            &schedule(json!({})),
            &seen(vec![settled(interval(600), vec![checked(&[(StoreIntact, passed)])])]),
            610,
        )
    };
    let (bad, good) = (of(false), of(true));
    let reasons = |before, now| {
        transitions(Some(before), now).into_iter().map(|event| (event.reason, event.warning)).collect::<Vec<_>>()
    };
    assert_eq!(reasons(&good, &bad), [("StoreDamaged".to_owned(), true)]);
    assert_eq!(reasons(&bad, &good), [("ChecksPassed".to_owned(), false)]);
}

#[rstest]
#[case::bad("soon", "False", "InvalidRequest")]
#[case::open("2027-01-15T08:05:00Z", "False", "RequestPending")]
fn a_request_is_answered(#[case] value: &str, #[case] status: &str, #[case] reason: &str) {
    let told = status_of(&asked(json!({"suspend": true}), value), &seen(vec![]), 1);
    assert_eq!(says(&told, ConditionType::RequestAccepted), pair(status, reason));
}

#[test]
fn a_request_that_was_begun_is_remembered() {
    let value = "2027-01-15T08:05:00Z";
    let mut made = job(RunName::Asked(value.parse().unwrap()), complete(400));
    annotate(&mut made, "run", value);
    let status = status_of(&asked(json!({}), value), &seen(vec![read(&made, &[])]), 500);
    assert_eq!(says(&status, ConditionType::RequestAccepted), pair("True", "RequestDone"));
    assert_eq!(status.last_run_request.as_deref(), Some(value));
}
