//! What a spec has besides its source: collection, parsing, chunks, model, store, runs, failures, worker.

use lexigram_api::resource::IngestionJob;
use lexigram_tests::bare;
use serde_json::{Value, json};

use super::{super::asked, spec};

/// A job whose store is a database with these settings.
fn postgres(settings: Value) -> Value {
    spec(json!({"store": {"postgres": settings}}))
}

#[test]
fn good_specs_are_accepted() {
    let cases = [
        ("the smallest one", spec(json!({}))),
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
        (
            "a worker of one's own",
            spec(json!({"worker": {"image": "[::1]:5000/team/worker:1.0@sha256:0123456789abcdef"}})),
        ),
    ];
    bare(async |it| {
        asked::accepted::<IngestionJob>(it, cases).await;
        asked::create::<IngestionJob>(it, &"a".repeat(200), spec(json!({}))).await.unwrap();
        asked::create::<IngestionJob>(it, &"a".repeat(253), spec(json!({"collection": "short"}))).await.unwrap();
    });
}

#[test]
fn bad_specs_are_refused_with_the_field_and_the_fix() {
    let policy = |policy: Value| spec(json!({"failurePolicy": policy}));
    let parsing = |parsing: Value| spec(json!({"parsing": parsing}));
    // each with what the message has to say
    let cases: Vec<(&str, Value, &[&str])> = vec![
        ("an unknown field", spec(json!({"colection": "docs"})), &["unknown field \"spec.colection\""]),
        (
            "an unknown field deep inside",
            spec(json!({"chunking": {"maxToken": 20}})),
            &["unknown field \"spec.chunking.maxToken\""],
        ),
        ("a wrong type", spec(json!({"priority": "high"})), &["spec.priority", "integer"]),
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
        ("no image", spec(json!({"worker": {"image": ""}})), &["spec.worker.image", "at least 1"]),
        ("an unfit image", spec(json!({"worker": {"image": "my worker"}})), &["spec.worker.image", "should match"]),
        ("a long image", spec(json!({"worker": {"image": "a".repeat(513)}})), &["spec.worker.image", "512"]),
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
        asked::refused::<IngestionJob>(it, cases).await;
        let message = asked::create::<IngestionJob>(it, &"a".repeat(201), spec(json!({}))).await.unwrap_err();
        assert!(message.contains("spec.collection: set it (at most 200 characters)"), "{message}");
    });
}
