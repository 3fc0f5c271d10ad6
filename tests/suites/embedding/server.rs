//! An embedding server that fails as told: what becomes of the texts.

use k8s_openapi::api::batch::v1::Job;
use lexigram_api::{
    failure::FailureCategory,
    resource::{ConditionType, EmbeddingBatch, State},
};
use lexigram_fault_provider::{Fault, FaultProvider, POISON, Script};
use lexigram_tests::{Postgres, address, condition_of, sandbox};
use serde_json::{Value, json};

use crate::{counts, many, provider, reason, texts};

#[test]
fn in_a_storm_of_429_every_text_lands_and_no_attempt_is_lost() {
    sandbox(json!({}), async |it| {
        let slow_down = Fault::slow_down([("retry-after", "1")]);
        let script = Script { storm: Some(slow_down), ..Script::default() };
        let server = FaultProvider::start(address(&it.client).await, script).await.unwrap();
        let embedding = provider(&server, json!({"maxItemsPerRequest": 50, "maxConcurrentRequests": 2}));
        it.batches().apply("storm", json!({"input": {"texts": many(1000)}, "embedding": embedding})).await;
        let limited = |batch: &EmbeddingBatch| {
            let condition = condition_of(batch, ConditionType::Complete)?;
            (condition.reason == "RateLimited").then(|| condition.message.clone())
        };
        let message = it.batches().until("storm", "is rate limited", limited).await;
        assert!(message.contains("asked again at 20"), "{message}");
        let batch = it.batches().until_true("storm", ConditionType::Complete).await;
        assert_eq!((counts(&batch), reason(&batch)), (texts(1000, 1000, 0, 0), "Completed"));
        assert_eq!(batch.status.unwrap().job.dead_letters.unwrap_or_default().recent, vec![]);
        let asked = server.counts();
        assert_eq!(asked.answered_texts, 1000, "{asked:?}");
        assert!(asked.statuses[&429] > 0, "{asked:?}");
    });
}

#[test]
fn a_bad_key_stops_the_batch_at_once() {
    sandbox(json!({}), async |it| {
        let script = Script::always(Fault::coded(401, "invalid_api_key"));
        let server = FaultProvider::start(address(&it.client).await, script).await.unwrap();
        let embedding = provider(&server, json!({"apiKeySecretRef": {"name": "key"}, "maxConcurrentRequests": 1}));
        it.batches().apply("refused", json!({"input": {"texts": many(1000)}, "embedding": embedding})).await;
        let missing = it.batches().until_state("refused", State::Stalled, "SecretNotFound").await;
        let message = &condition_of(&missing, ConditionType::Stalled).unwrap().message;
        assert!(
            message.starts_with("spec.embedding.openAI.apiKeySecretRef.name: there is no Secret 'key'"),
            "{message}"
        );

        it.secret("key", &json!({"apiKey": "wrong"})).await;
        let batch = it.batches().until_true("refused", ConditionType::Failed).await;
        assert_eq!(condition_of(&batch, ConditionType::Stalled).unwrap().status, "True");
        let message = &condition_of(&batch, ConditionType::Failed).unwrap().message;
        assert!(message.contains("spec.embedding.openAI.apiKeySecretRef"), "{message}");
        assert!(!message.contains("wrong"), "the key is in the message: {message}");
        assert_eq!(server.counts().requests, 1);
    });
}

#[test]
fn a_poisoned_text_fails_alone() {
    sandbox(json!({}), async |it| {
        let server = FaultProvider::start(address(&it.client).await, Script::default()).await.unwrap();
        let mut texts_in = many(64);
        texts_in[17]["text"] = json!(format!("bad {POISON}"));
        it.batches()
            .apply("poison", json!({"input": {"texts": texts_in}, "embedding": provider(&server, json!({}))}))
            .await;
        let batch = it.batches().until_true("poison", ConditionType::Complete).await;
        assert_eq!((counts(&batch), reason(&batch)), (texts(64, 63, 1, 0), "CompletedWithFailures"));
        let failure = &batch.status.as_ref().unwrap().job.dead_letters.as_ref().unwrap().recent[0];
        assert_eq!((failure.category, failure.attempts), (FailureCategory::InvalidInput, 1));
        assert!(failure.id.contains("t-17"), "{failure:?}");
    });
}

#[test]
fn two_workers_keep_to_one_limit_together() {
    sandbox(json!({}), async |it| {
        Postgres::start(it).await;
        // more than is asked of them, and less than both would take if each took all of it
        let script = Script { requests_per_minute: Some(24), ..Script::default() };
        let server = FaultProvider::start(address(&it.client).await, script).await.unwrap();
        let embedding = provider(&server, json!({"requestsPerMinute": 20, "maxItemsPerRequest": 1}));
        let documents: Vec<Value> = (0..32)
            .map(|number| json!({"name": format!("{number}.txt"), "text": format!("Rule number {number}.")}))
            .collect();
        let spec = json!({
            "source": {"inline": documents}, "store": Postgres::store(), "parallelism": 2, "embedding": embedding,
        });
        it.ingest("rules", spec).await;
        let job = it.until_true("rules", ConditionType::Complete).await;
        assert_eq!(job.status.unwrap().documents.unwrap().done, 32);
        assert_eq!(
            it.api::<Job>().get("rules-r1").await.unwrap().status.unwrap().completed_indexes.as_deref(),
            Some("0,1")
        );
        let asked = server.counts();
        assert_eq!((asked.answered_texts, asked.statuses.get(&429)), (32, None), "{asked:?}");
    });
}
