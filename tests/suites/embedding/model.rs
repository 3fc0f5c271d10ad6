//! Models: from a ConfigMap, from a claim, and one in the place of another.

use std::{collections::BTreeSet, fs};

use lexigram_api::resource::ConditionType;
use lexigram_fault_provider::{Fault, FaultProvider, Script};
use lexigram_tests::{Model, address, condition_of, sandbox, tiny_model};
use serde_json::{Value, json};

use crate::{many, provider, reason};

/// Least similarity of a text and itself.
const SAME: f64 = 0.999;

#[test]
fn a_model_from_a_config_map_is_the_same_from_a_claim_and_no_other() {
    sandbox(json!({}), async |it| {
        it.config_map("tiny", tiny_model::files()).await;
        let of_map = json!({"embedded": {"model": "tiny", "configMap": {"name": "tiny"}}});
        let rows = json!([{"id": "kettle", "text": "The kettle boils in a minute."}, {"id": "lid", "text": "The lid broke off."}]);
        let spec = json!({"input": {"texts": rows}, "embedding": of_map, "output": {"collection": "shared"}});
        it.batches().apply("texts", spec).await;
        it.batches().until_true("texts", ConditionType::Complete).await;

        let folder = tempfile::tempdir().unwrap();
        let model = folder.path().join("tiny");
        for (name, content) in tiny_model::files() {
            // with slashes, as sentence-transformers has it
            let path = model.join(name.replace("1_Pooling_", "1_Pooling/"));
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }
        it.fill_claim("models", &model).await;
        let of_claim =
            json!({"embedded": {"model": "tiny", "persistentVolumeClaim": {"claimName": "models", "path": "tiny"}}});
        let document = json!({"source": {"inline": [{"name": "frost.txt", "text": "Frost breaks pots."}]}, "collection": "shared"});
        let with = |embedding: Value| {
            let mut spec = document.clone();
            spec["embedding"] = embedding;
            spec
        };
        it.ingest("frost", with(of_claim)).await;
        it.until_true("frost", ConditionType::Complete).await;

        let map = Model::Volume { path: "/models/tiny".to_owned(), source: json!({"configMap": {"name": "tiny"}}) };
        let claim = Model::Volume {
            path: "/models".to_owned(),
            source: json!({"persistentVolumeClaim": {"claimName": "models"}}),
        };
        for (model, document, text) in [(map, "frost.txt", "Frost breaks pots."), (claim, "lid", "The lid broke off.")]
        {
            let hits = it.search_by(&model, "shared", text, 9).await;
            assert_eq!((hits.len(), hits[0].document.as_str()), (3, document), "{hits:?}");
            assert!(hits[0].score > SAME && hits[1].score < SAME, "{hits:?}");
        }

        it.ingest("other", with(json!({"embedded": {}}))).await;
        let other = it.until_true("other", ConditionType::Failed).await;
        let message = &condition_of(&other, ConditionType::Failed).unwrap().message;
        for part in ["tiny@", "all-MiniLM-L6-v2@", "spec.collection", "onModelChange"] {
            assert!(message.contains(part), "{part} in {message}");
        }
    });
}

#[test]
fn until_a_rebuild_is_through_searches_see_the_old_vectors_and_then_the_new_ones() {
    sandbox(json!({}), async |it| {
        let mut rows = many(98);
        rows.as_array_mut().unwrap().push(json!({"id": "kettle", "text": "The kettle boils in a minute."}));
        it.batches().apply("texts", json!({"input": {"texts": rows}})).await;
        it.batches().until_true("texts", ConditionType::Complete).await;

        // one request is answered, and then none until the server is told otherwise
        let stuck = Script { requests: vec![Fault::None], ..Script::always(Fault::slow_down([("retry-after", "1")])) };
        let server = FaultProvider::start(address(&it.client).await, stuck).await.unwrap();
        let mut embedding = provider(&server, json!({"maxItemsPerRequest": 30, "maxConcurrentRequests": 1}));
        embedding["onModelChange"] = "Rebuild".into();
        let one_more = json!({"texts": [{"id": "lid", "text": "The lid broke off."}]});
        let spec = json!({"input": one_more, "embedding": embedding, "output": {"collection": "texts"}});
        it.batches().apply("rebuild", spec).await;
        it.batches().until_reason("rebuild", ConditionType::Complete, "RateLimited").await;
        assert_eq!(server.counts().answered_texts, 30);
        assert_eq!(it.search("texts", "hot water soon", 1).await[0].document, "kettle");

        server.play(Script::default());
        let batch = it.batches().until_true("rebuild", ConditionType::Complete).await;
        assert_eq!(reason(&batch), "Completed");
        let new = Model::Server { url: server.url() };
        let hits = it.search_by(&new, "texts", "text number 7", 100).await;
        assert_eq!(hits[0].document, "t-7", "{hits:?}");
        assert!(hits[0].score > SAME && hits[1].score < SAME, "{hits:?}");
        let found: BTreeSet<_> = hits.iter().map(|hit| &hit.document).collect();
        assert_eq!(found.len(), 100);
    });
}
