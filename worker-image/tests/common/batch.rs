//! Batches in this process, with an embedder that is a fake: of a file, into a collection or into files.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use lexigram_api::{
    contract::{EmbedTask, ExitCode, Mode, OutputLocation, Report, Task, WorkSpec},
    text::VectorFormat,
};
use lexigram_worker::{
    batch::{self, Machine},
    report::Tracker,
    run::{CircuitSettings, Ended},
};
use parquet::{
    file::reader::{FileReader, SerializedFileReader},
    record::{Field, RowAccessor},
};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::{Workspace, count, fake::FakeEmbedder, job::retry, query};

/// A batch of one file.
pub struct Batch {
    pub workspace: Workspace,
    pub embedder: Arc<FakeEmbedder>,
    pub circuit: CircuitSettings,
    pub task: EmbedTask,
}

impl Batch {
    /// Of a file of that name, into a collection; equal texts are embedded as often as they come.
    pub fn of(name: &str, input: &str) -> Self {
        let workspace = Workspace::new();
        let spec = json!({
            "contractVersion": "v1alpha1",
            "run": "unused",
            "task": {
                "type": "Embed",
                "scope": "batch/reviews",
                "mode": { "type": "Full" },
                "input": { "type": "File", "path": workspace.path(name) },
                "deduplicate": false,
                "embedding": { "provider": { "type": "Local", "model": "unused" } },
                "output": { "type": "Collection", "collection": "reviews" },
                "store": { "type": "Sqlite", "path": workspace.store(), "cache": workspace.path("cache.db") },
            },
        });
        let spec: WorkSpec = serde_json::from_value(spec).unwrap();
        let Task::Embed(task) = spec.task else { panic!("no batch") };
        fs::write(workspace.path(name), input).unwrap();
        Self { workspace, embedder: FakeEmbedder::new(), circuit: CircuitSettings::default(), task: *task }
    }

    /// Of this JSONL input, with ids and metadata; equal texts are embedded once.
    pub fn new(lines: &[Value]) -> Self {
        let mut batch = Self::of("input.jsonl", "");
        batch.task.deduplicate = true;
        batch.task.fields = serde_json::from_value(json!({ "idField": "id", "metadataFields": ["lang"] })).unwrap();
        batch.input(lines);
        batch
    }

    /// The same input, into files.
    pub fn files(lines: &[Value], format: VectorFormat) -> Self {
        let mut batch = Self::new(lines);
        let directory = batch.directory().to_str().unwrap().to_owned();
        batch.task.output = OutputLocation::Files { directory, format, owner: "EmbeddingBatch a/reviews".to_owned() };
        batch
    }

    pub fn directory(&self) -> PathBuf {
        self.workspace.path("vectors")
    }

    pub fn input(&self, lines: &[Value]) {
        let lines: String = lines
            .iter()
            .map(|line| format!("{}\n", line.as_str().map_or_else(|| line.to_string(), str::to_owned)))
            .collect();
        fs::write(self.workspace.path("input.jsonl"), lines).unwrap();
    }

    /// A run of that mode, as it ends.
    pub async fn run_with(&self, run: &str, mode: Mode, stop: &CancellationToken) -> Ended {
        let machine = Machine {
            embedder: Arc::clone(&self.embedder) as _,
            scratch: self.workspace.path(""),
            patience: Duration::ZERO,
            shard: 0,
            circuit: self.circuit,
        };
        let task = EmbedTask { mode, ..self.task.clone() };
        batch::embed(&machine, run, &task, &Tracker::new(run), stop).await
    }

    /// A run of that mode that comes to its end.
    pub async fn run_as(&self, run: &str, mode: Mode) -> Report {
        let ended = self.run_with(run, mode, &CancellationToken::new()).await;
        assert_eq!((ended.exit, &ended.report.error), (ExitCode::Finished, &None));
        ended.report
    }

    /// A full run that comes to its end.
    pub async fn run(&self, run: &str) -> Report {
        self.run_as(run, Mode::Full).await
    }

    pub async fn retry(&self, run: &str) -> Report {
        self.run_as(run, retry()).await
    }

    pub fn count(&self, sql: &str) -> i64 {
        count(&self.workspace.store(), sql)
    }

    /// Ids that have a vector.
    pub fn keys(&self) -> Vec<String> {
        let rows = query(
            &self.workspace.store(),
            "SELECT key FROM chunks JOIN vectors ON vectors.rowid = chunks.id ORDER BY CAST(key AS INTEGER), key",
        );
        rows.into_iter().map(|mut row| row.remove(0)).collect()
    }

    /// The ledger: name, state, weight, reason.
    pub fn ledger(&self) -> Vec<String> {
        self.rows("name, state, weight, coalesce(reason, '-')")
    }

    /// The ledger: name, state, weight, attempts, reason.
    pub fn attempts(&self) -> Vec<String> {
        self.rows("name, state, weight, attempts, coalesce(reason, '-')")
    }

    fn rows(&self, columns: &str) -> Vec<String> {
        let sql = format!("SELECT {columns} FROM documents ORDER BY first_row, id");
        query(&self.workspace.store(), &sql).into_iter().map(|row| row.join(" ")).collect()
    }

    /// Rows of all part files, by id.
    pub fn parts(&self) -> Vec<(String, Value)> {
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

    pub fn part_names(&self) -> Vec<String> {
        let names = fs::read_dir(self.directory()).unwrap();
        let mut names: Vec<String> = names.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        assert!(!names.iter().any(|name| name.starts_with('.')), "{names:?}");
        names.retain(|name| name.starts_with("part-"));
        names
    }
}

fn parquet_rows(path: &Path) -> Vec<(String, Value)> {
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

/// Texts with ids and metadata.
pub fn texts(numbers: std::ops::RangeInclusive<u32>) -> Vec<Value> {
    numbers.map(|number| json!({ "id": number, "text": format!("text number {number}"), "lang": "en" })).collect()
}
