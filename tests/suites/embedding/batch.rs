//! Batches of texts, from a manifest and from files, into a collection and into files.

use std::{fs, process::Command};

use lexigram_api::resource::{ConditionType, DryRunResult, State};
use lexigram_fault_provider::{FaultProvider, Script};
use lexigram_tests::{Sandbox, WORKERS, address, condition_of, sandbox};
use serde_json::{Value, json};

use crate::{counts, provider, reason, texts};

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
