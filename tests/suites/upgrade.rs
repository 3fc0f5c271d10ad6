//! An upgrade from the chart before this one, under objects that are at work, and the way back.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a panic is how a test fails")]

use k8s_openapi::{
    api::batch::v1::Job, apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition,
};
use kube::{Api, ResourceExt, api::ListParams};
use lexigram_api::resource::{ConditionType, IngestionJob, State};
use lexigram_tests::{Release, Sandbox, bare, base_release, corpus};
use serde_json::json;

/// Names and uids of the Jobs in the namespace, by name.
async fn runs(it: &Sandbox) -> Vec<(String, Option<String>)> {
    let mut runs: Vec<_> = it.api::<Job>().list(&ListParams::default()).await.unwrap().items;
    runs.sort_by_key(ResourceExt::name_any);
    runs.iter().map(|job| (job.name_any(), job.uid())).collect()
}

/// How many fields of the spec the API server knows for a kind.
async fn fields(it: &Sandbox) -> usize {
    let crds: Api<CustomResourceDefinition> = Api::all(it.client.clone());
    let crd = crds.get("ingestionjobs.workers.lexigram.dev").await.unwrap();
    serde_json::to_string(&crd.spec).unwrap().len()
}

#[test]
fn what_runs_goes_on_through_an_upgrade_and_what_is_done_stays_done() {
    bare(async |it| {
        // the CRDs belong to the release that watches everything, and come first, as the documentation says
        let base = base_release(&it.client).await;
        let now = fields(it).await;
        base.previous().install(&json!({"operator": {"replicas": 0}}));
        assert!(fields(it).await < now, "the chart before this one has CRDs of its own");
        let values = it.own(&json!({"ai_workers": {"document_ingestion_concurrency": 1}}));
        Release::within(&it.namespace).previous().install(&values);

        it.ingest("over", json!({"source": {"inline": [{"name": "a.txt", "text": "Hello."}]}})).await;
        let over = it.until_true("over", ConditionType::Complete).await;
        it.config_map("long", corpus::documents(90, 400)).await;
        it.ingest("long", json!({"source": {"configMap": {"name": "long"}}})).await;
        it.until_midway("long").await;
        it.ingest("waiting", json!({"source": {"inline": [{"name": "b.txt", "text": "Later."}]}})).await;
        it.until_state("waiting", State::Queued, "Queued").await;
        let before = runs(it).await;

        base.install(&json!({"operator": {"replicas": 0}}));
        assert_eq!(fields(it).await, now);
        Release::within(&it.namespace).install(&values);

        it.until_true("long", ConditionType::Complete).await;
        it.until_true("waiting", ConditionType::Complete).await;
        it.assert_whole("long", 90).await;
        let after = runs(it).await;
        assert_eq!(after.len(), before.len() + 1, "only what waited began: {after:?}");
        assert!(before.iter().all(|run| after.contains(run)), "{before:?} became {after:?}");
        let still = it.api::<IngestionJob>().get("over").await.unwrap();
        let counts = |job: &IngestionJob| job.status.clone().unwrap().documents;
        assert_eq!(counts(&still), counts(&over));

        // and back: what the older chart knows still works
        Release::within(&it.namespace).previous().install(&values);
        it.ingest("after", json!({"source": {"inline": [{"name": "c.txt", "text": "Back."}]}})).await;
        it.until_true("after", ConditionType::Complete).await;
    });
}
