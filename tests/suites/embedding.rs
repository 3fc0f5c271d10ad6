//! Batches of texts, from a manifest and from files, into a collection and into files, by the model in the worker and by a
//! server that fails as told.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a panic is how a test fails")]

use std::{collections::BTreeSet, fs, process::Command};

use lexigram_api::{
    failure::{FailureAction, FailureCategory},
    resource::{ConditionType, DryRunResult, EmbeddingBatch, State, TextCounts},
};
use lexigram_fault_provider::{Fault, FaultProvider, POISON, Script};
use lexigram_tests::{Sandbox, WORKERS, address, condition_of, sandbox};
use serde_json::{Value, json};

fn counts(batch: &EmbeddingBatch) -> TextCounts {
    batch.status.as_ref().unwrap().texts.clone().unwrap()
}

fn texts(total: i32, done: i32, failed: i32, cached: i64) -> TextCounts {
    TextCounts { total, done, failed, cached }
}

fn reason(batch: &EmbeddingBatch) -> &str {
    &condition_of(batch, ConditionType::Complete).unwrap().reason
}

fn provider(server: &FaultProvider, settings: Value) -> Value {
    let mut all = json!({"url": server.url(), "model": "stand-in", "dimensions": 8});
    all.as_object_mut().unwrap().extend(settings.as_object().unwrap().clone());
    json!({"openAI": all})
}

fn many(count: usize) -> Value {
    (0..count).map(|n| json!({"id": format!("t-{n}"), "text": format!("text number {n}")})).collect()
}

/// Writes `rows` rows of JSON into a file of a claim.
async fn export(it: &Sandbox, rows: usize) {
    it.claim("exports").await;
    // the shell has hardly a program beside it
    let row = r#"echo "{\"id\": $n, \"body\": \"row $n of the ledger\", \"lang\": \"en\"}""#;
    let script = format!("n=1; while [ $n -le {rows} ]; do {row}; n=$((n + 1)); done > /files/rows.jsonl");
    it.shell("exports", &script).await;
}

fn exported() -> Value {
    json!({
        "persistentVolumeClaim": {"claimName": "exports", "path": "rows.jsonl"},
        "textField": "body", "idField": "id", "metadataFields": ["lang"],
    })
}

#[test]
fn texts_of_a_manifest_are_found_and_a_second_batch_embeds_nothing() {
    sandbox(json!({}), async |it| {
        let input = json!({"texts": [
            {"id": "kettle", "text": "The kettle boils in a minute.", "metadata": {"stars": "5"}},
            {"id": "lid", "text": "The lid broke off after a week."},
            {"id": "again", "text": "The lid broke off after a week."},
        ]});
        it.batches().apply("reviews", json!({"input": input})).await;
        let batch = it.batches().until_true("reviews", ConditionType::Complete).await;
        // of equal texts one is embedded, whether the cache or the batch itself knows the other
        assert_eq!((counts(&batch), reason(&batch)), (texts(3, 3, 0, 1), "Completed"));
        assert_eq!(it.search("reviews", "hot water soon", 1).await[0].document, "kettle");

        it.batches().apply("again", json!({"input": input})).await;
        let again = it.batches().until_true("again", ConditionType::Complete).await;
        assert_eq!((counts(&again), again.status.unwrap().job.tokens), (texts(3, 3, 0, 3), Some(0)));
        assert_eq!(it.search("again", "hot water soon", 3).await.len(), 3);
    });
}

#[test]
fn a_worker_killed_half_way_leaves_every_row_once() {
    sandbox(json!({}), async |it| {
        export(it, 10_000).await;
        it.batches().apply("rows", json!({"input": exported()})).await;
        it.batches()
            .until("rows", "is midway", |batch| {
                let texts = batch.status.as_ref()?.texts.as_ref()?;
                (texts.total == 10_000 && texts.done > 0 && texts.done < 8_000).then_some(())
            })
            .await;
        it.kill(WORKERS).await;
        let batch = it.batches().until_true("rows", ConditionType::Complete).await;
        let counted = counts(&batch);
        assert_eq!((counted.total, counted.done, counted.failed), (10_000, 10_000, 0));
        assert!(batch.status.unwrap().throughput.unwrap().ends_with("/s"));
        it.assert_rows("rows", 10_000).await;
        assert_eq!(it.search("rows", "row 4711 of the ledger", 1).await[0].document, "4711");
    });
}

#[test]
fn files_hold_every_row_and_pyarrow_reads_them() {
    sandbox(json!({}), async |it| {
        export(it, 1_500).await;
        it.claim("vectors").await;
        let files = json!({"claimName": "vectors", "path": "out/rows", "format": "Parquet"});
        it.batches().apply("rows", json!({"input": exported(), "output": {"files": files}})).await;
        let batch = it.batches().until_true("rows", ConditionType::Complete).await;
        assert_eq!((counts(&batch).done, batch.status.unwrap().collection), (1_500, None));

        let folder = std::env::temp_dir().join(&it.namespace);
        it.copy_claim("vectors", &folder).await;
        let python =
            std::env::var("LEXIGRAM_PYTHON").expect("LEXIGRAM_PYTHON is not set: run `just test`, which sets it");
        let script = "import glob, json, pyarrow.parquet as pq
rows = [row for part in sorted(glob.glob('part-*.parquet')) for row in pq.read_table(part).to_pylist()]
assert len(rows) == 1500 and {row['id'] for row in rows} == {str(n) for n in range(1, 1501)}, len(rows)
assert all(len(row['vector']) == 384 for row in rows)
assert all(row['text'] == f\"row {row['id']} of the ledger\" for row in rows)
print(json.loads(rows[0]['metadata'])['lang'])";
        let read = Command::new(python).args(["-c", script]).current_dir(folder.join("out/rows")).output().unwrap();
        assert!(read.status.success(), "{}", String::from_utf8_lossy(&read.stderr));
        assert_eq!(String::from_utf8_lossy(&read.stdout).trim(), "en");
        fs::remove_dir_all(&folder).unwrap();

        // another batch must not write among these files
        it.batches().apply("other", json!({"input": exported(), "output": {"files": files}})).await;
        let other = it.batches().until_true("other", ConditionType::Failed).await;
        let message = &condition_of(&other, ConditionType::Failed).unwrap().message;
        assert!(message.contains("spec.output.files.path"), "{message}");
    });
}

#[test]
fn a_dry_run_counts_and_prices_without_embedding() {
    sandbox(json!({}), async |it| {
        let server = FaultProvider::start(address(&it.client).await, Script::default()).await.unwrap();
        let lines = "{\"text\": \"one two three\"}\n{\"text\": \"one two three\"}\nnot json\n{\"text\": null}\n";
        let long = format!("{{\"text\": \"{}\"}}\n", "word ".repeat(40));
        it.config_map("rows", [("rows.jsonl".to_owned(), format!("{lines}{long}").into_bytes())]).await;
        let embedding = provider(&server, json!({"maxTokensPerText": 16, "pricePerMillionTokens": "1000"}));
        let spec = json!({"dryRun": true, "input": {"configMap": {"name": "rows", "key": "rows.jsonl"}}, "embedding": embedding});
        it.batches().apply("price", spec).await;
        let batch = it.batches().until_true("price", ConditionType::Complete).await;
        let status = batch.status.as_ref().unwrap();
        let found = status.dry_run.clone().unwrap();
        assert_eq!(
            DryRunResult { tokens: 0, ..found.clone() },
            DryRunResult { tokens: 0, duplicates: 1, too_long: 1, invalid: 2 }
        );
        assert!(found.tokens > 0 && found.tokens < 60, "{found:?}");
        // a thousand a million: a thousandth each
        assert_eq!(status.estimated_cost.clone(), Some(format!("0.{:03}0", found.tokens)));
        let named: Vec<&str> =
            status.job.dead_letters.as_ref().unwrap().recent.iter().map(|failure| failure.id.as_str()).collect();
        assert!(named.contains(&"line 3") && named.contains(&"line 4"), "{named:?}");
        assert_eq!(server.counts().requests, 0);
    });
}

#[test]
fn bad_rows_name_their_line_and_the_rest_lands() {
    sandbox(json!({}), async |it| {
        let huge = "x".repeat(900_000);
        let rows = format!(
            "{{\"id\": \"good\", \"text\": \"herons fish at dawn\"}}\n{{\"id\": \"broken\", \"text\":\n{{\"id\": \"other\", \"body\": \"x\"}}\n{{\"id\": \"null\", \"text\": null}}\n{{\"id\": \"last\", \"text\": \"frost breaks pots\"}}\n{{\"text\": 7, \"note\": \"{huge}\"}}\n"
        );
        it.config_map("rows", [("rows.jsonl".to_owned(), rows.into_bytes())]).await;
        let input = json!({"configMap": {"name": "rows", "key": "rows.jsonl"}, "idField": "id"});
        it.batches().apply("rows", json!({"input": input})).await;
        let batch = it.batches().until_true("rows", ConditionType::Complete).await;
        assert_eq!((counts(&batch), reason(&batch)), (texts(6, 2, 4, 0), "CompletedWithFailures"));
        let failures = &batch.status.as_ref().unwrap().job.dead_letters.as_ref().unwrap().recent;
        for line in ["line 2", "line 3", "line 4", "line 6"] {
            let failure = failures.iter().find(|failure| failure.id.starts_with(line)).expect(line);
            assert_eq!((failure.category, failure.action), (FailureCategory::InvalidInput, FailureAction::Archive));
        }
        let found: BTreeSet<String> = it.search("rows", "birds", 9).await.into_iter().map(|hit| hit.document).collect();
        assert_eq!(found, ["good", "last"].map(str::to_owned).into());
    });
}

#[test]
fn batches_queue_among_themselves_and_jobs_do_not_wait_for_them() {
    let limits = json!({"ai_workers": {"batch_embedding_concurrency": 1, "document_ingestion_concurrency": 1}});
    sandbox(limits, async |it| {
        export(it, 10_000).await;
        it.batches().apply("first", json!({"input": exported()})).await;
        it.batches().until_state("first", State::Running, "Running").await;
        it.batches().apply("second", json!({"input": {"texts": [{"text": "hello"}]}})).await;
        let second = it.batches().until_state("second", State::Queued, "Queued").await;
        assert_eq!(second.status.as_ref().unwrap().job.queue_position, Some(1));
        let message = &condition_of(&second, ConditionType::Reconciling).unwrap().message;
        assert!(message.contains("ai_workers.batch_embedding_concurrency"), "{message}");
        // of the same name as a batch, and in the same collection
        it.ingest("first", json!({"source": {"inline": [{"name": "a.txt", "text": "Hello."}]}, "collection": "jobs"}))
            .await;
        it.until_true("first", ConditionType::Complete).await;
        it.batches().change("first", json!({"suspend": true})).await;
        it.batches().until_true("second", ConditionType::Complete).await;
    });
}

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
