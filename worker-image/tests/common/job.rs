//! Ingestion in this process, of a source and with an embedder that are fakes.

use std::{path::PathBuf, sync::Arc, time::Duration};

use jiff::{SignedDuration, Timestamp};
use lexigram_api::contract::{IngestTask, Mode, Report, Selection, Task, WorkSpec};
use lexigram_worker::{
    pipeline::{Machine, ingest, ingest_from},
    report::Tracker,
    run::{CircuitSettings, Ended},
};
use tokio_util::sync::CancellationToken;

use super::{Workspace, fake::FakeEmbedder, query, source::FakeSource};

/// A circuit that opens early and waits for nothing.
pub const QUICK_CIRCUIT: CircuitSettings = CircuitSettings {
    window: 3,
    most_failed: 2,
    first_probe: SignedDuration::from_millis(1),
    longest_wait: SignedDuration::from_millis(4),
    patience: SignedDuration::from_millis(20),
};

/// A job over one source.
pub struct Job {
    pub workspace: Workspace,
    pub source: FakeSource,
    pub embedder: Arc<FakeEmbedder>,
    pub circuit: CircuitSettings,
    pub parser_program: PathBuf,
    pub task: IngestTask,
}

impl Job {
    pub fn new() -> Self {
        let workspace = Workspace::new();
        let spec: WorkSpec = serde_json::from_value(workspace.spec("unused")).unwrap();
        let Task::Ingest(mut task) = spec.task else { panic!("no ingestion") };
        task.chunking.overlap_tokens = 0;
        let (source, embedder) = (FakeSource::default(), FakeEmbedder::new());
        let parser_program = PathBuf::from(env!("CARGO_BIN_EXE_lexigram-worker"));
        Self { workspace, source, embedder, circuit: CircuitSettings::default(), parser_program, task: *task }
    }

    fn machine(&self) -> Machine {
        Machine {
            embedder: Arc::clone(&self.embedder) as _,
            parser_program: self.parser_program.clone(),
            // a parser that is being started has the lock of a run that has just ended, for a moment
            patience: Duration::from_secs(10),
            shard: 0,
            circuit: self.circuit,
        }
    }

    /// A run of that mode over the fake source, as it ends.
    pub async fn run_with(&self, run: &str, mode: Mode, tracker: &Tracker, stop: &CancellationToken) -> Ended {
        let task = IngestTask { mode, ..self.task.clone() };
        ingest_from(Box::new(self.source.clone()), &self.machine(), run, &task, tracker, stop).await
    }

    /// A run that comes to its end.
    pub async fn run(&self, run: &str, mode: Mode) -> Report {
        let ended = self.run_with(run, mode, &Tracker::new(run), &CancellationToken::new()).await;
        assert_eq!(ended.report.error, None);
        assert!(ended.report.to_termination_message().unwrap().len() <= 4096);
        ended.report
    }

    /// A run over the source that the task names.
    pub async fn run_of_task(&self, run: &str, mode: Mode) -> Ended {
        let task = IngestTask { mode, ..self.task.clone() };
        ingest(&self.machine(), run, &task, &Tracker::new(run), &CancellationToken::new()).await
    }

    /// The ledger: name, state, attempts, reason.
    pub fn rows(&self) -> Vec<String> {
        let sql = "SELECT name, state, attempts, coalesce(reason, '-') FROM documents ORDER BY name";
        query(&self.workspace.store(), sql).into_iter().map(|row| row.join(" ")).collect()
    }
}

/// Takes everything that will be due within hours.
pub fn retry() -> Mode {
    Mode::Retry { due_before: Timestamp::now().checked_add(Duration::from_secs(36_000)).unwrap() }
}

/// Takes what is selected of all that has failed.
pub fn again(selection: Selection) -> Mode {
    Mode::Again { selection, failed_before: Timestamp::now() }
}
