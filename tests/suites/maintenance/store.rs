//! What tasks do to stores, beside runs that write them.

use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{Patch, PatchParams};
use lexigram_api::{contract::TaskResult, resource::ConditionType};
use lexigram_tests::{Postgres, corpus, sandbox};
use serde_json::json;

use crate::{on_demand, task};

#[test]
fn a_store_whose_documents_have_gone_shrinks() {
    sandbox(json!({}), async |it| {
        it.config_map("guides", corpus::documents(60, 400)).await;
        let spec = json!({"source": {"configMap": {"name": "guides"}}, "sync": "Mirror", "collection": "guides"});
        it.ingest("first", spec.clone()).await;
        it.until_true("first", ConditionType::Complete).await;
        let gone: serde_json::Map<_, _> = (3..60).map(|number| (corpus::name(number), json!(null))).collect();
        let patch = Patch::Merge(json!({"binaryData": gone}));
        it.api::<ConfigMap>().patch("guides", &PatchParams::default(), &patch).await.unwrap();
        it.ingest("second", spec).await;
        it.until_true("second", ConditionType::Complete).await;
        let tasks = json!([
            {"name": "index", "type": "IndexOptimization", "indexOptimization": {"maxFreePercent": 0}},
            {"name": "cache", "type": "CacheCleanup", "cacheCleanup": {"maxMebibytes": 0}},
            {"name": "health", "type": "HealthCheck", "healthCheck": {"minFreePercent": 0}},
        ]);
        it.schedules().apply("tidy", on_demand(tasks)).await;
        let run = it.run_now("tidy", 0).await;
        assert_eq!(run.result, Some(TaskResult::Succeeded), "{run:?}");
        assert!(task(&run, "index").bytes_freed > 50_000, "{run:?}");
        assert!(task(&run, "cache").items >= 60 && task(&run, "cache").bytes_freed > 50_000, "{run:?}");
        it.assert_whole("guides", 3).await;
        it.schedules().until_true("tidy", ConditionType::Healthy).await;
    });
}

#[test]
fn orphans_go_and_live_data_stays_while_an_ingestion_runs_beside() {
    sandbox(json!({}), async |it| {
        let database = Postgres::start(it).await;
        let store = Postgres::store();
        it.config_map("few", corpus::documents(4, 40)).await;
        let few = json!({"source": {"configMap": {"name": "few"}}, "store": store, "collection": "docs"});
        it.ingest("few", few).await;
        it.until_true("few", ConditionType::Complete).await;
        // a document that has lost its chunks
        database.sql(
            "DELETE FROM lexigram_docs.chunks WHERE document = (SELECT min(id) FROM lexigram_docs.documents WHERE state = 'Done')",
        );
        it.config_map("long", corpus::documents(90, 400)).await;
        it.ingest("long", json!({"source": {"configMap": {"name": "long"}}, "store": store, "collection": "docs"}))
            .await;
        it.until_midway("long").await;
        let tasks = json!([
            {"name": "look", "type": "OrphanCleanup", "orphanCleanup": {"dryRun": true}},
            {"name": "mend", "type": "OrphanCleanup"},
            {"name": "index", "type": "IndexOptimization"},
        ]);
        let mut spec = on_demand(tasks);
        spec["store"] = store.clone();
        it.schedules().apply("tidy", spec).await;
        let run = it.run_now("tidy", 0).await;
        assert_eq!(run.result, Some(TaskResult::Succeeded), "{run:?}");
        assert_eq!((task(&run, "look").items, task(&run, "mend").items), (1, 1), "{run:?}");
        it.until_true("long", ConditionType::Complete).await;
        let rows = database.documents("docs").await;
        assert_eq!(rows.iter().filter(|row| row.state == "Done" && row.chunks > 0).count(), 93, "{rows:?}");
        // the one that was mended is taken by the next run of its source
        it.ingest("again", json!({"source": {"configMap": {"name": "few"}}, "store": store, "collection": "docs"}))
            .await;
        let again = it.until_true("again", ConditionType::Complete).await.status.unwrap().documents.unwrap();
        assert_eq!((again.total, again.done, again.skipped), (4, 1, 3), "{again:?}");
        let chunks = "SELECT count(*) FROM lexigram_docs.documents AS document WHERE state = 'Done' \
                      AND chunks <> (SELECT count(*) FROM lexigram_docs.chunks WHERE chunks.document = document.id)";
        assert_eq!(database.sql(chunks), "0");
    });
}
