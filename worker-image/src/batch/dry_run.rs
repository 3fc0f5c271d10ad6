//! A batch that is read and counted, not embedded: no store is opened, no provider is asked. Reads the input; a table of
//! what has been seen lies in a temporary file.

use std::sync::Arc;

use jiff::Timestamp;
use lexigram_api::{
    contract::{Counts, DryRun, EmbedTask, ItemCounts, ItemFailure, Phase, RECENT_FAILURES},
    failure::{FailureAction, Stage},
};
use rusqlite::{Connection, params};
use sha2::{Digest, Sha256};
use tokio::{
    sync::mpsc::{self, Sender},
    task::spawn_blocking,
};
use tokio_util::sync::CancellationToken;

use super::{
    Machine, broken,
    input::Input,
    rows::{Row, Rows},
};
use crate::{
    embed::TokenCounter,
    report::Tracker,
    run::{Ended, Failure, Judge, RunFailure},
    store::{RunSummary, StoreError, WorkItem},
};

/// Rows after which the count is told.
const STEP: i32 = 1000;

/// Counts the texts of one input.
pub(super) async fn count(
    machine: &Machine,
    run: &str,
    task: &EmbedTask,
    tracker: &Tracker,
    stop: &CancellationToken,
) -> Ended {
    match counted(machine, task, tracker, stop).await {
        Err(error) => Ended::before_start(run, &error),
        Ok(Found { counts, dry_run, failures }) => {
            let summary = RunSummary { counts, recent_failures: failures, ..RunSummary::default() };
            tracker.load(&summary);
            let mut ended = Ended::new(run, &summary, None);
            ended.report.dry_run = Some(dry_run);
            ended
        }
    }
}

/// What was found.
#[derive(Default)]
struct Found {
    counts: Counts,
    dry_run: DryRun,
    /// Newest first.
    failures: Vec<ItemFailure>,
}

async fn counted(
    machine: &Machine,
    task: &EmbedTask,
    tracker: &Tracker,
    stop: &CancellationToken,
) -> Result<Found, RunFailure> {
    let judge = Judge::new(task.failure_policy.clone())?;
    let input = Input::open(task, &machine.scratch, stop).await?;
    tracker.phase(Phase::Working);
    let (steps, mut taken) = mpsc::channel(1);
    let mut pass = Pass {
        rows: input.rows.clone(),
        tokens: machine.embedder.tokens(),
        max_tokens: machine.embedder.max_tokens(),
        deduplicate: task.deduplicate,
        truncate: task.embedding.truncate,
        judge,
        found: Found::default(),
    };
    let passing = spawn_blocking(move || pass.run(&steps).map(|()| pass.found));
    while let Some(rows) = stop.run_until_cancelled(taken.recv()).await.ok_or(RunFailure::Interrupted)? {
        let items = ItemCounts { total: rows, done: rows, ..Default::default() };
        tracker.done(&Counts { items, ..Default::default() });
    }
    passing.await.map_err(|error| broken(&error))?
}

/// One pass over all rows.
struct Pass {
    rows: Rows,
    tokens: Arc<dyn TokenCounter>,
    max_tokens: usize,
    deduplicate: bool,
    truncate: bool,
    judge: Judge,
    found: Found,
}

impl Pass {
    /// Ends early when nobody takes its steps any more.
    fn run(&mut self, steps: &Sender<i32>) -> Result<(), RunFailure> {
        let mut seen = Seen::new()?;
        let mut reader = self.rows.open()?;
        let mut since = 0i32;
        while let Some(row) = reader.next()? {
            self.take(&row, &mut seen)?;
            since += 1;
            if since == STEP && steps.blocking_send(std::mem::take(&mut since)).is_err() {
                return Ok(());
            }
        }
        Ok(())
    }

    fn take(&mut self, row: &Row, seen: &mut Seen) -> Result<(), RunFailure> {
        let Found { counts, dry_run, failures } = &mut self.found;
        counts.items.total += 1;
        counts.items.done += 1;
        counts.bytes += i64::try_from(row.bytes).unwrap_or(i64::MAX);
        let failure = match &row.content {
            Err(error) => {
                dry_run.invalid += 1;
                Failure::new(Stage::Source, error)
            }
            Ok(text) => {
                let again = seen.again(&text.text)?;
                dry_run.duplicates += i32::from(again);
                match self.tokens.count(&text.text) {
                    Err(error) => {
                        dry_run.invalid += 1;
                        Failure::new(Stage::Embed, &error)
                    }
                    Ok(own) => {
                        let tokens = own + self.tokens.added();
                        let too_long = tokens > self.max_tokens;
                        dry_run.too_long += i32::from(too_long);
                        let embedded = (!too_long || self.truncate) && !(again && self.deduplicate);
                        if embedded {
                            dry_run.tokens += i64::try_from(tokens.min(self.max_tokens)).unwrap_or(i64::MAX);
                        }
                        return Ok(());
                    }
                }
            }
        };
        if failures.len() < RECENT_FAILURES {
            let name = self.rows.place(row.position).to_string();
            let item = WorkItem { document: 0, name, attempts: 0, revision: None, suspect: false };
            let attempt = self.judge.judge(&item, failure, Timestamp::now());
            failures.push(ItemFailure { action: FailureAction::Archive, ..attempt.describe(&item.name) });
        }
        Ok(())
    }
}

/// Texts that have been seen, on disk: memory does not grow with their number.
struct Seen(Connection);

impl Seen {
    fn new() -> Result<Self, StoreError> {
        // no name: SQLite makes a temporary file, and removes it
        let connection = Connection::open("")?;
        connection.execute_batch(
            "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA temp_store = FILE;
             CREATE TABLE seen (text BLOB PRIMARY KEY) WITHOUT ROWID, STRICT;
             BEGIN;",
        )?;
        Ok(Self(connection))
    }

    /// Whether the text was seen before.
    fn again(&mut self, text: &str) -> Result<bool, StoreError> {
        let hash = Sha256::digest(text);
        let mut insert = self.0.prepare_cached("INSERT OR IGNORE INTO seen (text) VALUES (?1)")?;
        Ok(insert.execute(params![&hash[..16]])? == 0)
    }
}
