//! Batches in this process, with an embedder that is a fake: what lands, what fails, what a second run does.

// helpers panic as tests do
#![allow(clippy::unwrap_used, clippy::panic)]

mod common;

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use common::{
    Workspace, count,
    fake::{DIMENSION, FakeEmbedder},
    query,
};
use jiff::Timestamp;
use lexigram_api::{
    contract::{EmbedTask, ExitCode, Mode, Report, StageName, Task, WorkSpec},
    text::{TextFormat, VectorFormat},
};
use lexigram_worker::{
    batch::{self, Machine},
    report::Tracker,
    run::{CircuitSettings, Ended},
    store::{SqliteStore, Store},
};
use parquet::file::reader::{FileReader, SerializedFileReader};
use rstest::rstest;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

struct Batch {
    workspace: Workspace,
    embedder: Arc<FakeEmbedder>,
    task: EmbedTask,
}

impl Batch {
    /// Of this JSONL input, into a collection.
    fn new(lines: &[Value]) -> Self {
        let workspace = Workspace::new();
        let spec = json!({
            "contractVersion": "v1alpha1",
            "run": "unused",
            "task": {
                "type": "Embed",
                "scope": "batch/reviews",
                "mode": { "type": "Full" },
                "input": { "type": "File", "path": workspace.path("input.jsonl") },
                "fields": { "idField": "id", "metadataFields": ["lang"] },
                "deduplicate": true,
                "embedding": { "provider": { "type": "Local", "model": "unused" } },
                "output": { "type": "Collection", "collection": "reviews" },
                "store": { "type": "Sqlite", "path": workspace.store(), "cache": workspace.path("cache.db") },
            },
        });
        let spec: WorkSpec = serde_json::from_value(spec).unwrap();
        let Task::Embed(task) = spec.task else { panic!("no batch") };
        let batch = Self { workspace, embedder: FakeEmbedder::new(), task: *task };
        batch.input(lines);
        batch
    }

    /// The same input, into files.
    fn files(lines: &[Value], format: VectorFormat) -> Self {
        let mut batch = Self::new(lines);
        let directory = batch.directory().to_str().unwrap().to_owned();
        batch.task.output = lexigram_api::contract::OutputLocation::Files {
            directory,
            format,
            owner: "EmbeddingBatch a/reviews".to_owned(),
        };
        batch
    }

    fn directory(&self) -> PathBuf {
        self.workspace.path("vectors")
    }

    fn input(&self, lines: &[Value]) {
        let lines: String = lines
            .iter()
            .map(|line| format!("{}\n", line.as_str().map_or_else(|| line.to_string(), str::to_owned)))
            .collect();
        fs::write(self.workspace.path("input.jsonl"), lines).unwrap();
    }

    async fn run_with(&self, run: &str, stop: &CancellationToken) -> Ended {
        let machine = Machine {
            embedder: Arc::clone(&self.embedder) as _,
            scratch: self.workspace.path(""),
            patience: Duration::ZERO,
            shard: 0,
            circuit: CircuitSettings::default(),
        };
        batch::embed(&machine, run, &self.task, &Tracker::new(run), stop).await
    }

    /// A run that comes to its end.
    async fn run(&self, run: &str) -> Report {
        let ended = self.run_with(run, &CancellationToken::new()).await;
        assert_eq!((ended.exit, &ended.report.error), (ExitCode::Finished, &None));
        ended.report
    }

    async fn retry(&mut self, run: &str) -> Report {
        let due_before = Timestamp::now().checked_add(Duration::from_secs(36_000)).unwrap();
        self.task.mode = Mode::Retry { due_before };
        let report = self.run(run).await;
        self.task.mode = Mode::Full;
        report
    }

    fn count(&self, sql: &str) -> i64 {
        count(&self.workspace.store(), sql)
    }

    /// Ids that have a vector.
    fn keys(&self) -> Vec<String> {
        let rows = query(
            &self.workspace.store(),
            "SELECT key FROM chunks JOIN vectors ON vectors.rowid = chunks.id ORDER BY CAST(key AS INTEGER), key",
        );
        rows.into_iter().map(|mut row| row.remove(0)).collect()
    }

    /// The ledger: name, state, weight, reason.
    fn ledger(&self) -> Vec<String> {
        let sql = "SELECT name, state, weight, coalesce(reason, '-') FROM documents ORDER BY first_row, id";
        query(&self.workspace.store(), sql).into_iter().map(|row| row.join(" ")).collect()
    }

    /// Rows of all part files, by id.
    fn parts(&self) -> Vec<(String, Value)> {
        let mut rows: Vec<(String, Value)> = Vec::new();
        for name in self.part_names() {
            let path = self.directory().join(&name);
            match name.ends_with(".jsonl") {
                true => {
                    let text = fs::read_to_string(path).unwrap();
                    rows.extend(text.lines().map(|line| {
                        let row: Value = serde_json::from_str(line).unwrap();
                        (row["id"].as_str().unwrap().to_owned(), row)
                    }));
                }
                false => rows.extend(parquet_rows(&path)),
            }
        }
        rows.sort_by_key(|(id, _)| id.parse::<u64>().unwrap_or(0));
        rows
    }

    fn part_names(&self) -> Vec<String> {
        let names = fs::read_dir(self.directory()).unwrap();
        let mut names: Vec<String> = names.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        assert!(!names.iter().any(|name| name.starts_with('.')), "{names:?}");
        names.retain(|name| name.starts_with("part-"));
        names
    }
}

fn parquet_rows(path: &Path) -> Vec<(String, Value)> {
    use parquet::record::{Field, RowAccessor};
    let reader = SerializedFileReader::new(fs::File::open(path).unwrap()).unwrap();
    let rows = reader.get_row_iter(None).unwrap();
    rows.map(|row| {
        let row = row.unwrap();
        let vector: Vec<f32> = row
            .get_list(2)
            .unwrap()
            .elements()
            .iter()
            .map(|field| match field {
                Field::Float(number) => *number,
                other => panic!("{other:?}"),
            })
            .collect();
        let id = row.get_string(0).unwrap().clone();
        let mut value = json!({ "id": id, "text": row.get_string(1).unwrap(), "vector": vector });
        if let Ok(metadata) = row.get_string(3) {
            value["metadata"] = serde_json::from_str(metadata).unwrap();
        }
        (id, value)
    })
    .collect()
}

fn texts(numbers: std::ops::RangeInclusive<u32>) -> Vec<Value> {
    numbers.map(|number| json!({ "id": number, "text": format!("text number {number}"), "lang": "en" })).collect()
}

#[tokio::test]
async fn every_row_lands_once_with_id_and_metadata() {
    let batch = Batch::new(&texts(1..=2500));
    let report = batch.run("r1").await;
    assert_eq!((report.counts.items.total, report.counts.items.done, report.counts.chunks), (2500, 2500, 2500));
    assert_eq!((report.counts.tokens, report.counts.cached), (2500, 0));
    let busy: Vec<_> = report.stages.iter().map(|stage| stage.name).collect();
    assert_eq!(busy, [StageName::List, StageName::Fetch, StageName::Embed, StageName::Store]);
    assert_eq!(batch.ledger(), ["rows 1-1000 Done 1000 -", "rows 1001-2000 Done 1000 -", "rows 2001-2500 Done 500 -"]);
    assert_eq!(batch.keys(), (1..=2500).map(|number| number.to_string()).collect::<Vec<_>>());
    assert_eq!(batch.count("SELECT count(*) FROM vectors"), 2500);
    let store = SqliteStore::open(&batch.workspace.store()).unwrap();
    let hit = &store.search(&[1.0, 13.0, 0.0, -0.5], 1).await.unwrap()[0];
    // the fake's vectors tell texts apart by their length only
    assert!(hit.scope == "batch/reviews" && hit.document.len() == 1, "{hit:?}");
    assert_eq!(hit.metadata, Some(json!({ "lang": "en" })));
}

#[tokio::test]
async fn rows_that_cannot_be_embedded_name_their_line_and_the_rest_lands() {
    let mut lines = texts(1..=4);
    lines.insert(1, json!("{\"id\": 99, "));
    lines.insert(3, json!({ "id": 98, "text": null }));
    lines.push(json!({ "id": 97, "text": "this is poison" }));
    lines.push(json!({ "id": 3, "text": "another text with an id that is taken" }));
    let batch = Batch::new(&lines);
    let report = batch.run("r1").await;
    assert_eq!((report.counts.items.total, report.counts.items.done, report.counts.items.failed), (8, 4, 4));
    assert_eq!((report.counts.failures.archived, report.counts.failures.retrying), (3, 1));
    assert!(report.next_retry_time.is_some());
    assert_eq!(batch.keys(), ["1", "2", "3", "4"]);
    assert_eq!(
        batch.ledger(),
        [
            "rows 1-8 Done 4 -",
            "line 2 Archived 1 RowInvalid",
            "line 4 Archived 1 TextMissing",
            "line 7 (id 97) Failed 1 EmbeddingFailed",
            "line 8 (id 3) Archived 1 DuplicateId",
        ]
    );
    let names: Vec<&str> = report.recent_failures.iter().map(|failure| failure.item.as_str()).collect();
    assert_eq!(names, ["line 8 (id 3)", "line 7 (id 97)", "line 4", "line 2"]);
}

#[tokio::test]
async fn a_second_batch_of_the_same_texts_embeds_nothing() {
    let mut batch = Batch::new(&texts(1..=300));
    batch.run("r1").await;
    assert_eq!(batch.embedder.take_embedded(), 300);
    batch.task.scope = "batch/again".to_owned();
    let report = batch.run("r2").await;
    assert_eq!(batch.embedder.take_embedded(), 0);
    assert_eq!((report.counts.items.done, report.counts.cached, report.counts.tokens), (300, 300, 0));
    assert_eq!(batch.count("SELECT count(*) FROM vectors"), 600);
}

#[tokio::test]
async fn equal_texts_are_embedded_once_where_the_batch_says_so() {
    let lines: Vec<Value> = (0..50).map(|id| json!({ "id": id, "text": "the same" })).collect();
    let mut batch = Batch::new(&lines);
    let report = batch.run("r1").await;
    assert_eq!((batch.embedder.take_embedded(), report.counts.cached, report.counts.items.done), (1, 49, 50));
    batch.task.deduplicate = false;
    batch.task.scope = "batch/again".to_owned();
    let report = batch.run("r2").await;
    assert_eq!((batch.embedder.take_embedded(), report.counts.cached), (50, 0));
}

#[tokio::test]
async fn a_broken_cache_fails_nothing() {
    let batch = Batch::new(&texts(1..=10));
    fs::write(batch.workspace.path("cache.db"), "no database ".repeat(500)).unwrap();
    assert_eq!(batch.run("r1").await.counts.items.done, 10);
}

#[tokio::test]
async fn what_has_not_changed_is_skipped_and_what_is_gone_is_removed() {
    let batch = Batch::new(&texts(1..=2500));
    batch.run("r1").await;
    let mut shorter = texts(1..=1500);
    shorter[1200] = json!({ "id": 1201, "text": "another text" });
    batch.input(&shorter);
    batch.embedder.take_embedded();
    let report = batch.run("r2").await;
    assert_eq!((report.counts.items.total, report.counts.items.skipped, report.counts.items.done), (1500, 1000, 500));
    assert_eq!((report.counts.items.deleted, batch.embedder.take_embedded()), (1000, 1));
    assert_eq!(batch.keys().len(), 1500);
    assert_eq!(batch.count("SELECT count(*) FROM vectors"), 1500);
    assert_eq!(batch.count("SELECT count(*) FROM chunks WHERE text = 'another text'"), 1);
}

#[tokio::test]
async fn ids_may_move_within_the_input() {
    let batch = Batch::new(&texts(1..=1500));
    batch.run("r1").await;
    let mut turned = texts(1..=1500);
    turned.reverse();
    batch.input(&turned);
    let report = batch.run("r2").await;
    assert_eq!((report.counts.items.done, report.counts.items.failed), (1500, 0));
    assert_eq!(batch.keys().len(), 1500);
}

#[tokio::test]
async fn a_run_that_was_stopped_goes_on_where_it_ended() {
    let batch = Batch::new(&texts(1..=5000));
    let stop = CancellationToken::new();
    let (mut calls, token) = (0, stop.clone());
    *batch.embedder.before.lock().unwrap() = Some(Box::new(move || {
        calls += 1;
        if calls == 40 {
            token.cancel();
        }
    }));
    let ended = batch.run_with("r1", &stop).await;
    assert_eq!((ended.exit, ended.report.error), (ExitCode::Interrupted, None));
    let done = ended.report.counts.items.done;
    assert!((1..5000).contains(&done), "{done}");
    assert_eq!(batch.count("SELECT count(*) FROM documents WHERE state = 'InFlight' OR attempts > 0"), 0);
    *batch.embedder.before.lock().unwrap() = None;
    let report = batch.run("r1").await;
    assert_eq!((report.counts.items.total, report.counts.items.done), (5000, 5000));
    // the cache knows what was embedded and not stored; only calls that were broken off are made again
    let embedded = batch.embedder.take_embedded();
    assert!((5000..=5128).contains(&embedded), "{embedded}");
    assert_eq!(batch.keys().len(), 5000);
}

#[rstest]
#[case::collection(None)]
#[case::json_lines(Some(VectorFormat::JsonLines))]
#[case::parquet(Some(VectorFormat::Parquet))]
#[tokio::test]
async fn a_retry_embeds_what_failed_and_nothing_else(#[case] format: Option<VectorFormat>) {
    let mut lines = texts(1..=1200);
    lines[6] = json!({ "id": 7, "text": "poison for a while" });
    lines[1100] = json!({ "id": 1101, "text": "more poison" });
    let mut batch = match format {
        None => Batch::new(&lines),
        Some(format) => Batch::files(&lines, format),
    };
    let report = batch.run("r1").await;
    assert_eq!((report.counts.items.done, report.counts.failures.retrying), (1198, 2));

    let report = batch.retry("retry1").await;
    assert_eq!((report.counts.items.total, report.counts.items.failed), (2, 2));
    let attempts = "SELECT count(*) FROM documents WHERE attempts = 2";
    assert_eq!(batch.count(attempts), 2);

    batch.embedder.antidote.store(true, Ordering::Relaxed);
    batch.embedder.take_embedded();
    let report = batch.retry("retry2").await;
    assert_eq!((report.counts.items.total, report.counts.items.done, batch.embedder.take_embedded()), (2, 2, 2));
    assert_eq!(report.next_retry_time, None);
    let keys = if format.is_some() { batch.parts().into_iter().map(|(key, _)| key).collect() } else { batch.keys() };
    assert_eq!(keys, (1..=1200).map(|number| number.to_string()).collect::<Vec<_>>());

    // everything is there: the next full run has nothing to do
    let report = batch.run("r2").await;
    assert_eq!((report.counts.items.skipped, report.counts.items.total), (1200, 1200));
    if format.is_some() {
        assert_eq!(batch.parts().len(), 1200);
    }
}

#[tokio::test]
async fn a_retry_of_a_row_that_has_changed_is_given_up() {
    let mut lines = texts(1..=3);
    lines[1] = json!({ "id": 2, "text": "poison" });
    let mut batch = Batch::new(&lines);
    batch.run("r1").await;
    lines[1] = json!({ "id": 2, "text": "health" });
    batch.input(&lines);
    let report = batch.retry("retry1").await;
    assert_eq!((report.counts.failures.archived, report.recent_failures[0].reason.as_str()), (1, "RowGone"));
}

#[tokio::test]
async fn a_provider_that_is_down_fails_ranges_and_not_rows() {
    let mut batch = Batch::new(&texts(1..=1500));
    batch.embedder.down.store(true, Ordering::Relaxed);
    let report = batch.run("r1").await;
    assert_eq!((report.counts.failures.retrying, report.counts.items.total), (1500, 1500));
    assert_eq!(
        batch.ledger(),
        ["rows 1-1000 Failed 1000 EmbeddingFailed", "rows 1001-1500 Failed 500 EmbeddingFailed"]
    );
    batch.embedder.down.store(false, Ordering::Relaxed);
    let report = batch.retry("retry1").await;
    assert_eq!((report.counts.items.total, report.counts.items.done), (1500, 1500));
    assert_eq!(batch.keys().len(), 1500);
}

#[rstest]
#[case::json_lines(VectorFormat::JsonLines)]
#[case::parquet(VectorFormat::Parquet)]
#[tokio::test]
async fn vectors_are_written_to_part_files(#[case] format: VectorFormat) {
    let mut lines = texts(1..=10_500);
    lines[2] = json!({ "id": 3, "text": null });
    lines[3] = json!({ "id": 4, "text": "no metadata" });
    let batch = Batch::files(&lines, format);
    let report = batch.run("r1").await;
    assert_eq!((report.counts.items.done, report.counts.items.failed), (10_499, 1));
    assert_eq!(batch.part_names().len(), 2);
    let parts = batch.parts();
    assert_eq!(parts.len(), 10_499);
    assert_eq!(
        parts[0].1,
        json!({ "id": "1", "text": "text number 1", "vector": [1.0, 13.0, 0.0, -0.5], "metadata": { "lang": "en" } })
    );
    assert_eq!(parts[2].1, json!({ "id": "4", "text": "no metadata", "vector": [1.0, 11.0, 0.0, -0.5] }));
    assert_eq!(parts[0].1["vector"].as_array().unwrap().len(), DIMENSION);

    batch.input(&texts(1..=20));
    let report = batch.run("r2").await;
    assert_eq!((report.counts.items.done, report.counts.items.deleted), (20, 10_479));
    assert_eq!((batch.part_names().len(), batch.parts().len()), (1, 20));
}

#[tokio::test]
async fn a_part_file_that_was_removed_is_written_again() {
    let batch = Batch::files(&texts(1..=20), VectorFormat::JsonLines);
    batch.run("r1").await;
    assert_eq!(batch.run("r2").await.counts.items.skipped, 20);
    fs::remove_file(batch.directory().join("part-00000.jsonl")).unwrap();
    assert_eq!(batch.run("r3").await.counts.items.done, 20);
    assert_eq!(batch.parts().len(), 20);
}

#[tokio::test]
async fn hidden_parts_get_their_name_only_if_the_ledger_knows_them() {
    let batch = Batch::files(&texts(1..=20), VectorFormat::JsonLines);
    batch.run("r1").await;
    // as a process leaves it that died between the ledger and the renaming
    let revision = query(&batch.workspace.store(), "SELECT revision FROM documents")[0][0].clone();
    fs::rename(batch.directory().join("part-00000.jsonl"), batch.directory().join(format!(".{revision}"))).unwrap();
    fs::write(batch.directory().join(".part-00001.jsonl#1-1"), "{}").unwrap();
    assert_eq!(batch.run("r2").await.counts.items.skipped, 20);
    assert_eq!((batch.part_names(), batch.parts().len()), (vec!["part-00000.jsonl".to_owned()], 20));
}

#[tokio::test]
async fn a_directory_that_is_another_s_is_left_alone() {
    let mut batch = Batch::files(&texts(1..=3), VectorFormat::JsonLines);
    batch.run("r1").await;
    if let lexigram_api::contract::OutputLocation::Files { owner, .. } = &mut batch.task.output {
        "EmbeddingBatch a/other".clone_into(owner);
    }
    let refused = |ended: Ended| {
        let error = ended.report.error.unwrap();
        assert_eq!((ended.exit, error.reason.as_str()), (ExitCode::Configuration, "OutputTaken"));
        assert!(error.message.starts_with("spec.output.files.path: the directory "), "{}", error.message);
        error.message
    };
    let message = refused(batch.run_with("r2", &CancellationToken::new()).await);
    assert!(message.contains("holds the output of EmbeddingBatch a/reviews"), "{message}");

    let batch = Batch::files(&texts(1..=3), VectorFormat::JsonLines);
    fs::create_dir(batch.directory()).unwrap();
    fs::write(batch.directory().join("theirs.txt"), "theirs").unwrap();
    let message = refused(batch.run_with("r1", &CancellationToken::new()).await);
    assert!(message.contains("'theirs.txt'"), "{message}");
    assert!(!batch.workspace.store().exists());
}

#[tokio::test]
async fn a_dry_run_counts_and_touches_nothing() {
    let mut lines = texts(1..=1200);
    lines.push(lines[0].clone());
    lines.push(json!("no json"));
    lines.push(json!({ "id": 5, "text": "too long ".repeat(20) }));
    let mut batch = Batch::new(&lines);
    batch.task.dry_run = true;
    let report = batch.run("r1").await;
    let dry_run = report.dry_run.unwrap();
    assert_eq!((dry_run.tokens, dry_run.duplicates, dry_run.too_long, dry_run.invalid), (3600, 1, 1, 1));
    assert_eq!((report.counts.items.total, report.counts.items.done, report.counts.items.failed), (1203, 1203, 0));
    assert_eq!(report.recent_failures[0].item, "line 1202");
    assert_eq!((batch.embedder.take_embedded(), batch.workspace.store().exists()), (0, false));
    batch.task.deduplicate = false;
    assert_eq!(batch.run("r2").await.dry_run.unwrap().tokens, 3603);
    batch.task.embedding.truncate = true;
    assert_eq!(batch.run("r3").await.dry_run.unwrap().tokens, 3619);
}

#[tokio::test]
async fn texts_of_the_spec_itself_are_rows() {
    let mut batch = Batch::new(&[]);
    let texts =
        json!([{ "text": "first" }, { "id": "b", "text": "second", "metadata": { "k": "v" } }, { "text": " " }]);
    batch.task.input = lexigram_api::contract::InputLocation::Inline { texts: serde_json::from_value(texts).unwrap() };
    let report = batch.run("r1").await;
    assert_eq!((report.counts.items.done, report.counts.items.failed), (2, 1));
    assert_eq!(report.recent_failures[0].item, "row 3");
    let rows = query(&batch.workspace.store(), "SELECT key, coalesce(metadata, '-') FROM chunks ORDER BY ordinal");
    assert_eq!(rows, [["1", "-"], ["b", "{\"k\":\"v\"}"]]);
}

#[tokio::test]
async fn an_empty_input_is_no_failure() {
    let batch = Batch::new(&[]);
    assert_eq!(batch.run("r1").await.counts.items.total, 0);
}

#[rstest]
#[case("/nowhere/input.jsonl", None, "InputNotFound")]
#[case("/nowhere/input.data", None, "InputFormatUnknown")]
#[case("/nowhere/input.data", Some(TextFormat::Csv), "InputNotFound")]
#[case("/etc", Some(TextFormat::Csv), "InputNotAFile")]
#[tokio::test]
async fn an_input_that_cannot_be_read_ends_the_run(
    #[case] path: &str,
    #[case] format: Option<TextFormat>,
    #[case] reason: &str,
) {
    let mut batch = Batch::new(&[]);
    batch.task.input = lexigram_api::contract::InputLocation::File { path: path.to_owned() };
    batch.task.format = format;
    let ended = batch.run_with("r1", &CancellationToken::new()).await;
    assert_eq!((ended.exit, ended.report.error.unwrap().reason.as_str()), (ExitCode::Configuration, reason));
    assert!(!batch.workspace.store().exists());
}

#[tokio::test]
async fn a_collection_of_another_model_is_refused() {
    let batch = Batch::new(&texts(1..=3));
    batch.run("r1").await;
    let connection = rusqlite::Connection::open(batch.workspace.store()).unwrap();
    connection.execute("UPDATE meta SET value = 'other@1' WHERE key = 'model'", []).unwrap();
    drop(connection);
    let ended = batch.run_with("r2", &CancellationToken::new()).await;
    let error = ended.report.error.unwrap();
    assert_eq!((ended.exit, error.reason.as_str()), (ExitCode::Configuration, "ModelMismatch"));
    assert!(error.message.contains("other@1") && error.message.contains("fake@1"), "{}", error.message);
}
