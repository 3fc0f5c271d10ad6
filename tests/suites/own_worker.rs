//! A worker that somebody else wrote, in Python: examples/own-worker does the work of a job.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a panic is how a test fails")]

use k8s_openapi::api::{batch::v1::Job, core::v1::Pod};
use kube::{ResourceExt, api::ListParams};
use lexigram_api::{
    failure::{FailureAction, FailureCategory},
    resource::{ConditionType, IngestionJob, State},
};
use lexigram_tests::{WORKERS, condition_of, image, sandbox};
use serde_json::{Value, json};

/// Texts that keep the worker busy for ten seconds, one of which fails at first.
fn documents() -> Vec<Value> {
    let text = |number| if number == 7 { "These words fail once." } else { "These three words." };
    (0..50).map(|number| json!({"name": format!("{number:02}.txt"), "text": text(number)})).collect()
}

fn spec(documents: &[Value], worker: Value) -> Value {
    json!({
        "source": {"inline": documents},
        "failurePolicy": {"backoffBaseSeconds": 1},
        "worker": worker,
    })
}

#[test]
fn a_worker_of_ones_own_shows_progress_and_what_it_fails_is_retried() {
    sandbox(json!({"ai_workers": {"dlq_check_interval": 5}}), async |it| {
        it.ingest("own", spec(&documents(), json!({"image": image("LEXIGRAM_OWN_WORKER_IMAGE")}))).await;
        let job = it.until_midway("own").await;
        let status = job.status.as_ref().unwrap();
        assert_eq!(status.documents.as_ref().unwrap().total, 50);
        assert!(status.job.last_heartbeat_time.is_some());

        let dead = it
            .until_job("own", "waits for the retry", |job: &IngestionJob| {
                let status = &job.status.as_ref()?.job;
                let dead = status.dead_letters.as_ref()?;
                (dead.summary == "1 retrying" && !dead.recent.is_empty()).then(|| dead.recent[0].clone())
            })
            .await;
        assert_eq!(
            (dead.id.as_str(), dead.category, dead.action),
            ("07.txt", FailureCategory::Transient, FailureAction::Retry)
        );
        assert_eq!(dead.reason, "NotYet");

        let job = it.until_true("own", ConditionType::Complete).await;
        assert_eq!(condition_of(&job, ConditionType::Complete).unwrap().reason, "Completed");
        let status = job.status.unwrap();
        let documents = status.documents.unwrap();
        assert_eq!((documents.total, documents.done, documents.failed), (50, 50, 0));
        assert_eq!(status.job.tokens, Some(49 * 3 + 4));
        assert_eq!(status.job.dead_letters.unwrap().summary, "0");
        let runs = it.api::<Job>().list(&ListParams::default()).await.unwrap();
        let mut runs: Vec<_> = runs.iter().map(ResourceExt::name_any).collect();
        runs.sort();
        assert_eq!(runs, ["own-r1", "own-retry1"]);
    });
}

#[test]
fn a_worker_of_ones_own_is_confined_like_any_other_and_stops_when_it_is_told_to() {
    sandbox(json!({}), async |it| {
        it.ingest("own", spec(&documents(), json!({"image": image("LEXIGRAM_OWN_WORKER_IMAGE")}))).await;
        it.until_midway("own").await;
        let pods = it.api::<Pod>().list(&ListParams::default().labels(WORKERS)).await.unwrap();
        let pod = pods.items[0].spec.as_ref().unwrap();
        assert_eq!(pod.automount_service_account_token, Some(false));
        assert_eq!(pod.security_context.as_ref().unwrap().run_as_non_root, Some(true));
        let container = pod.containers[0].security_context.as_ref().unwrap();
        assert_eq!(container.read_only_root_filesystem, Some(true));

        it.change("own", json!({"suspend": true})).await;
        it.until_true("own", ConditionType::Suspended).await;
        it.until_no_workers().await;
        it.change("own", json!({"suspend": false})).await;
        it.until_job("own", "has skipped what was done before", |job: &IngestionJob| {
            let status = job.status.as_ref()?;
            (status.documents.as_ref()?.skipped > 0).then_some(())
        })
        .await;
    });
}

#[test]
fn work_that_it_does_not_know_is_refused_in_its_own_words() {
    sandbox(json!({}), async |it| {
        it.config_map("words", [("a.txt".to_owned(), b"a".to_vec())]).await;
        let worker = json!({"image": image("LEXIGRAM_OWN_WORKER_IMAGE")});
        it.ingest("own", json!({"source": {"configMap": {"name": "words"}}, "worker": worker})).await;
        let job = it.until_true("own", ConditionType::Failed).await;
        let failed = condition_of(&job, ConditionType::Failed).unwrap();
        assert_eq!(failed.reason, "WorkUnknown");
        assert!(failed.message.contains("this worker cannot do Ingest Directory Sqlite Full"), "{}", failed.message);
        assert_eq!(job.status.unwrap().job.state, Some(State::Failed));
    });
}

#[test]
fn a_worker_that_keeps_no_contract_fails_the_job_and_says_so() {
    sandbox(json!({}), async |it| {
        // it lists its options and leaves no report
        let worker = json!({"image": image("LEXIGRAM_OPERATOR_IMAGE")});
        it.ingest("stranger", json!({"source": {"inline": [{"name": "a.txt", "text": "a"}]}, "worker": worker})).await;
        let job = it.until_true("stranger", ConditionType::Failed).await;
        let failed = condition_of(&job, ConditionType::Failed).unwrap();
        assert_eq!(failed.reason, "WorkerFailed");
        assert!(failed.message.contains("the worker ended with exit code 2"), "{}", failed.message);
    });
}
