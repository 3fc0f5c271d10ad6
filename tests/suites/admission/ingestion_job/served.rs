//! What may change, what is filled in, and what kubectl shows.

use kube::{
    Api, ResourceExt,
    api::{Patch, PatchParams},
    core::Request,
};
use lexigram_api::resource::IngestionJob;
use lexigram_tests::{Sandbox, bare, kubectl};
use serde_json::{Value, json};

use super::{super::asked, spec};

async fn create(it: &Sandbox, name: &str, spec: Value) -> Result<Value, String> {
    asked::create::<IngestionJob>(it, name, spec).await
}

async fn change(it: &Sandbox, name: &str, spec: Value) -> Result<IngestionJob, String> {
    asked::change(it, name, spec).await
}

#[test]
fn only_a_few_fields_can_change() {
    let mutable = [
        json!({"suspend": true}),
        json!({"parallelism": 1}),
        json!({"priority": 7}),
        json!({"ttlSecondsAfterFinished": 60}),
        json!({"suspend": true, "priority": -3, "ttlSecondsAfterFinished": null}),
    ];
    // what is there changes, and what is not there comes
    let immutable = [
        ("source", json!({"source": {"inline": [{"name": "a.md", "text": "Other."}]}})),
        ("source", json!({"source": {"include": ["*.md"]}})),
        ("collection", json!({"collection": "other"})),
        ("sync", json!({"sync": "Mirror"})),
        ("parsing", json!({"parsing": {"documentTimeoutSeconds": 5}})),
        ("chunking", json!({"chunking": {"maxTokens": 100}})),
        ("embedding", json!({"embedding": {"embedded": {"model": "other"}}})),
        ("queueName", json!({"queueName": "other"})),
        ("activeDeadlineSeconds", json!({"activeDeadlineSeconds": 5})),
        ("failurePolicy", json!({"failurePolicy": {"maxAttempts": 9}})),
        ("worker", json!({"worker": {"priorityClassName": "high"}})),
    ];
    let optional =
        json!({"collection": "docs", "queueName": "team", "activeDeadlineSeconds": 60, "ttlSecondsAfterFinished": 60});
    bare(async |it| {
        it.ingest("plain", spec(json!({}))).await;
        it.ingest("full", spec(optional.clone())).await;
        for name in ["plain", "full"] {
            for spec in &mutable {
                change(it, name, spec.clone()).await.unwrap_or_else(|error| panic!("{name}, {spec}: {error}"));
            }
            for (field, spec) in &immutable {
                let Err(message) = change(it, name, spec.clone()).await else { panic!("{name}, {spec}: accepted") };
                let says = message.contains(&format!("spec.{field} is immutable: ")) && message.contains("create");
                assert!(says, "{name}, {spec}: {message}");
            }
        }
        for field in ["collection", "queueName", "activeDeadlineSeconds"] {
            let Err(message) = change(it, "full", json!({field: null})).await else { panic!("{field}: removed") };
            assert!(message.contains(&format!("spec.{field} is immutable: ")), "{field}: {message}");
        }
    });
}

#[test]
fn what_is_left_out_has_its_default() {
    bare(async |it| {
        let created = create(it, "plain", spec(json!({}))).await.unwrap();
        let expected = json!({
            "source": {"inline": [{"name": "a.md", "text": "Hello."}]},
            "sync": "Append",
            "parsing": {"documentTimeoutSeconds": 120, "maxDocumentBytes": 67_108_864},
            "chunking": {"strategy": "Auto", "maxTokens": 256, "overlapTokens": 32},
            "embedding": {
                "embedded": {"model": "all-MiniLM-L6-v2"}, "truncate": false, "onModelChange": "Refuse",
            },
            "store": {"embedded": {}},
            "parallelism": 1,
            "priority": 0,
            "suspend": false,
            "failurePolicy": {
                "maxAttempts": 5, "backoffBaseSeconds": 30, "backoffCapSeconds": 3600, "memoryFactor": 2, "memoryLimit": "4Gi",
                "archive": {"maxItems": 10_000, "retentionSeconds": 2_592_000},
            },
            "worker": {},
        });
        assert_eq!(created["spec"], expected);
        let partly = create(it, "partly", spec(json!({"chunking": {"maxTokens": 100}}))).await.unwrap();
        assert_eq!(partly["spec"]["chunking"], json!({"strategy": "Auto", "maxTokens": 100, "overlapTokens": 32}));
    });
}

#[test]
fn kubectl_get_shows_a_line_that_ends_with_the_age() {
    bare(async |it| {
        it.ingest("handbook", spec(json!({}))).await;
        let status = json!({"status": {
            "state": "Running", "progress": "37/120", "chunksCreated": 412, "documents": {"total": 120, "failed": 2},
            "collection": "handbook", "duration": "3m12s",
            "deadLetters": {"summary": "2 retrying", "nextRetryTime": "2026-01-01T00:00:30Z"},
            "conditions": [{
                "type": "Complete", "status": "False", "reason": "Running", "message": "", "observedGeneration": 1,
                "lastTransitionTime": "2026-01-01T00:00:00Z",
            }],
        }});
        let jobs: Api<IngestionJob> = it.api();
        jobs.patch_status("handbook", &PatchParams::default(), &Patch::Merge(status)).await.unwrap();

        let url = format!("/apis/workers.lexigram.dev/v1alpha1/namespaces/{}/ingestionjobs", it.namespace);
        let mut request = Request::new(&url).get("handbook", &Default::default()).unwrap();
        let table = "application/json;as=Table;v=v1;g=meta.k8s.io".parse().unwrap();
        request.headers_mut().insert("accept", table);
        let table: Value = it.client.request(request).await.unwrap();
        let columns: Vec<(&str, i64)> = table["columnDefinitions"]
            .as_array()
            .unwrap()
            .iter()
            .map(|column| (column["name"].as_str().unwrap(), column["priority"].as_i64().unwrap()))
            .collect();
        let expected = [
            ("Name", 0),
            ("State", 0),
            ("Progress", 0),
            ("Chunks", 0),
            ("Failed", 0),
            ("Collection", 1),
            ("Retry", 1),
            ("Reason", 1),
            ("Duration", 1),
            ("Age", 0),
        ];
        assert_eq!(columns, expected);
        let cells = table["rows"][0]["cells"].as_array().unwrap();
        let shown = json!([
            "handbook",
            "Running",
            "37/120",
            412,
            "2 retrying",
            "handbook",
            "2026-01-01T00:00:30Z",
            "Running",
            "3m12s",
        ]);
        assert_eq!(cells[..9], shown.as_array().unwrap()[..]);
    });
}

#[test]
fn short_name_category_and_explanations_serve_kubectl() {
    bare(async |it| {
        let created = it.ingest("handbook", spec(json!({}))).await;
        for resource in ["ij", "lexigram"] {
            let listed = kubectl(&["--namespace", &it.namespace, "get", resource, "--output", "name"]).unwrap();
            assert_eq!(listed.trim(), format!("ingestionjob.workers.lexigram.dev/{}", created.name_any()));
        }
        let explained = kubectl(&["explain", "ingestionjobs.spec.failurePolicy.actions.action"]).unwrap();
        for word in ["Retry", "Archive", "Notify", "stall until a person acts"] {
            let explained = explained.split_whitespace().collect::<Vec<_>>().join(" ");
            assert!(explained.contains(word), "{word}: {explained}");
        }
    });
}
