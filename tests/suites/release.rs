//! The release as the documentation installs it: over the whole cluster, with the CRDs.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a panic is how a test fails")]

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::Api;
use lexigram_api::resource::{ConditionType, IngestionJob};
use lexigram_tests::{bare, base_release};
use serde_json::json;

#[test]
fn a_cluster_wide_release_serves_any_namespace_and_leaves_objects_behind() {
    bare(async |it| {
        let release = base_release(&it.client).await;
        release.install(&json!({}));
        it.ingest("hello", json!({"source": {"inline": [{"name": "a.txt", "text": "Hello."}]}})).await;
        it.until_true("hello", ConditionType::Complete).await;

        release.uninstall();
        release.until_no_operator(&it.client).await;
        let crds: Api<CustomResourceDefinition> = Api::all(it.client.clone());
        crds.get("ingestionjobs.workers.lexigram.dev").await.unwrap();
        it.api::<IngestionJob>().get("hello").await.unwrap();
        assert_eq!(it.search("hello", "greeting", 1).await[0].document, "a.txt");
    });
}

#[test]
fn values_that_are_not_allowed_are_refused_by_name() {
    bare(async |it| {
        let release = lexigram_tests::Release::within(&it.namespace);
        for (values, named) in [
            (json!({"ai_workers": {"document_ingestion_concurrency": 0}}), "document_ingestion_concurrency"),
            (json!({"ai_workers": {"dlq_check_interval": 4}}), "dlq_check_interval"),
            (json!({"ai_workers": {"concurrency": 3}}), "concurrency"),
            (json!({"store": {"size": "big"}}), "size"),
        ] {
            let error = release.try_install(&values).unwrap_err().to_string();
            assert!(error.contains(named), "{values}: {error}");
        }
    });
}
