//! What the worker's tests share: the model, the program, work specs, and a look into stores.

// each test binary uses a part of this
#![allow(dead_code)]

pub mod arrivals;
pub mod batch;
pub mod chaos;
pub mod fake;
pub mod git;
pub mod job;
pub mod pod;
pub mod postgres;
pub mod proxy;
pub mod s3;
pub mod source;
pub mod upkeep;
pub mod web;

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
    time::{Duration, Instant},
};

use lexigram_api::contract::Report;
use rusqlite::{Connection, OpenFlags};
use serde_json::{Value, json};

/// The model that tests use.
pub const MODEL: &str = "all-MiniLM-L6-v2";

/// How long a condition may take to come true before a test fails.
const PATIENCE: Duration = Duration::from_secs(120);

/// The folder of models.
pub fn models() -> PathBuf {
    match std::env::var_os("LEXIGRAM_MODELS") {
        Some(folder) => folder.into(),
        None => panic!(
            "LEXIGRAM_MODELS is not set: run the tests with `just unit`, or set it to the parent of the folder that `just model` prints"
        ),
    }
}

/// The program, with the model where it can find it.
pub fn worker() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_lexigram-worker"));
    command.env("LEXIGRAM_MODELS", models()).env_remove("RUST_LOG").env_remove("LEXIGRAM_LISTEN");
    command
}

/// Runs a command to its end and returns its exit code, output and errors.
pub fn run(command: &mut Command) -> (i32, String, String) {
    let Output { status, stdout, stderr } = command.output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (status.code().unwrap(), text(stdout), text(stderr))
}

/// A folder for one test: documents, a store, a work spec and a report.
pub struct Workspace {
    folder: tempfile::TempDir,
}

impl Workspace {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("docs")).unwrap();
        Self { folder }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn docs(&self) -> PathBuf {
        self.path("docs")
    }

    pub fn store(&self) -> PathBuf {
        self.path("docs.db")
    }

    pub fn write(&self, name: &str, text: impl AsRef<[u8]>) {
        fs::write(self.docs().join(name), text).unwrap();
    }

    /// A work spec as the operator writes it, for the folder of documents.
    pub fn spec(&self, run: &str) -> Value {
        json!({
            "contractVersion": "v1alpha1",
            "run": run,
            "task": {
                "type": "Ingest",
                "collection": "docs",
                "scope": "persistentVolumeClaim/docs",
                "mode": { "type": "Full" },
                "source": { "type": "Directory", "path": self.docs() },
                "embedding": { "provider": { "type": "Local", "model": MODEL } },
                "store": { "type": "Sqlite", "path": self.store() },
            },
        })
    }

    /// The worker as a pod runs it, with this spec.
    pub fn pod(&self, spec: &Value) -> Command {
        fs::write(self.path("work.json"), spec.to_string()).unwrap();
        let mut command = worker();
        command
            .args(["run", "--listen", "127.0.0.1:0", "--spec"])
            .arg(self.path("work.json"))
            .arg("--termination-log")
            .arg(self.path("report.json"));
        command
    }

    /// The report that a pod left.
    pub fn report(&self) -> Report {
        let text = fs::read_to_string(self.path("report.json")).unwrap();
        assert!(text.len() <= 4096, "{} bytes", text.len());
        serde_json::from_str(&text).unwrap()
    }

    /// `ingest` of the folder by hand.
    pub fn ingest(&self, arguments: &[&str]) -> (i32, String, String) {
        run(worker().arg("ingest").arg(self.docs()).arg("--store").arg(self.store()).args(arguments))
    }
}

/// The rows of a query, each as its columns' text; none where the store is not there yet.
pub fn query(store: &Path, sql: &str) -> Vec<Vec<String>> {
    lexigram_sqlite_vec::register().unwrap();
    let Ok(connection) = Connection::open_with_flags(store, OpenFlags::SQLITE_OPEN_READ_ONLY) else {
        return Vec::new();
    };
    connection.busy_timeout(Duration::from_secs(10)).unwrap();
    let Ok(mut statement) = connection.prepare(sql) else { return Vec::new() };
    let columns = statement.column_count();
    let text = |row: &rusqlite::Row<'_>, column| {
        Ok::<_, rusqlite::Error>(match row.get::<_, rusqlite::types::Value>(column)? {
            rusqlite::types::Value::Text(text) => text,
            rusqlite::types::Value::Integer(number) => number.to_string(),
            other => format!("{other:?}"),
        })
    };
    let rows =
        statement.query_map([], |row| (0..columns).map(|column| text(row, column)).collect::<Result<Vec<_>, _>>());
    rows.unwrap().map(Result::unwrap).collect()
}

/// The single number that a query gives; 0 where there is none.
pub fn count(store: &Path, sql: &str) -> i64 {
    query(store, sql).first().map_or(0, |row| row[0].parse().unwrap())
}

/// Every chunk by document and ordinal: what two stores must have in common. Vectors are only counted: their last
/// digits depend on what was embedded beside them.
pub fn contents(store: &Path) -> BTreeMap<(String, String), Vec<String>> {
    let rows = query(
        store,
        "SELECT documents.name, chunks.ordinal, uuid, chunks.revision, text, headings
         FROM chunks JOIN documents ON documents.id = chunks.document JOIN vectors ON vectors.rowid = chunks.id",
    );
    let total = rows.len();
    let contents: BTreeMap<_, _> =
        rows.into_iter().map(|mut row| ((row[0].clone(), row[1].clone()), row.split_off(2))).collect();
    assert_eq!(contents.len(), total, "a chunk is there twice");
    assert_eq!(count(store, "SELECT count(*) FROM vectors"), i64::try_from(total).unwrap(), "vectors without a chunk");
    contents
}

/// A figure of a process's memory in KiB, for instance `VmHWM`; 0 once it has ended.
pub fn memory_kib(process: u32, figure: &str) -> usize {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(figure)?.strip_prefix(':'));
    line.map_or(0, |line| line.trim().trim_end_matches(" kB").parse().unwrap())
}

/// How often a condition is looked at.
const POLL_INTERVAL: Duration = Duration::from_millis(2);

/// Waits for what a look at this process's own state finds, while other futures go on.
pub async fn until<T>(what: &str, found: impl Fn() -> Option<T>) -> T {
    let wait = async {
        loop {
            match found() {
                Some(result) => return result,
                None => tokio::time::sleep(POLL_INTERVAL).await,
            }
        }
    };
    tokio::time::timeout(PATIENCE, wait).await.unwrap_or_else(|_| panic!("waited in vain until {what}"))
}

/// Waits until a condition holds.
pub fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "waited in vain until {what}");
        std::thread::sleep(POLL_INTERVAL);
    }
}
