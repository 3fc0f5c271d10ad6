//! `IngestionJob`s.

use kube::{
    Api, ResourceExt,
    api::{Patch, PatchParams},
    core::Request,
};
use lexigram_api::resource::IngestionJob;
use lexigram_tests::{Sandbox, bare, kubectl};
use serde_json::{Value, json};

use super::asked;

/// Lays `over` upon the smallest useful spec; null takes a key away.
fn spec(over: Value) -> Value {
    let mut spec = json!({"source": {"inline": [{"name": "a.md", "text": "Hello."}]}});
    for (key, value) in over.as_object().unwrap() {
        match value {
            Value::Null => spec.as_object_mut().unwrap().remove(key),
            value => spec.as_object_mut().unwrap().insert(key.clone(), value.clone()),
        };
    }
    spec
}

/// A job whose store is a database with these settings.
fn postgres(settings: Value) -> Value {
    spec(json!({"store": {"postgres": settings}}))
}

fn source(source: Value) -> Value {
    json!({"source": source})
}

fn inline(names: &[&str]) -> Value {
    source(json!({"inline": names.iter().map(|name| json!({"name": name, "text": "Hello."})).collect::<Vec<_>>()}))
}

async fn create(it: &Sandbox, name: &str, spec: Value) -> Result<Value, String> {
    asked::create::<IngestionJob>(it, name, spec).await
}

async fn change(it: &Sandbox, name: &str, spec: Value) -> Result<IngestionJob, String> {
    asked::change(it, name, spec).await
}

#[test]
fn good_specs_are_accepted() {
    let urls = json!(["https://example.com/a", "http://example.com/b"]);
    let cases = [
        ("the smallest one", spec(json!({}))),
        ("a ConfigMap", source(json!({"configMap": {"name": "docs"}}))),
        ("a claim", source(json!({"persistentVolumeClaim": {"claimName": "docs"}}))),
        ("a folder of a claim", source(json!({"persistentVolumeClaim": {"claimName": "docs", "path": "a/..b/c"}}))),
        ("URLs", source(json!({"http": {"urls": urls, "headersSecretRef": {"name": "token"}}}))),
        (
            "URLs at local addresses",
            source(json!({"http": {
                "urls": ["http://169.254.169.254/a"], "allowLocalAddresses": true,
                "caBundleConfigMapRef": {"name": "ca", "key": "root.pem"},
            }})),
        ),
        (
            "the sitemaps of a site",
            source(json!({"http": {"urls": ["https://example.com/sitemap.xml"], "crawl": {"follow": "Sitemap"}}})),
        ),
        (
            "as long a way as may be",
            source(json!({"http": {
                "urls": ["https://example.com/"], "crawl": {"follow": "Links", "linkDepth": 20, "maxDocuments": 100_000},
            }})),
        ),
        ("a bucket", source(json!({"s3": {"bucket": "docs"}}))),
        (
            "a bucket elsewhere",
            source(json!({"s3": {
                "bucket": "Team_docs.v2", "prefix": "a b/", "region": "eu-west-1", "endpoint": "https://minio.example.com:9000",
                "pathStyle": false, "credentialsSecretRef": {"name": "keys"}, "allowLocalAddresses": true,
                "caBundleConfigMapRef": {"name": "ca"},
            }})),
        ),
        ("a repository", source(json!({"git": {"url": "https://git.example.com/docs.git"}}))),
        (
            "a folder of a tag",
            source(json!({"git": {
                "url": "http://git.example.com/docs", "ref": "release/v1.0+2", "path": "a/..b/c",
                "credentialsSecretRef": {"name": "login"}, "allowLocalAddresses": true, "caBundleConfigMapRef": {"name": "ca"},
            }})),
        ),
        ("many inline documents", inline(&["a", "b c", "d\ne"])),
        (
            "as many inline characters as may be",
            source(json!({"inline": [
                {"name": "a", "text": "ä".repeat(65_536)}, {"name": "b", "text": "ä".repeat(65_536)},
            ]})),
        ),
        ("globs", source(json!({"configMap": {"name": "docs"}, "include": ["**/*.md"], "exclude": ["draft*"]}))),
        ("a collection", spec(json!({"collection": "handbook.v2"}))),
        ("Mirror", spec(json!({"sync": "Mirror"}))),
        ("the least limits of parsing", spec(json!({"parsing": {"documentTimeoutSeconds": 1, "maxDocumentBytes": 1}}))),
        (
            "the highest limits of parsing",
            spec(json!({"parsing": {"documentTimeoutSeconds": 3600, "maxDocumentBytes": 1_073_741_824}})),
        ),
        ("the smallest chunks", spec(json!({"chunking": {"strategy": "Plain", "maxTokens": 16, "overlapTokens": 15}}))),
        (
            "the largest chunks",
            spec(json!({"chunking": {"strategy": "Markdown", "maxTokens": 8192, "overlapTokens": 4096}})),
        ),
        ("the embedded model", spec(json!({"embedding": {"embedded": {"model": "all-MiniLM-L6-v2"}}}))),
        ("the embedded store", spec(json!({"store": {"embedded": {}}}))),
        ("a database", postgres(json!({"connectionSecretRef": {"name": "db"}}))),
        (
            "a database with everything and many workers",
            spec(json!({
                "parallelism": 50,
                "store": {"postgres": {
                    "connectionSecretRef": {"name": "db", "key": "dsn"}, "caBundleSecretRef": {"name": "db-ca"},
                    "tlsMode": "VerifyFull", "schemaPrefix": "search_", "maxConnections": 100,
                    "statementTimeoutSeconds": 3600,
                }},
            })),
        ),
        ("a database without TLS", postgres(json!({"connectionSecretRef": {"name": "db"}, "tlsMode": "Disable"}))),
        ("one worker", spec(json!({"parallelism": 1}))),
        ("the highest priority", spec(json!({"priority": 1_000_000}))),
        ("the lowest priority", spec(json!({"priority": -1_000_000}))),
        ("a queue", spec(json!({"queueName": "team-a"}))),
        (
            "the longest times",
            spec(json!({"activeDeadlineSeconds": 31_536_000, "ttlSecondsAfterFinished": 31_536_000})),
        ),
        ("the shortest times", spec(json!({"activeDeadlineSeconds": 1, "ttlSecondsAfterFinished": 0}))),
        (
            "a base as long as the cap",
            spec(json!({"failurePolicy": {"backoffBaseSeconds": 60, "backoffCapSeconds": 60}})),
        ),
        (
            "an action for two categories",
            spec(json!({"failurePolicy": {"actions": [
                {"category": "Timeout", "action": "Archive"}, {"category": "Unknown", "action": "Archive"},
            ]}})),
        ),
        (
            "rules",
            spec(json!({"failurePolicy": {"rules": [
            {"message": "^the PDF", "stage": "Parse", "category": "Transient"},
        ], "onExhausted": "Notify", "archive": {"maxItems": 0, "retentionSeconds": 60}}})),
        ),
        (
            "worker overrides",
            spec(json!({"worker": {
                "resources": {"limits": {"memory": "1Gi"}}, "nodeSelector": {"disk": "ssd"}, "labels": {"example.com/team": "a"},
                "tolerations": [{"key": "gpu", "operator": "Exists"}], "annotations": {"example.com/note": "yes"},
                "priorityClassName": "low", "imagePullSecrets": [{"name": "registry"}], "serviceAccountName": "worker",
            }})),
        ),
    ];
    bare(async |it| {
        for (name, spec) in cases {
            if let Err(error) = create(it, "good", spec).await {
                panic!("{name}: {error}");
            }
        }
        create(it, &"a".repeat(200), spec(json!({}))).await.unwrap();
        create(it, &"a".repeat(253), spec(json!({"collection": "short"}))).await.unwrap();
    });
}

#[test]
fn bad_specs_are_refused_with_the_field_and_the_fix() {
    let claim = |path: &str| source(json!({"persistentVolumeClaim": {"claimName": "docs", "path": path}}));
    let policy = |policy: Value| spec(json!({"failurePolicy": policy}));
    let parsing = |parsing: Value| spec(json!({"parsing": parsing}));
    // each with what the message has to say
    let cases: Vec<(&str, Value, &[&str])> = vec![
        ("no source", spec(json!({"source": null})), &["spec.source: Required value"]),
        (
            "an empty source",
            source(json!({})),
            &["spec.source: set exactly one of configMap, persistentVolumeClaim, http, s3, git and inline"],
        ),
        ("globs without a source", source(json!({"include": ["*"]})), &["spec.source: set exactly one of"]),
        (
            "two sources",
            source(json!({"configMap": {"name": "docs"}, "http": {"urls": ["https://example.com"]}})),
            &["spec.source: set exactly one of"],
        ),
        ("an unknown field", spec(json!({"colection": "docs"})), &["unknown field \"spec.colection\""]),
        (
            "an unknown field deep inside",
            spec(json!({"chunking": {"maxToken": 20}})),
            &["unknown field \"spec.chunking.maxToken\""],
        ),
        ("a wrong type", spec(json!({"priority": "high"})), &["spec.priority", "integer"]),
        (
            "a ConfigMap without a name",
            source(json!({"configMap": {"name": ""}})),
            &["spec.source.configMap.name", "at least 1 chars long"],
        ),
        (
            "a claim without a name",
            source(json!({"persistentVolumeClaim": {}})),
            &["spec.source.persistentVolumeClaim.claimName: Required value"],
        ),
        (
            "an absolute path",
            claim("/docs"),
            &["spec.source.persistentVolumeClaim.path: must be relative and free of '..', for instance 'docs/manuals'"],
        ),
        ("a path that climbs", claim("docs/../.."), &["spec.source.persistentVolumeClaim.path: must be relative"]),
        ("no URL", source(json!({"http": {"urls": []}})), &["spec.source.http.urls", "at least 1 items"]),
        (
            "a URL of another scheme",
            source(json!({"http": {"urls": ["https://example.com", "ftp://example.com/a"]}})),
            &["spec.source.http.urls: every URL must begin with http:// or https://"],
        ),
        (
            "a Secret without a name",
            source(json!({"http": {"urls": ["https://example.com"], "headersSecretRef": {"name": ""}}})),
            &["headersSecretRef.name", "at least 1 chars long"],
        ),
        (
            "a site without a way",
            source(json!({"http": {"urls": ["https://example.com"], "crawl": {}}})),
            &["spec.source.http.crawl.follow: Required value"],
        ),
        (
            "an unknown way",
            source(json!({"http": {"urls": ["https://example.com"], "crawl": {"follow": "Robots"}}})),
            &["spec.source.http.crawl.follow", "\"Sitemap\", \"Links\""],
        ),
        (
            "too long a way",
            source(json!({"http": {"urls": ["https://example.com"], "crawl": {"follow": "Links", "linkDepth": 21}}})),
            &["spec.source.http.crawl.linkDepth", "less than or equal to 20"],
        ),
        (
            "too many pages",
            source(json!({"http": {
                "urls": ["https://example.com"], "crawl": {"follow": "Links", "maxDocuments": 100_001},
            }})),
            &["spec.source.http.crawl.maxDocuments", "less than or equal to 100000"],
        ),
        ("no bucket", source(json!({"s3": {"prefix": "a/"}})), &["spec.source.s3.bucket: Required value"]),
        (
            "a bucket with a path",
            source(json!({"s3": {"bucket": "docs/a"}})),
            &["spec.source.s3.bucket", "should match"],
        ),
        (
            "a region that is a host",
            source(json!({"s3": {"bucket": "docs", "region": "eu.example.com"}})),
            &["spec.source.s3.region", "should match"],
        ),
        (
            "an endpoint without scheme",
            source(json!({"s3": {"bucket": "docs", "endpoint": "minio.example.com"}})),
            &["spec.source.s3.endpoint: must begin with http:// or https://, for instance"],
        ),
        (
            "a password in the endpoint",
            source(json!({"s3": {"bucket": "docs", "endpoint": "https://me:secret@minio.example.com"}})),
            &["spec.source.s3.endpoint: must hold no user or password"],
        ),
        (
            "a Secret of a bucket without a name",
            source(json!({"s3": {"bucket": "docs", "credentialsSecretRef": {}}})),
            &["spec.source.s3.credentialsSecretRef.name: Required value"],
        ),
        ("no repository", source(json!({"git": {"ref": "main"}})), &["spec.source.git.url: Required value"]),
        (
            "a repository over SSH",
            source(json!({"git": {"url": "ssh://git.example.com/docs.git"}})),
            &["spec.source.git.url: must begin with https:// or http://"],
        ),
        (
            "a token in the URL of a repository",
            source(json!({"git": {"url": "https://token@git.example.com/docs.git"}})),
            &["spec.source.git.url: must hold no user or password"],
        ),
        (
            "a ref that is an option",
            source(json!({"git": {"url": "https://git.example.com/docs.git", "ref": "--all"}})),
            &["spec.source.git.ref", "should match"],
        ),
        (
            "an absolute path of a repository",
            source(json!({"git": {"url": "https://git.example.com/docs.git", "path": "/docs"}})),
            &["spec.source.git.path: must be relative and free of '..'"],
        ),
        (
            "a path that climbs out of a repository",
            source(json!({"git": {"url": "https://git.example.com/docs.git", "path": "docs/../.."}})),
            &["spec.source.git.path: must be relative and free of '..'"],
        ),
        ("no inline document", inline(&[]), &["spec.source.inline", "at least 1 items"]),
        ("an inline document without a name", inline(&[""]), &["spec.source.inline[0].name", "at least 1 chars long"]),
        (
            "a name twice",
            inline(&["a.md", "b.md", "a.md"]),
            &["spec.source.inline: names must differ; give each document a name of its own"],
        ),
        (
            "a long inline document",
            source(json!({"inline": [{"name": "a", "text": "x".repeat(65_537)}]})),
            &["spec.source.inline[0].text", "65536"],
        ),
        (
            "long inline documents",
            source(json!({"inline": [
                {"name": "a", "text": "x".repeat(65_536)}, {"name": "b", "text": "x".repeat(65_536)}, {"name": "c", "text": "x"},
            ]})),
            &["spec.source.inline: at most 131072 characters in all; put larger documents into a ConfigMap or a claim"],
        ),
        (
            "an empty glob",
            source(json!({"configMap": {"name": "docs"}, "include": [""]})),
            &["spec.source.include[0]", "at least 1 chars long"],
        ),
        ("an unfit collection", spec(json!({"collection": "My Docs"})), &["spec.collection", "should match"]),
        ("a long collection", spec(json!({"collection": "a".repeat(201)})), &["spec.collection", "200"]),
        ("an unknown mode", spec(json!({"sync": "Replace"})), &["spec.sync", "\"Append\", \"Mirror\""]),
        (
            "no time to parse",
            parsing(json!({"documentTimeoutSeconds": 0})),
            &["spec.parsing.documentTimeoutSeconds", "greater than or equal to 1"],
        ),
        (
            "too long to parse",
            parsing(json!({"documentTimeoutSeconds": 3601})),
            &["spec.parsing.documentTimeoutSeconds", "less than or equal to 3600"],
        ),
        (
            "too large to parse",
            parsing(json!({"maxDocumentBytes": 1_073_741_825})),
            &["spec.parsing.maxDocumentBytes", "less than or equal to"],
        ),
        (
            "tiny chunks",
            spec(json!({"chunking": {"maxTokens": 15, "overlapTokens": 0}})),
            &["spec.chunking.maxTokens", "greater than or equal to 16"],
        ),
        (
            "huge chunks",
            spec(json!({"chunking": {"maxTokens": 8193}})),
            &["spec.chunking.maxTokens", "less than or equal to 8192"],
        ),
        (
            "all overlap",
            spec(json!({"chunking": {"maxTokens": 32, "overlapTokens": 32}})),
            &["spec.chunking.overlapTokens: must be less than spec.chunking.maxTokens"],
        ),
        (
            "no provider",
            spec(json!({"embedding": {}})),
            &["spec.embedding: set exactly one provider, embedded or openAI"],
        ),
        (
            "an unfit model",
            spec(json!({"embedding": {"embedded": {"model": "../secret"}}})),
            &["spec.embedding.embedded.model", "should match"],
        ),
        ("no store", spec(json!({"store": {}})), &["spec.store: set exactly one store, embedded or postgres"]),
        (
            "two stores",
            spec(json!({"store": {"embedded": {}, "postgres": {"connectionSecretRef": {"name": "db"}}}})),
            &["spec.store: set exactly one store, embedded or postgres"],
        ),
        ("a database without a Secret", postgres(json!({})), &["spec.store.postgres.connectionSecretRef: Required"]),
        (
            "two CA bundles",
            postgres(json!({
                "connectionSecretRef": {"name": "db"}, "caBundleSecretRef": {"name": "a"},
                "caBundleConfigMapRef": {"name": "b"},
            })),
            &["spec.store.postgres: set at most one of caBundleSecretRef and caBundleConfigMapRef"],
        ),
        (
            "a CA that nobody checks",
            postgres(json!({
                "connectionSecretRef": {"name": "db"}, "caBundleSecretRef": {"name": "a"}, "tlsMode": "Require",
            })),
            &["spec.store.postgres.tlsMode: certificates are checked only with VerifyFull"],
        ),
        (
            "an unfit schema",
            postgres(json!({"connectionSecretRef": {"name": "db"}, "schemaPrefix": "My-"})),
            &["spec.store.postgres.schemaPrefix", "should match"],
        ),
        (
            "a statement without end",
            postgres(json!({"connectionSecretRef": {"name": "db"}, "statementTimeoutSeconds": 0})),
            &["spec.store.postgres.statementTimeoutSeconds", "greater than or equal to 1"],
        ),
        (
            "too few connections",
            spec(json!({
                "parallelism": 3,
                "store": {"postgres": {"connectionSecretRef": {"name": "db"}, "maxConnections": 5}},
            })),
            &[
                "spec.parallelism: each worker needs two connections to Postgres; lower it, or raise spec.store.postgres",
            ],
        ),
        (
            "two writers of one file",
            spec(json!({"parallelism": 2})),
            &[
                "spec.parallelism: the embedded store takes one writer; set parallelism to 1, or use spec.store.postgres",
            ],
        ),
        ("no worker", spec(json!({"parallelism": 0})), &["spec.parallelism", "greater than or equal to 1"]),
        ("too high a priority", spec(json!({"priority": 1_000_001})), &["spec.priority", "less than or equal to"]),
        ("an unfit queue", spec(json!({"queueName": "Team A"})), &["spec.queueName", "should match"]),
        (
            "no time at all",
            spec(json!({"activeDeadlineSeconds": 0})),
            &["spec.activeDeadlineSeconds", "greater than or equal to 1"],
        ),
        (
            "a negative time",
            spec(json!({"ttlSecondsAfterFinished": -1})),
            &["spec.ttlSecondsAfterFinished", "greater than or equal to 0"],
        ),
        (
            "no attempt",
            policy(json!({"maxAttempts": 0})),
            &["spec.failurePolicy.maxAttempts", "greater than or equal to 1"],
        ),
        (
            "too many attempts",
            policy(json!({"maxAttempts": 101})),
            &["spec.failurePolicy.maxAttempts", "less than or equal to 100"],
        ),
        (
            "a base above the cap",
            policy(json!({"backoffBaseSeconds": 61, "backoffCapSeconds": 60})),
            &["spec.failurePolicy.backoffBaseSeconds: must not exceed spec.failurePolicy.backoffCapSeconds"],
        ),
        (
            "a cap above an hour",
            policy(json!({"backoffCapSeconds": 3601})),
            &["spec.failurePolicy.backoffCapSeconds", "less than or equal to 3600"],
        ),
        (
            "two actions for a category",
            policy(json!({"actions": [
                {"category": "Timeout", "action": "Archive"}, {"category": "Timeout", "action": "Retry"},
            ]})),
            &["spec.failurePolicy.actions: names a category twice; give each category one action"],
        ),
        (
            "an unknown category",
            policy(json!({"actions": [{"category": "Bad", "action": "Retry"}]})),
            &["spec.failurePolicy.actions[0].category", "\"Transient\""],
        ),
        (
            "an empty rule",
            policy(json!({"rules": [{"message": "", "category": "Timeout"}]})),
            &["spec.failurePolicy.rules[0].message", "at least 1 chars long"],
        ),
        (
            "a short retention",
            policy(json!({"archive": {"retentionSeconds": 59}})),
            &["spec.failurePolicy.archive.retentionSeconds", "greater than or equal to 60"],
        ),
        (
            "a label of the operator",
            spec(json!({"worker": {"labels": {"workers.lexigram.dev/owner-uid": "x"}}})),
            &["spec.worker.labels: keys under workers.lexigram.dev/ belong to the operator; choose another prefix"],
        ),
    ];
    bare(async |it| {
        for (name, spec, fragments) in cases {
            let Err(message) = create(it, "bad", spec).await else { panic!("{name}: accepted") };
            for fragment in fragments {
                assert!(message.contains(fragment), "{name}: '{fragment}' is not in: {message}");
            }
        }
        let message = create(it, &"a".repeat(201), spec(json!({}))).await.unwrap_err();
        assert!(message.contains("spec.collection: set it (at most 200 characters)"), "{message}");
    });
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
