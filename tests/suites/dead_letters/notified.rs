//! What a person hears of, and what they do about it.

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::Secret;
use kube::api::{Patch, PatchParams};
use lexigram_api::resource::{ConditionType, State};
use lexigram_fault_provider::{FaultProvider, Script};
use lexigram_tests::{Answer, FaultServer, address, condition_of, fixture};
use serde_json::{Value, json};

use crate::{dead_letters, documents, hurry, policy, runs};

#[test]
fn a_bad_key_is_told_once_though_the_webhook_fails_and_a_good_one_is_noticed() {
    let mut values = hurry();
    values["webhook"] = json!({"secretName": "on-call", "timeoutSeconds": 1});
    // the release comes second, since its operator reads the Secret that tells where the receiver is
    lexigram_tests::bare(async |it| {
        let receiver = FaultServer::start(&it.client).await;
        let hook = receiver.serve("/hook", [Answer::Status(500), Answer::Never, Answer::Status(500)]);
        it.secret("on-call", &json!({"url": hook, "authorization": "Bearer pager"})).await;
        it.release(&values);
        let script =
            Script { require: [("authorization".to_owned(), "Bearer right".to_owned())].into(), ..Script::default() };
        let server = FaultProvider::start(address(&it.client).await, script).await.unwrap();
        it.secret("key", &json!({"api-key": "wrong"})).await;
        let texts: Value = (0..50).map(|n| json!({"text": format!("text number {n}")})).collect();
        let spec = json!({
            "input": {"texts": texts},
            "embedding": {"openAI": {
                "url": server.url(), "model": "stand-in", "dimensions": 8, "apiKeySecretRef": {"name": "key", "key": "api-key"},
            }},
        });
        it.batches().apply("texts", spec).await;
        let batch = it.batches().until_true("texts", ConditionType::Stalled).await;
        assert!(batch.status.unwrap().job.state.is_some_and(|state| state == State::Failed || state == State::Stalled));
        let batches = it.batches();
        let failing = batches.until("texts", "says that the webhook fails", |batch| {
            let condition = condition_of(batch, ConditionType::Notified)?;
            (condition.reason == "WebhookFailing").then(|| condition.message.clone())
        });
        let failing = failing.await;
        assert!(
            failing.contains("the receiver answered 500") || failing.contains("did not answer in time"),
            "{failing}"
        );
        // nobody else waits for it
        it.ingest("other", json!({"source": {"inline": [{"name": "a.txt", "text": "Hello."}]}})).await;
        it.until_true("other", ConditionType::Complete).await;

        receiver.serve("/hook", [Answer::Status(204)]);
        let told = it.batches().until_true("texts", ConditionType::Notified).await;
        assert!(dead_letters(&told).notification.unwrap().delivered_time.is_some());
        let events: Vec<Value> =
            receiver.received("/hook").iter().map(|body| serde_json::from_str(body).unwrap()).collect();
        let ids: BTreeSet<_> = events.iter().map(|event| event["id"].as_str().unwrap()).collect();
        assert!(events.len() >= 3 && ids.len() == 1, "one message, sent until it was taken: {events:?}");
        let event = events.last().unwrap();
        assert_eq!((&event["specversion"], &event["data"]["name"]), (&json!("1.0"), &json!("texts")), "{event}");

        let asked = server.counts().requests;
        let good = Patch::Merge(json!({"stringData": {"api-key": "right"}}));
        it.api::<Secret>().patch("key", &PatchParams::default(), &good).await.unwrap();
        let batch = it.batches().until_true("texts", ConditionType::Complete).await;
        let texts = batch.status.unwrap().texts.unwrap();
        assert_eq!((texts.total, texts.done, texts.failed), (50, 50, 0), "{texts:?}");
        assert!(asked <= 2, "{asked} requests with a key that had been refused");
    });
}

#[test]
fn a_webhook_that_is_down_holds_no_sweep_up_and_is_told_once_it_is_back() {
    let mut values = hurry();
    values["webhook"] = json!({"secretName": "on-call", "timeoutSeconds": 1});
    lexigram_tests::bare(async |it| {
        let mut receiver = FaultServer::down(&it.client).await;
        let hook = receiver.serve("/hook", [Answer::Status(204)]);
        it.secret("on-call", &json!({"url": hook})).await;
        it.release(&values);
        let server = FaultServer::start(&it.client).await;
        let (down, text) = (|| Answer::Status(503), Answer::Text("Herons wait for hours.".to_owned()));
        let urls = [
            server.serve("/corrupt.pdf", [Answer::File(fixture("bad/truncated.pdf"))]),
            server.serve("/flaky.txt", [down(), down(), text]),
        ];
        let mut policy = policy(5);
        policy["actions"] = json!([{"category": "InvalidInput", "action": "Notify"}]);
        it.ingest("docs", json!({"source": {"http": {"urls": urls}}, "failurePolicy": policy})).await;

        let job = it.until_state("docs", State::Stalled, "DeadLettersNotified").await;
        assert_eq!(documents(&job), [2, 1, 1], "what was due has been tried again");
        assert_eq!(runs(it).await.into_iter().collect::<Vec<_>>(), ["docs-r1", "docs-retry1", "docs-retry2"]);
        let failing = it.until_job("docs", "says that the webhook fails", |job| {
            let condition = condition_of(job, ConditionType::Notified)?;
            (condition.reason == "WebhookFailing").then(|| (condition.message.clone(), dead_letters(job)))
        });
        let (message, dead) = failing.await;
        assert!(message.contains("the receiver cannot be reached"), "{message}");
        let owed = dead.notification.unwrap();
        assert_eq!(owed.delivered_time, None);

        receiver.listen();
        let told = it.until_true("docs", ConditionType::Notified).await;
        let delivered = dead_letters(&told).notification.unwrap();
        assert_eq!((&delivered.id, delivered.delivered_time.is_some()), (&owed.id, true));
        let received = receiver.received("/hook");
        let events: Vec<Value> = received.iter().map(|body| serde_json::from_str(body).unwrap()).collect();
        assert!(!events.is_empty() && events.iter().all(|event| event["id"] == *owed.id), "{events:?}");
        assert_eq!(events[0]["data"]["notified"], 1, "{events:?}");
    });
}
