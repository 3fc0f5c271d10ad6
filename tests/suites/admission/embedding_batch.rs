//! `EmbeddingBatch`es: what they have for themselves; their options are those of every job.

use lexigram_api::resource::EmbeddingBatch;
use lexigram_tests::{Sandbox, bare, kubectl};
use serde_json::{Value, json};

use super::asked;

fn input(input: Value) -> Value {
    json!({"input": input})
}

fn with(over: Value) -> Value {
    let mut spec = input(json!({"texts": [{"text": "Hello."}]}));
    spec.as_object_mut().unwrap().extend(over.as_object().unwrap().clone());
    spec
}

/// A server with these settings besides those that it must have.
fn server(settings: Value) -> Value {
    let mut server = json!({"url": "https://api.example.com/v1", "model": "small"});
    server.as_object_mut().unwrap().extend(settings.as_object().unwrap().clone());
    with(json!({"embedding": {"openAI": server}}))
}

async fn create(it: &Sandbox, name: &str, spec: Value) -> Result<Value, String> {
    asked::create::<EmbeddingBatch>(it, name, spec).await
}

#[test]
fn good_specs_are_accepted() {
    let many: Vec<Value> = (0..1000).map(|n| json!({"id": n.to_string(), "text": "x".repeat(262)})).collect();
    let claim = json!({"claimName": "data", "path": "exports/reviews"});
    let cases = [
        ("the smallest one", with(json!({}))),
        ("a thousand texts", input(json!({"texts": many}))),
        ("a text with everything", input(json!({"texts": [{"id": "a", "text": "x", "metadata": {"lang": "en"}}]}))),
        ("a ConfigMap", input(json!({"configMap": {"name": "rows", "key": "rows.csv"}}))),
        (
            "a claim and fields",
            input(json!({
                "persistentVolumeClaim": claim, "format": "Parquet", "textField": "body", "idField": "id",
                "metadataFields": ["lang", "stars"],
            })),
        ),
        ("lines", input(json!({"persistentVolumeClaim": claim, "format": "Lines"}))),
        ("a URL", input(json!({"http": {"url": "https://example.com/a.jsonl", "headersSecretRef": {"name": "t"}}}))),
        (
            "a URL at a local address",
            input(json!({"http": {
                "url": "http://127.0.0.1/a.jsonl", "allowLocalAddresses": true, "caBundleConfigMapRef": {"name": "ca"},
            }})),
        ),
        ("a collection", with(json!({"output": {"collection": "reviews.v2"}}))),
        ("files", with(json!({"output": {"files": {"claimName": "out", "path": "a/b", "format": "JSONL"}}}))),
        (
            "a database and many workers",
            with(json!({"parallelism": 8, "store": {"postgres": {"connectionSecretRef": {"name": "db"}}}})),
        ),
        ("no deduplication", with(json!({"deduplicate": false}))),
        ("a dry run", with(json!({"dryRun": true}))),
        ("a server", server(json!({}))),
        (
            "a server with everything",
            server(json!({
                "dimensions": 512, "encodingFormat": "Float", "maxItemsPerRequest": 2048, "maxTokensPerRequest": 300_000,
                "maxTokensPerText": 8192, "requestTimeoutSeconds": 600, "maxConcurrentRequests": 64,
                "requestsPerMinute": 3000, "tokensPerMinute": 1_000_000, "proxyUrl": "http://proxy.example.com:3128",
                "apiKeySecretRef": {"name": "key", "key": "token"}, "headersSecretRef": {"name": "headers"},
                "caBundleConfigMapRef": {"name": "ca"}, "pricePerMillionTokens": "0.02",
            })),
        ),
        (
            "a model on a claim",
            with(json!({"embedding": {
                "embedded": {"model": "e5", "persistentVolumeClaim": {"claimName": "models", "path": "e5"}},
                "truncate": true,
            }})),
        ),
    ];
    bare(async |it| asked::accepted::<EmbeddingBatch>(it, cases).await);
}

#[test]
fn bad_specs_are_refused_with_the_field_and_the_fix() {
    let claim = |path: &str| input(json!({"persistentVolumeClaim": {"claimName": "data", "path": path}}));
    let files = |files: Value| with(json!({"output": {"files": files}}));
    let embedded = |model: Value| with(json!({"embedding": {"embedded": model}}));
    let cases: Vec<(&str, Value, &[&str])> = vec![
        ("no input", json!({}), &["spec.input: Required value"]),
        (
            "an empty input",
            input(json!({})),
            &["spec.input: set exactly one of texts, configMap, persistentVolumeClaim and http"],
        ),
        (
            "two inputs",
            input(json!({"texts": [{"text": "x"}], "configMap": {"name": "m", "key": "a.csv"}})),
            &["spec.input: set exactly one of"],
        ),
        ("no text", input(json!({"texts": []})), &["spec.input.texts", "at least 1 items"]),
        ("too many texts", input(json!({"texts": vec![json!({"text": "x"}); 1001]})), &["spec.input.texts", "1000"]),
        (
            "too much text",
            input(json!({"texts": vec![json!({"text": "x".repeat(65_536)}); 5]})),
            &["spec.input.texts: at most 262144 characters in all; put more into a ConfigMap or a claim"],
        ),
        (
            "a format of texts",
            input(json!({"texts": [{"text": "x"}], "format": "Lines"})),
            &["spec.input.format: texts in the manifest have no format; remove it"],
        ),
        (
            "fields of lines",
            input(json!({"configMap": {"name": "m", "key": "a.txt"}, "format": "Lines", "idField": "id"})),
            &["spec.input.format: lines have no fields; remove spec.input.idField and spec.input.metadataFields"],
        ),
        (
            "an unknown format",
            input(json!({"configMap": {"name": "m", "key": "a"}, "format": "XML"})),
            &["spec.input.format"],
        ),
        ("a key that is none", input(json!({"configMap": {"name": "m", "key": "a/b"}})), &["spec.input.configMap.key"]),
        ("an absolute path", claim("/x.csv"), &["spec.input.persistentVolumeClaim.path: must be relative"]),
        ("a path that climbs", claim("../x.csv"), &["spec.input.persistentVolumeClaim.path: must be relative"]),
        (
            "a password in the URL",
            input(json!({"http": {"url": "https://me:secret@example.com/a"}})),
            &["spec.input.http.url: must hold no user or password"],
        ),
        (
            "a URL of another scheme",
            input(json!({"http": {"url": "ftp://example.com/a"}})),
            &["spec.input.http.url: must begin with http:// or https://"],
        ),
        ("no output", with(json!({"output": {}})), &["spec.output: set exactly one of collection and files"]),
        (
            "two outputs",
            with(json!({"output": {"collection": "a", "files": {"claimName": "out"}}})),
            &["spec.output: set exactly one of collection and files"],
        ),
        ("an unfit collection", with(json!({"output": {"collection": "My Rows"}})), &["spec.output.collection"]),
        (
            "a folder that climbs",
            files(json!({"claimName": "out", "path": "a/../.."})),
            &["spec.output.files.path: must be relative and free of '..', for instance 'vectors/reviews'"],
        ),
        (
            "two providers",
            with(json!({"embedding": {"embedded": {}, "openAI": {"url": "https://a.example", "model": "m"}}})),
            &["spec.embedding: set exactly one provider, embedded or openAI"],
        ),
        (
            "a server of another scheme",
            server(json!({"url": "example.com/v1"})),
            &["spec.embedding.openAI.url: must begin with http:// or https://"],
        ),
        (
            "a password in the URL of a server",
            server(json!({"url": "https://me:secret@example.com/v1"})),
            &["spec.embedding.openAI.url: must hold no user or password"],
        ),
        (
            "a proxy without scheme",
            server(json!({"proxyUrl": "proxy.example:3128"})),
            &["spec.embedding.openAI.proxyUrl: must begin with http:// or https://"],
        ),
        (
            "a password in the URL of a proxy",
            server(json!({"proxyUrl": "http://me:secret@proxy.example:3128"})),
            &["spec.embedding.openAI.proxyUrl: must hold no user or password"],
        ),
        (
            "a text larger than a request",
            server(json!({"maxTokensPerText": 8192, "maxTokensPerRequest": 8191})),
            &["spec.embedding.openAI.maxTokensPerText: must not exceed spec.embedding.openAI.maxTokensPerRequest"],
        ),
        (
            "a price in words",
            server(json!({"pricePerMillionTokens": "cheap"})),
            &["pricePerMillionTokens", "should match"],
        ),
        (
            "no request at all",
            server(json!({"requestsPerMinute": 0})),
            &["requestsPerMinute", "greater than or equal to 1"],
        ),
        (
            "a model in two places",
            embedded(json!({"persistentVolumeClaim": {"claimName": "m"}, "configMap": {"name": "m"}})),
            &["spec.embedding.embedded: set at most one of persistentVolumeClaim and configMap"],
        ),
        (
            "a model outside its claim",
            embedded(json!({"persistentVolumeClaim": {"claimName": "m", "path": "/e5"}})),
            &["spec.embedding.embedded.persistentVolumeClaim.path: must be relative"],
        ),
        (
            "two writers of one file",
            with(json!({"parallelism": 2})),
            &["spec.parallelism: the embedded store takes one writer; set parallelism to 1"],
        ),
        (
            "two workers of a dry run",
            with(json!({
                "parallelism": 2, "store": {"postgres": {"connectionSecretRef": {"name": "db"}}}, "dryRun": true,
            })),
            &["spec.parallelism: a dry run has one worker; set parallelism to 1"],
        ),
        (
            "two writers of files",
            with(json!({
                "parallelism": 2, "store": {"postgres": {"connectionSecretRef": {"name": "db"}}},
                "output": {"files": {"claimName": "out"}},
            })),
            &["spec.parallelism: files have one writer; set parallelism to 1, or use spec.output.collection"],
        ),
    ];
    bare(async |it| {
        asked::refused::<EmbeddingBatch>(it, cases).await;
        let message = create(it, &"a".repeat(201), with(json!({}))).await.unwrap_err();
        assert!(message.contains("spec.output: set it, since metadata.name is too long"), "{message}");
    });
}

#[test]
fn only_a_few_fields_can_change() {
    let immutable = [
        ("input", json!({"input": {"texts": [{"text": "Other."}]}})),
        ("output", json!({"output": {"collection": "other"}})),
        ("deduplicate", json!({"deduplicate": false})),
        ("dryRun", json!({"dryRun": true})),
        ("embedding", json!({"embedding": {"truncate": true}})),
        ("failurePolicy", json!({"failurePolicy": {"maxAttempts": 9}})),
    ];
    bare(async |it| {
        it.batches().apply("reviews", with(json!({}))).await;
        for spec in [json!({"suspend": true}), json!({"priority": 7}), json!({"ttlSecondsAfterFinished": 60})] {
            let changed = asked::change::<EmbeddingBatch>(it, "reviews", spec.clone()).await;
            changed.unwrap_or_else(|error| panic!("{spec}: {error}"));
        }
        for (field, spec) in immutable {
            let changed = asked::change::<EmbeddingBatch>(it, "reviews", spec.clone()).await;
            let Err(message) = changed else { panic!("{spec}: accepted") };
            let says = message.contains(&format!("spec.{field} is immutable: ")) && message.contains("create");
            assert!(says, "{spec}: {message}");
        }
    });
}

#[test]
fn what_is_left_out_has_its_default() {
    bare(async |it| {
        let created = create(it, "plain", server(json!({}))).await.unwrap();
        assert_eq!(created["spec"]["input"], json!({"texts": [{"text": "Hello."}], "textField": "text"}));
        assert_eq!((&created["spec"]["deduplicate"], &created["spec"]["dryRun"]), (&json!(true), &json!(false)));
        let embedding = json!({
            "openAI": {
                "url": "https://api.example.com/v1", "model": "small", "encodingFormat": "Base64",
                "maxItemsPerRequest": 256, "maxTokensPerRequest": 100_000, "maxTokensPerText": 8191,
                "requestTimeoutSeconds": 60, "maxConcurrentRequests": 4,
            },
            "truncate": false, "onModelChange": "Refuse",
        });
        assert_eq!(created["spec"]["embedding"], embedding);
    });
}

#[test]
fn short_name_and_category_serve_kubectl() {
    bare(async |it| {
        it.batches().apply("reviews", with(json!({}))).await;
        for resource in ["eb", "lexigram"] {
            let listed = kubectl(&["--namespace", &it.namespace, "get", resource, "--output", "name"]).unwrap();
            assert_eq!(listed.trim(), "embeddingbatch.workers.lexigram.dev/reviews");
        }
        let header = kubectl(&["--namespace", &it.namespace, "get", "eb"]).unwrap();
        let columns: Vec<&str> = header.lines().next().unwrap().split_whitespace().collect();
        assert_eq!(columns, ["NAME", "STATE", "PROGRESS", "FAILED", "RATE", "AGE"]);
    });
}
