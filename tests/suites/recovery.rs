//! What breaks on the way: workers and operators that die, things that are missing, servers that fail.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a panic is how a test fails")]

use k8s_openapi::api::core::v1::Pod;
use kube::runtime::watcher::Config;
use lexigram_api::{
    failure::{FailureAction, FailureCategory},
    resource::{ConditionType, IngestionJob, State},
};
use lexigram_tests::{Answer, FaultServer, OPERATORS, Sandbox, WORKERS, condition_of, corpus, sandbox, until};
use serde_json::{Value, json};

/// Documents that take a worker a while: some ten seconds, where it has the processor to itself.
async fn long_work(it: &Sandbox) -> Value {
    it.config_map("long", corpus::documents(90, 400)).await;
    json!({"source": {"configMap": {"name": "long"}}, "collection": "long"})
}

/// A later job over the same documents finds each of them in the store, unchanged.
async fn assert_nothing_lost(it: &Sandbox, job: &IngestionJob) {
    let documents = job.status.as_ref().unwrap().documents.clone().unwrap();
    assert_eq!((documents.total, documents.done + documents.skipped, documents.failed), (90, 90, 0), "{documents:?}");
    it.assert_whole("long", 90).await;
    it.ingest("again", json!({"source": {"configMap": {"name": "long"}}, "collection": "long"})).await;
    let again = it.until_true("again", ConditionType::Complete).await.status.unwrap();
    let documents = again.documents.unwrap();
    assert_eq!((documents.total, documents.skipped, again.chunks_created), (90, 90, Some(0)), "{documents:?}");
}

#[test]
fn a_killed_worker_loses_and_doubles_nothing() {
    sandbox(json!({}), async |it| {
        let long = long_work(it).await;
        it.ingest("long", long).await;
        it.until_midway("long").await;
        it.kill(WORKERS).await;
        let job = it.until_true("long", ConditionType::Complete).await;
        assert_nothing_lost(it, &job).await;
    });
}

#[test]
fn an_operator_that_dies_is_not_missed() {
    sandbox(json!({}), async |it| {
        let long = long_work(it).await;
        it.ingest("long", long).await;
        let midway = it.until_midway("long").await.status.unwrap();
        it.kill(OPERATORS).await;
        let job = it.until_true("long", ConditionType::Complete).await;
        let status = job.status.as_ref().unwrap();
        assert_eq!(status.job.start_time, midway.job.start_time, "the job was started anew");
        assert_nothing_lost(it, &job).await;
    });
}

#[test]
fn a_missing_config_map_is_named_and_waited_for() {
    sandbox(json!({}), async |it| {
        it.ingest("docs", json!({"source": {"configMap": {"name": "not-yet"}}})).await;
        let job = it.until_state("docs", State::Stalled, "ConfigMapNotFound").await;
        let stalled = condition_of(&job, ConditionType::Stalled).unwrap();
        assert_eq!(stalled.status, "True");
        assert!(
            stalled.message.contains("spec.source.configMap.name: there is no ConfigMap 'not-yet'"),
            "{}",
            stalled.message
        );
        it.config_map("not-yet", [("a.txt".to_owned(), b"Here it is.".to_vec())]).await;
        it.until_true("docs", ConditionType::Complete).await;
    });
}

#[test]
fn a_missing_secret_is_named_and_waited_for() {
    sandbox(json!({}), async |it| {
        let server = FaultServer::start(&it.client).await;
        let answer = Answer::TextFor("Bearer right".to_owned(), "The vault opens at seven.".to_owned());
        let url = server.serve("/vault.txt", [answer]);
        it.ingest("vault", json!({"source": {"http": {"urls": [url], "headersSecretRef": {"name": "token"}}}})).await;
        let job = it.until_state("vault", State::Stalled, "SecretNotFound").await;
        let message = &condition_of(&job, ConditionType::Stalled).unwrap().message;
        assert!(message.contains("spec.source.http.headersSecretRef.name: there is no Secret 'token'"), "{message}");
        it.secret("token", &json!({"Authorization": "Bearer right"})).await;
        it.until_true("vault", ConditionType::Complete).await;
        assert_eq!(it.search("vault", "when is the safe unlocked", 1).await[0].document, url);
    });
}

#[test]
fn refused_credentials_stall_the_job_and_say_what_to_check() {
    sandbox(json!({}), async |it| {
        let server = FaultServer::start(&it.client).await;
        let urls: Vec<_> = (0..3)
            .map(|number| {
                server.serve(&format!("/{number}.txt"), [Answer::TextFor("Bearer right".to_owned(), "x".to_owned())])
            })
            .collect();
        it.ingest("vault", json!({"source": {"http": {"urls": urls}}})).await;
        let job = it.until_true("vault", ConditionType::Stalled).await;
        assert_eq!(condition_of(&job, ConditionType::Stalled).unwrap().reason, "DeadLettersNotified");
        let failures = &job.status.as_ref().unwrap().job.dead_letters.as_ref().unwrap().recent;
        assert!(!failures.is_empty());
        for failure in failures {
            assert_eq!((failure.category, failure.action), (FailureCategory::Authentication, FailureAction::Notify));
            assert!(failure.message.contains("check spec.source.http.headersSecretRef"), "{failure:?}");
        }
    });
}

#[test]
fn a_server_that_fails_for_a_while_is_asked_again() {
    sandbox(json!({"ai_workers": {"dlq_check_interval": 5}}), async |it| {
        let server = FaultServer::start(&it.client).await;
        let good = server.serve("/good.txt", [Answer::Text("Otters hold hands while they sleep.".to_owned())]);
        let late = Answer::Text("Volcanoes build islands.".to_owned());
        let flaky = server.serve("/flaky.txt", [Answer::Status(503), Answer::Status(500), late]);
        let gone = server.serve("/gone.txt", [Answer::Status(404)]);
        // long enough for the first wait to be seen before the second attempt is made
        let policy = json!({"backoffBaseSeconds": 20, "backoffCapSeconds": 20});
        it.ingest("web", json!({"source": {"http": {"urls": [good, flaky, gone]}}, "failurePolicy": policy})).await;
        let pending = it.until_state("web", State::Recovering, "RetryPending").await.status.unwrap();
        assert!(pending.job.dead_letters.as_ref().unwrap().next_retry_time.is_some());
        let failure =
            pending.job.dead_letters.as_ref().unwrap().recent.iter().find(|failure| failure.id == flaky).unwrap();
        assert_eq!((failure.category, failure.attempts), (FailureCategory::Transient, 1));
        assert!(failure.message.contains("HTTP 503"), "{failure:?}");

        let job = it.until_true("web", ConditionType::Complete).await;
        assert_eq!(condition_of(&job, ConditionType::Complete).unwrap().reason, "CompletedWithFailures");
        let status = job.status.unwrap();
        let documents = status.documents.unwrap();
        assert_eq!((documents.total, documents.done, documents.failed), (3, 2, 1), "{documents:?}");
        let failed: Vec<_> =
            status.job.dead_letters.as_ref().unwrap().recent.iter().map(|failure| &failure.id).collect();
        assert_eq!(failed, [&gone]);
        assert_eq!(it.search("web", "how land rises from the sea", 1).await[0].document, flaky);
    });
}

#[test]
fn an_image_that_cannot_be_pulled_is_named_and_a_good_one_helps() {
    sandbox(json!({"worker": {"image": {"tag": "not-there"}}}), async |it| {
        it.ingest("docs", json!({"source": {"inline": [{"name": "a.txt", "text": "Hello."}]}})).await;
        let job = it.until_state("docs", State::Stalled, "ImagePullFailed").await;
        let message = &condition_of(&job, ConditionType::Stalled).unwrap().message;
        assert!(message.contains(":not-there cannot be pulled"), "{message}");
        // what a user does about it: delete the job, correct the image, create the job again
        it.api::<IngestionJob>().delete("docs", &Default::default()).await.unwrap();
        it.until_gone("docs").await;
        it.release(&json!({}));
        let operators = Config::default().labels(OPERATORS);
        until(it.api::<Pod>(), operators, "only the new operator is there", |pods: &[&Pod]| {
            let corrected = |pod: &&Pod| !serde_json::to_string(&pod.spec).unwrap().contains(":not-there");
            (!pods.is_empty() && pods.iter().all(corrected)).then_some(())
        })
        .await;
        it.until_no_workers().await;
        it.ingest("docs", json!({"source": {"inline": [{"name": "a.txt", "text": "Hello."}]}})).await;
        it.until_true("docs", ConditionType::Complete).await;
    });
}

#[test]
fn a_worker_that_no_node_takes_says_so() {
    sandbox(json!({}), async |it| {
        let spec = json!({
            "source": {"inline": [{"name": "a.txt", "text": "Hello."}]},
            "worker": {"nodeSelector": {"example.com/disk": "none-has-this"}},
        });
        it.ingest("docs", spec).await;
        let job = it.until_state("docs", State::Starting, "Unschedulable").await;
        let message = &condition_of(&job, ConditionType::Reconciling).unwrap().message;
        assert!(message.contains("no node takes the worker"), "{message}");
    });
}

#[test]
fn a_worker_without_enough_memory_is_named() {
    sandbox(json!({}), async |it| {
        let spec = json!({
            "source": {"inline": [{"name": "a.txt", "text": "Hello."}]},
            "worker": {"resources": {"requests": {"memory": "16Mi"}, "limits": {"memory": "16Mi"}}},
        });
        it.ingest("docs", spec).await;
        let said = it.until_job("docs", "names the lack of memory", |job| {
            let condition = condition_of(job, ConditionType::Complete)?;
            (condition.reason == "OOMKilled").then(|| condition.message.clone())
        });
        let said = said.await;
        assert!(said.contains("raise spec.worker.resources.limits.memory"), "{said}");
    });
}
