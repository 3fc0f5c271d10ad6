//! What a person hears of, and what they do about it.

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::Secret;
use kube::api::{Patch, PatchParams};
use lexigram_api::resource::{ConditionType, State};
use lexigram_fault_provider::{FaultProvider, Script};
use lexigram_tests::{Answer, FaultServer, address, condition_of};
use serde_json::{Value, json};

use crate::{dead_letters, hurry};

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
