//! What an `EmbeddingBatch` makes of itself: its worker's task, its pod, its status.

use insta::assert_yaml_snapshot;
use lexigram_api::{
    contract::DryRun,
    resource::{DryRunResult, EmbeddingBatch, State, TextCounts},
};
use rstest::rstest;
use serde_json::{Value, json};

use crate::{
    config::AiWorkers,
    controller::job::{
        act::owner,
        build,
        observe::Observation,
        plan::{Plan, Take, plan},
        status::project,
        tests::fixtures::{active, at, complete, finished, kube_job, progress, report, run, running, seen, settings},
    },
};

fn batch(spec: Value) -> EmbeddingBatch {
    let mut fields = json!({"input": {"texts": [{"text": "one"}]}});
    fields.as_object_mut().unwrap().extend(spec.as_object().unwrap().clone());
    serde_json::from_value(json!({
        "apiVersion": "workers.lexigram.dev/v1alpha1",
        "kind": "EmbeddingBatch",
        "metadata": {
            "name": "reviews", "namespace": "docs", "uid": "22222222-2222-3333-4444-555555555555",
            "generation": 1, "resourceVersion": "7", "creationTimestamp": at(0).to_string(),
        },
        "spec": fields,
    }))
    .unwrap()
}

fn task(spec: Value) -> Value {
    let batch = batch(spec);
    let work_spec = build::work_spec(&batch, &owner(&batch).unwrap(), "reviews-br1", &Take::Everything);
    serde_json::to_value(work_spec).unwrap()["task"].clone()
}

fn project_at(batch: &EmbeddingBatch, seen: &Observation, now: i64) -> lexigram_api::resource::EmbeddingBatchStatus {
    let plan: Plan = plan(batch, seen, &AiWorkers::default(), at(now));
    project(batch, seen, &plan, None, at(now))
}

#[rstest]
#[case::texts(json!({"texts": [{"id": "a", "text": "one", "metadata": {"lang": "en"}}]}),
    json!({"type": "Inline", "texts": [{"id": "a", "text": "one", "metadata": {"lang": "en"}}]}))]
#[case::config_map(json!({"configMap": {"name": "m", "key": "rows.csv"}}), json!({"type": "File", "path": "/source/rows.csv"}))]
#[case::claim(json!({"persistentVolumeClaim": {"claimName": "c", "path": "x/rows.parquet"}}),
    json!({"type": "File", "path": "/source/x/rows.parquet"}))]
#[case::http(json!({"http": {"url": "https://x.example/rows.txt", "headersSecretRef": {"name": "t"}}}),
    json!({"type": "Http", "url": "https://x.example/rows.txt", "headersDirectory": "/etc/lexigram/http-headers"}))]
fn inputs(#[case] input: Value, #[case] location: Value) {
    assert_eq!(task(json!({"input": input}))["input"], location);
}

#[rstest]
#[case::own_collection(json!({}), json!({"type": "Collection", "collection": "reviews"}), "/store/reviews.db")]
#[case::another_collection(json!({"output": {"collection": "all"}}), json!({"type": "Collection", "collection": "all"}), "/store/all.db")]
#[case::files(json!({"output": {"files": {"claimName": "out"}}}),
    json!({"type": "Files", "directory": "/output/reviews", "format": "Parquet", "owner": "22222222-2222-3333-4444-555555555555"}),
    "/store/_batches.db")]
#[case::files_in_a_folder(json!({"output": {"files": {"claimName": "out", "path": "a/b/", "format": "JSONL"}}}),
    json!({"type": "Files", "directory": "/output/a/b", "format": "JSONL", "owner": "22222222-2222-3333-4444-555555555555"}),
    "/store/_batches.db")]
fn outputs(#[case] spec: Value, #[case] output: Value, #[case] store: &str) {
    let task = task(spec);
    assert_eq!(task["output"], output);
    assert_eq!(task["store"], json!({"type": "Sqlite", "path": store, "cache": "/store/_embedding-cache.db"}));
}

#[test]
fn the_job_of_a_batch_with_everything() {
    let batch = batch(json!({
        "input": {"persistentVolumeClaim": {"claimName": "exports", "path": "reviews.jsonl"}, "idField": "id"},
        "output": {"files": {"claimName": "vectors"}},
        "embedding": {"openAI": {
            "url": "https://api.example/v1", "model": "small", "apiKeySecretRef": {"name": "key"},
            "headersSecretRef": {"name": "headers"}, "caBundleConfigMapRef": {"name": "ca"}, "tokensPerMinute": 1_000_000,
        }},
    }));
    let owner = owner(&batch).unwrap();
    assert_yaml_snapshot!(build::job(&batch, &owner, "reviews-br1", &build::Circumstances::default(), &settings()));
    assert_yaml_snapshot!(build::work_spec(&batch, &owner, "reviews-br1", &Take::Everything));
}

#[test]
fn a_model_may_lie_on_a_claim() {
    let model =
        json!({"embedding": {"embedded": {"model": "e5", "persistentVolumeClaim": {"claimName": "m", "path": "e5"}}}});
    assert_eq!(task(model)["embedding"]["provider"], json!({"type": "Local", "model": "e5", "directory": "/model/e5"}));
}

#[test]
fn a_batch_at_work_shows_texts_and_rate() {
    let batch = batch(json!({}));
    let mut run = run(&kube_job("reviews-br1", 1, false, active()), &[running("reviews-br1")]);
    run.progress = Some(progress("reviews-br1", 500, 2000));
    let status = project_at(&batch, &seen(vec![run.clone()]), 51);
    assert_eq!((status.job.state, status.job.progress.as_deref()), (Some(State::Running), Some("500/2000")));
    assert_eq!(status.texts, Some(TextCounts { total: 2000, done: 500, failed: 0, cached: 0 }));
    assert_eq!((status.throughput.as_deref(), status.collection.as_deref()), (Some("12.5/s"), Some("reviews")));
    assert_eq!((status.estimated_cost, status.dry_run), (None, None));

    run.progress.as_mut().unwrap().rate_limited_until = Some(at(90));
    let status = project_at(&batch, &seen(vec![run]), 52);
    let condition = &status.job.conditions[0];
    assert_eq!((condition.reason.as_str(), status.job.state), ("RateLimited", Some(State::Running)));
    assert!(condition.message.contains(&at(90).to_string()), "{}", condition.message);
}

#[test]
fn a_dry_run_tells_what_embedding_would_cost() {
    let server = json!({"url": "https://api.example/v1", "model": "small", "pricePerMillionTokens": "0.02"});
    let batch = batch(json!({"dryRun": true, "embedding": {"openAI": server}}));
    let mut report = report("reviews-br1", 100, [0, 0, 0]);
    report.dry_run = Some(DryRun { tokens: 6_250_000, duplicates: 7, too_long: 2, invalid: 1 });
    let run = run(&kube_job("reviews-br1", 1, false, complete(60)), &[finished(&report)]);
    let status = project_at(&batch, &seen(vec![run]), 61);
    assert_eq!(status.job.state, Some(State::Complete));
    assert_eq!(status.dry_run, Some(DryRunResult { tokens: 6_250_000, duplicates: 7, too_long: 2, invalid: 1 }));
    assert_eq!((status.estimated_cost.as_deref(), status.collection), (Some("0.1250"), None));
}
