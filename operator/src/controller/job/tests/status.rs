//! What users see of what is planned.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use lexigram_api::resource::{ConditionType, IngestionJob, IngestionJobStatus, State, condition};
use rstest::rstest;
use serde_json::{Value, json};

use super::fixtures::*;
use crate::{
    config::AiWorkers,
    controller::{
        ControllerError,
        job::{
            kind::status_of,
            observe::Observation,
            plan::{Plan, plan},
            references::{Obstacle, Reference},
            status::{project, transitions},
        },
        pods,
        runs::Run,
    },
};

fn shown(job: &IngestionJob, seen: &Observation, now: i64) -> IngestionJobStatus {
    let plan = plan(job, seen, &AiWorkers::default(), at(now));
    project(job, seen, &plan, None, at(now))
}

/// The conditions that are True, and the reason of all.
fn told(status: &IngestionJobStatus) -> (Vec<&str>, &str) {
    let holds: Vec<&str> = status
        .job
        .conditions
        .iter()
        .filter(|condition| condition.status == "True")
        .map(|condition| condition.type_.as_str())
        .collect();
    (holds, status.job.conditions[0].reason.as_str())
}

fn complete_condition(status: &IngestionJobStatus) -> &Condition {
    condition(&status.job.conditions, ConditionType::Complete).unwrap()
}

fn at_work(pod_state: Value) -> Run {
    run(&kube_job("handbook-r1", 1, false, active()), &[pod("handbook-r1", 6, "Pending", pod_state)])
}

#[rstest]
#[case::new(json!({}), vec![], State::Starting, &["Reconciling"], "Started")]
#[case::suspended(json!({"suspend": true}), vec![], State::Suspended, &["Suspended"], "Suspended")]
#[case::starting(json!({}), vec![at_work(json!({"waiting": {"reason": "ContainerCreating"}}))], State::Starting, &["Reconciling"], "Running")]
#[case::image(json!({}), vec![at_work(json!({"waiting": {"reason": "ImagePullBackOff"}}))], State::Stalled, &["Stalled"], "ImagePullFailed")]
#[case::config(json!({}), vec![at_work(json!({"waiting": {"reason": "CreateContainerConfigError"}}))], State::Stalled, &["Stalled"], "CreateContainerFailed")]
#[case::killed(json!({}), vec![at_work(json!({"terminated": {"exitCode": 137, "reason": "OOMKilled"}}))], State::Starting, &["Reconciling"], "OOMKilled")]
#[case::interrupted(json!({}), vec![at_work(json!({"terminated": {"exitCode": 143}}))], State::Starting, &["Reconciling"], "WorkerInterrupted")]
#[case::retries(json!({}), vec![ended(&report("handbook-r1", 3, [1, 0, 0]))], State::Recovering, &["Reconciling"], "RetryPending")]
#[case::dead(json!({}), vec![ended(&report("handbook-r1", 3, [0, 0, 1]))], State::Stalled, &["Stalled"], "DeadLettersNotified")]
#[case::done(json!({}), vec![ended(&report("handbook-r1", 3, [0, 0, 0]))], State::Complete, &["Complete"], "Completed")]
#[case::done_with_failures(json!({}), vec![ended(&report("handbook-r1", 3, [0, 1, 0]))], State::Complete, &["Complete"], "CompletedWithFailures")]
fn conditions(
    #[case] spec: Value,
    #[case] runs: Vec<Run>,
    #[case] state: State,
    #[case] holds: &[&str],
    #[case] reason: &str,
) {
    let status = shown(&job(spec), &seen(runs), 70);
    assert_eq!(status.job.state, Some(state));
    assert_eq!(told(&status), (holds.to_vec(), reason));
    let types: Vec<&str> = status.job.conditions.iter().map(|condition| condition.type_.as_str()).collect();
    assert_eq!(types, ["Complete", "Failed", "Suspended", "Reconciling", "Stalled"]);
    assert!(status.job.conditions.iter().all(|condition| condition.observed_generation == Some(1)));
}

#[test]
fn a_missing_config_map_is_named_with_its_field_and_the_fix() {
    let missing = Reference::config_map("guides", "spec.source.configMap.name");
    let seen = Observation { obstacle: Some(Obstacle::Missing(missing)), ..Default::default() };
    let status = shown(&from_config_map(), &seen, 1);
    assert_eq!(told(&status), (vec!["Stalled"], "ConfigMapNotFound"));
    assert_eq!(
        complete_condition(&status).message,
        "spec.source.configMap.name: there is no ConfigMap 'guides' in this namespace; create it, and work starts by itself"
    );
}

#[test]
fn live_progress_is_shown_with_pace_and_heartbeat() {
    let mut run = run(&kube_job("handbook-r1", 1, false, active()), &[running("handbook-r1")]);
    run.progress = Some(progress("handbook-r1", 30, 120));
    let status = shown(&job(json!({})), &seen(vec![run]), 52);
    assert_eq!(status.job.state, Some(State::Running));
    assert_eq!(status.job.progress.as_deref(), Some("30/120"));
    assert_eq!(status.chunks_created, Some(8));
    assert_eq!(status.job.last_heartbeat_time.unwrap().0, at(50));
    assert_eq!(status.job.estimated_completion_time.unwrap().0, at(170), "40 s for 30 documents: 160 s for 120");
    assert_eq!(status.job.start_time.unwrap().0, at(5));
    assert_eq!(status.job.duration.as_deref(), Some("47s"));
    assert_eq!(status.collection.as_deref(), Some("handbook"));
}

#[test]
fn a_silent_worker_leaves_what_was_known() {
    let mut loud = run(&kube_job("handbook-r1", 1, false, active()), &[running("handbook-r1")]);
    let silent = loud.clone();
    loud.progress = Some(progress("handbook-r1", 30, 120));
    let mut job = job(json!({}));
    job.status = Some(shown(&job, &seen(vec![loud]), 52));
    let status = shown(&job, &seen(vec![silent]), 80);
    assert_eq!(status.job.state, Some(State::Running));
    assert_eq!(status.job.progress.as_deref(), Some("30/120"));
    assert_eq!(status.job.last_heartbeat_time.unwrap().0, at(50));
}

#[test]
fn time_alone_is_no_change() {
    let runs = || seen(vec![run(&kube_job("handbook-r1", 1, false, active()), &[running("handbook-r1")])]);
    let mut job = job(json!({}));
    job.status = Some(shown(&job, &runs(), 52));
    assert_eq!(Some(shown(&job, &runs(), 60)), job.status);
}

#[test]
fn the_end_is_recorded_once_and_follows_edits() {
    let mut job = job(json!({}));
    let runs = seen(vec![ended(&report("handbook-r1", 3, [0, 1, 0]))]);
    let status = shown(&job, &runs, 65);
    assert_eq!(status.job.progress.as_deref(), Some("4/4"));
    assert_eq!(status.documents.as_ref().map(|documents| (documents.done, documents.failed)), Some((3, 1)));
    assert_eq!(status.job.completion_time.as_ref().unwrap().0, at(65));
    assert_eq!(status.job.duration.as_deref(), Some("1m00s"));
    job.status = Some(status.clone());
    job.metadata.generation = Some(2);
    let edited = shown(&job, &seen(vec![]), 900);
    assert_eq!(edited.job.observed_generation, Some(2));
    assert!(edited.job.conditions.iter().all(|condition| condition.observed_generation == Some(2)));
    assert_eq!(edited.job.completion_time, status.job.completion_time);
    assert_eq!(told(&edited), (vec!["Complete"], "CompletedWithFailures"));
}

#[test]
fn a_refused_key_fails_and_stalls() {
    use lexigram_api::failure::FailureCategory::Authentication;
    let said = error_report("handbook-r1", Authentication, "CredentialsRefused", "401 from https://x")
        .to_termination_message()
        .unwrap();
    let failed = kube_job("handbook-r1", 1, false, failed("PodFailurePolicy", "exit code 77"));
    let status = shown(&job(json!({})), &seen(vec![run(&failed, &[crashed("handbook-r1", 77, "Error", &said)])]), 70);
    assert_eq!(status.job.state, Some(State::Failed));
    assert_eq!(told(&status), (vec!["Failed", "Stalled"], "CredentialsRefused"));
    assert_eq!(complete_condition(&status).message, "401 from https://x");
}

#[test]
fn a_step_that_fails_is_told() {
    let denied = kube::core::Status::failure("exceeded quota: small", "Forbidden").with_code(403);
    let error = ControllerError::from(kube::Error::Api(denied.boxed()));
    let job = job(json!({}));
    let plan = plan(&job, &seen(vec![]), &AiWorkers::default(), at(1));
    let status = project(&job, &seen(vec![]), &plan, Some(&error), at(1));
    assert_eq!(told(&status), (vec!["Reconciling"], "QuotaExceeded"));
    assert_eq!(complete_condition(&status).message, "the Kubernetes API: exceeded quota: small; it is tried again");
    assert!(transitions(status_of(&job), &status.job)[0].warning);
}

#[test]
fn positions_and_retry_times_go_with_their_plan() {
    let mut job = job(json!({}));
    let queued = project(&job, &seen(vec![]), &Plan::Queued { position: 2 }, None, at(1));
    assert_eq!((queued.job.state, queued.job.queue_position), (Some(State::Queued), Some(2)));
    job.status = Some(queued);
    let waiting = shown(&job, &seen(vec![ended(&report("handbook-r1", 3, [1, 0, 0]))]), 70);
    assert_eq!(waiting.job.queue_position, None);
    assert_eq!(waiting.job.dead_letters.as_ref().unwrap().next_retry_time.as_ref().unwrap().0, at(120));
    job.status = Some(waiting);
    assert_eq!(
        shown(&job, &seen(vec![ended(&report("handbook-r1", 4, [0, 0, 0]))]), 70)
            .job
            .dead_letters
            .unwrap()
            .next_retry_time,
        None
    );
}

#[test]
fn each_transition_is_one_event() {
    let mut job = job(json!({}));
    let mut tell = |runs: Vec<Run>, now| {
        let status = shown(&job, &seen(runs), now);
        let event = transitions(status_of(&job), &status.job).pop().map(|event| (event.reason, event.warning));
        job.status = Some(status);
        event
    };
    let at_work = || run(&kube_job("handbook-r1", 1, false, active()), &[running("handbook-r1")]);
    assert_eq!(tell(vec![], 1), Some(("Started".to_owned(), false)));
    assert_eq!(tell(vec![], 2), None);
    assert_eq!(tell(vec![at_work()], 6), None, "the start has been told");
    assert_eq!(
        tell(vec![ended(&report("handbook-r1", 3, [0, 1, 0]))], 61),
        Some(("CompletedWithFailures".to_owned(), true))
    );
    assert_eq!(tell(vec![], 62), None);
}

#[test]
fn an_unschedulable_worker_says_what_the_scheduler_says() {
    let mut pending = (*pod("handbook-r1", 6, "Pending", json!({}))).clone();
    let status = pending.status.as_mut().unwrap();
    status.container_statuses = None;
    status.conditions = Some(vec![serde_json::from_value(json!({
        "type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/1 nodes are available: 1 Insufficient memory.",
    })).unwrap()]);
    let workers = pods::survey(&[pending.into()], "");
    let pods::Worker::Waiting(Some(trouble)) = workers.current else { panic!("no trouble") };
    assert_eq!(trouble.reason, "Unschedulable");
    assert_eq!(trouble.message, "no node takes the worker: 0/1 nodes are available: 1 Insufficient memory.");
}

#[test]
fn an_evicted_worker_is_told_of_until_the_next_one_runs() {
    let mut evicted = (*pod("handbook-r1", 6, "Failed", json!({}))).clone();
    let status = evicted.status.as_mut().unwrap();
    status.container_statuses = None;
    status.reason = Some("Evicted".to_owned());
    status.message = Some("The node was low on resource: memory.".to_owned());
    let job = kube_job("handbook-r1", 1, false, active());
    let evicted = std::sync::Arc::new(evicted);
    let trouble = run(&job, std::slice::from_ref(&evicted)).trouble().unwrap();
    assert_eq!(trouble.reason, "Evicted");
    assert!(trouble.message.starts_with("the worker was evicted from its node: The node was low on resource: memory."));
    let next = pod("handbook-r1", 30, "Running", json!({"running": {}}));
    assert_eq!(run(&job, &[evicted, next]).trouble(), None);
}

#[test]
fn what_the_api_server_gives_back_is_no_change() {
    let mut report = report("handbook-r1", 3, [1, 0, 1]);
    let fraction = at(30).checked_add(jiff::SignedDuration::from_millis(501)).unwrap();
    report.dead_letters.oldest_failure_time = Some(fraction);
    report.next_retry_time = Some(fraction);
    let (mut object, seen) = (job(json!({})), Observation::of(vec![ended(&report)]));
    let told = shown(&object, &seen, 61);
    assert!(told.job.dead_letters.as_ref().unwrap().oldest_failure_time.is_some());
    let back: IngestionJobStatus = serde_json::from_str(&serde_json::to_string(&told).unwrap()).unwrap();
    assert_eq!(back, told);
    object.status = Some(back);
    assert_eq!(shown(&object, &seen, 66), told);
}
