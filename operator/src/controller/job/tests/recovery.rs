//! How work that failed comes back: by itself, by request, and with what it names; and what is told of it.

use jiff::Timestamp;
use lexigram_api::{
    contract::Report,
    failure::FailureCategory,
    resource::{ConditionType, IngestionJob, JobStatus, condition},
};
use rstest::rstest;
use serde_json::json;

use super::fixtures::*;
use crate::{
    config::AiWorkers,
    controller::{
        job::{
            observe::Observation,
            plan::{Launch, Plan, Start, Take, plan},
            recovery::{
                notification,
                request::{self, Wish},
            },
            status::project,
        },
        notice,
        runs::Run,
    },
    names::{ARCHIVE, REFERENCES, RETRY, RETRY_CATEGORIES, RunNumber},
    notify::{cloud_event::CloudEvent, outbox::Delivery},
};

const MONDAY: &str = "2027-01-15T08:00:00Z";
const TUESDAY: &str = "2027-01-16T08:00:00Z";

fn planned(job: &IngestionJob, seen: &Observation, now: i64) -> Plan {
    plan(job, seen, &AiWorkers::default(), at(now))
}

/// The job with the status that these runs give it.
fn told(mut job: IngestionJob, runs: Vec<Run>, now: i64) -> IngestionJob {
    let seen = seen(runs);
    let plan = planned(&job, &seen, now);
    job.status = Some(project(&job, &seen, &plan, None, at(now)));
    job
}

fn annotated(mut job: IngestionJob, annotations: &[(&str, &str)]) -> IngestionJob {
    let all = annotations.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
    job.metadata.annotations = Some(all.collect());
    job
}

/// The `number`th full run: it failed at second 60, with this report or by a crash.
fn failed_run(number: i64, report: Option<&Report>) -> Run {
    let name = format!("handbook-r{number}");
    let message = report.map(|report| report.to_termination_message().unwrap()).unwrap_or_default();
    let job = kube_job(&name, number, false, failed("BackoffLimitExceeded", "said Kubernetes"));
    run(&job, &[crashed(&name, 1, "Error", &message)])
}

#[test]
fn a_run_that_fails_as_a_whole_is_made_again_until_its_attempts_are_spent() {
    let job = job(json!({"failurePolicy": {"maxAttempts": 3, "backoffBaseSeconds": 100}}));
    let after = |failures: i64, now| planned(&job, &seen((1..=failures).map(|n| failed_run(n, None)).collect()), now);
    let Plan::RunRetryPending { at: first, attempts: 1, .. } = after(1, 61) else { panic!("no retry") };
    let Plan::RunRetryPending { at: second, attempts: 2, .. } = after(2, 61) else { panic!("no second retry") };
    // 60 s + 100 s, and twice that, each less up to a fifth, at the next minute
    assert_eq!((first, second), (at(180), at(240)));
    let again = Start { number: RunNumber::Full(2), how: Launch::Create(Take::Everything), request: None };
    assert_eq!(after(1, 180), Plan::Start(again));
    assert!(matches!(after(3, 9999), Plan::Failed(_)));
}

/// Whoever looks, whenever, under whatever clock: the next start has one name, and so one Job.
#[rstest]
fn a_start_has_the_same_name_for_every_operator(
    #[values(60, 120, 119_999)] now: i64,
    #[values(5, 7, 60, 86_400)] interval: u32,
    #[values(0, 1, 5)] retries: i64,
) {
    let mut runs = vec![ended(&report("handbook-r1", 3, [2, 0, 0]))];
    runs.extend((1..=retries).map(|number| {
        let name = format!("handbook-retry{number}");
        run(&kube_job(&name, 60 + number, false, complete(60)), &[finished(&report(&name, 0, [2, 0, 0]))])
    }));
    let config = AiWorkers { dlq_check_interval: interval, ..Default::default() };
    match plan(&job(json!({})), &seen(runs), &config, at(now)) {
        Plan::Start(Start { number, how: Launch::Create(Take::Due(due)), request: None }) => {
            assert_eq!((number, due), (RunNumber::Retry(u32::try_from(retries).unwrap() + 1), at(now)));
        }
        Plan::RetryPending { at: time, retrying: 2 } => {
            assert!(time > at(now) && time >= at(90), "not before it is due: {time}");
            assert_eq!(time.as_second() % i64::from(interval), 0, "at a tick");
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_retry_at_work_is_waited_for_though_its_full_run_has_been_deleted() {
    let retry = |status| run(&kube_job("handbook-retry1", 61, false, status), &[]);
    let plan = |retry, now| planned(&job(json!({})), &seen(vec![retry]), now);
    assert_eq!(plan(retry(active()), 70), Plan::Running { number: RunNumber::Retry(1), trouble: None });
    assert!(matches!(plan(retry(complete(80)), 90), Plan::Start(Start { number: RunNumber::Full(1), .. })));
}

#[test]
fn a_request_is_acted_on_once_also_after_its_job_has_gone() {
    let full = || ended(&report("handbook-r1", 3, [0, 2, 0]));
    let over = told(job(json!({})), vec![full()], 61);
    assert_eq!(planned(&over, &seen(vec![full()]), 70), Plan::Finished { expires: None });

    let asked = annotated(over, &[(RETRY, MONDAY), (RETRY_CATEGORIES, "Timeout")]);
    let Plan::Start(start) = planned(&asked, &seen(vec![full()]), 70) else { panic!("not started") };
    let request = start.request.clone().unwrap();
    assert_eq!(request.selection.categories, [FailureCategory::Timeout]);
    assert_eq!(
        (start.number, start.how),
        (RunNumber::Retry(1), Launch::Create(Take::Again(request.selection.clone(), at(70))))
    );

    let mut child = kube_job("handbook-retry1", 71, false, complete(80));
    child.metadata.annotations.get_or_insert_default().extend(request.annotations);
    let retry = || run(&child, &[finished(&report("handbook-retry1", 1, [0, 1, 0]))]);
    assert_eq!(planned(&asked, &seen(vec![full(), retry()]), 90), Plan::Completed { archived: 1 });
    let done = told(asked, vec![full(), retry()], 90);
    assert_eq!(planned(&done, &seen(vec![]), 100), Plan::Finished { expires: None }, "status remembers");
    let accepted = condition(&done.status.as_ref().unwrap().job.conditions, ConditionType::RequestAccepted).unwrap();
    assert_eq!((accepted.status.as_str(), accepted.reason.as_str()), ("True", "RequestDone"));

    let again = annotated(done, &[(RETRY, TUESDAY)]);
    let plan = planned(&again, &seen(vec![full(), retry()]), 100);
    assert!(matches!(plan, Plan::Start(Start { number: RunNumber::Retry(2), .. })), "a new value is a new request");
}

#[test]
fn what_waits_for_a_person_can_be_given_up() {
    let full = || ended(&report("handbook-r1", 3, [0, 0, 2]));
    let asked = annotated(told(job(json!({})), vec![full()], 61), &[(ARCHIVE, MONDAY)]);
    let Plan::Start(start) = planned(&asked, &seen(vec![full()]), 70) else { panic!("not started") };
    assert!(matches!(start.how, Launch::Create(Take::GiveUp(_, failed_before)) if failed_before == at(70)));
    assert_eq!(request::read(Wish::Archive, &start.request.unwrap().annotations).unwrap().unwrap().value, MONDAY);
}

#[rstest]
#[case::the_same_key("old", Plan::Finished { expires: None })]
#[case::another_key("new", Plan::Start(Start {
    number: RunNumber::Full(2), how: Launch::Create(Take::Everything), request: None,
}))]
fn a_job_that_failed_for_its_key_comes_back_with_another_one(#[case] now_named: &str, #[case] expected: Plan) {
    let refused = error_report("handbook-r1", FailureCategory::Authentication, "CredentialsRefused", "401");
    let mut child = kube_job("handbook-r1", 1, false, failed("PodFailurePolicy", ""));
    child.metadata.annotations.get_or_insert_default().insert(REFERENCES.to_owned(), "old".to_owned());
    let message = refused.to_termination_message().unwrap();
    let failed = || run(&child, &[crashed("handbook-r1", 77, "Error", &message)]);
    let over = told(job(json!({})), vec![failed()], 61);
    assert_eq!(planned(&over, &seen(vec![failed()]), 70), Plan::Finished { expires: None }, "not looked at yet");
    let seen = Observation { references: Some(now_named.to_owned()), ..seen(vec![failed()]) };
    assert_eq!(planned(&over, &seen, 70), expected);
}

/// The message that the job owes.
fn pending(job: &IngestionJob) -> Option<CloudEvent> {
    notice::pending(&notice::subject("IngestionJob", job), &notification::story(job)?)
}

/// One pass over `job`, as the controller makes it where there is a webhook.
fn notified(job: &mut IngestionJob, runs: Vec<Run>, delivery: Option<Delivery>, now: i64) -> JobStatus {
    let seen = seen(runs);
    let plan = planned(job, &seen, now);
    let posted = pending(job).map(|event| event.id).zip(delivery);
    let mut status = project(job, &seen, &plan, None, at(now));
    notification::tell(&mut status.job, job, &seen, &plan, posted.as_ref(), at(now));
    job.status = Some(status.clone());
    status.job
}

fn reason(status: &JobStatus) -> Option<&str> {
    condition(&status.conditions, ConditionType::Notified).map(|condition| condition.reason.as_str())
}

#[test]
fn a_run_that_leaves_something_to_a_person_is_told_once() {
    let mut handbook = job(json!({}));
    let full = || ended(&report("handbook-r1", 3, [1, 0, 2]));
    let failing = Delivery::Failing { message: "the receiver answered 500".to_owned(), next: at(63) };
    let under_way = || Some(Delivery::UnderWay { look: Timestamp::MAX });

    assert_eq!(reason(&notified(&mut handbook, vec![full()], None, 61)), Some("WebhookPending"));
    let event = serde_json::to_value(pending(&handbook).unwrap()).unwrap();
    assert_eq!(event["id"], "11111111-2222-3333-4444-555555555555.handbook-r1");
    assert_eq!((&event["data"]["notified"], &event["data"]["retrying"]), (&json!(2), &json!(1)));
    assert_eq!(reason(&notified(&mut handbook, vec![full()], Some(failing), 62)), Some("WebhookFailing"));
    assert_eq!(reason(&notified(&mut handbook, vec![full()], under_way(), 63)), Some("WebhookFailing"), "still true");
    let delivered = notified(&mut handbook, vec![full()], Some(Delivery::Delivered { at: at(64) }), 64);
    assert_eq!(reason(&delivered), Some("WebhookDelivered"));
    assert_eq!(delivered.dead_letters.unwrap().notification.unwrap().delivered_time.unwrap().0, at(64));

    // the retry that follows leaves nothing new to a person
    let retry = || {
        let report = report("handbook-retry1", 1, [0, 0, 0]);
        run(&kube_job("handbook-retry1", 130, false, complete(140)), &[finished(&report)])
    };
    notified(&mut handbook, vec![full(), retry()], None, 141);
    assert_eq!(pending(&handbook), None);
}

#[test]
fn a_job_that_fails_as_a_whole_is_told_and_an_old_end_is_not() {
    let refused = error_report("handbook-r1", FailureCategory::Authentication, "CredentialsRefused", "401");
    let failed = || failed_run(1, Some(&refused));
    let mut handbook = job(json!({}));
    assert_eq!(reason(&notified(&mut handbook, vec![failed()], None, 61)), Some("WebhookPending"));
    let mut old = told(job(json!({})), vec![failed()], 61);
    assert_eq!(reason(&notified(&mut old, vec![failed()], None, 70)), None);
}
