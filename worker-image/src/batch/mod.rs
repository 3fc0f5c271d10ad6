//! One run over the texts of one input: list its rows in ranges, embed them range by range, store or write the vectors,
//! report. Reads the input, writes the store and the output.
//!
//! ```text
//! input ─ one pass ─▶ ranges in the ledger ─ claim ─▶ read ─▶ embed ─▶ write ─▶ store, or part files
//! ```
//!
//! The ledger, claiming, attempts and retries are those of documents ([`crate::pipeline`]); a range takes the place of a
//! document. What is in memory at once is a few ranges, whatever the size of the input.

mod dry_run;
mod embed;
mod error;
mod identity;
mod in_hand;
mod input;
mod listing;
mod output;
mod place;
mod ranges;
mod read;
mod rows;
mod run;
mod write;
mod write_singles;

use std::{path::PathBuf, sync::Arc, time::Duration};

use lexigram_api::contract::EmbedTask;
use tokio_util::sync::CancellationToken;

pub use error::{InputError, OutputError};

use crate::{
    embed::Embedder,
    report::Tracker,
    run::{CircuitSettings, Ended, RunFailure},
};

/// What a process brings to its batches.
pub struct Machine {
    /// The embedding model.
    pub embedder: Arc<dyn Embedder>,
    /// Where temporary files go.
    pub scratch: PathBuf,
    /// How long to wait for another run over the same batch to end.
    pub patience: Duration,
    /// Which part of a run is this process\'s, where several share it.
    pub shard: u32,
    /// When the embedding provider is left alone.
    pub circuit: CircuitSettings,
}

/// Embeds the texts of one input, or counts them in a dry run. Ends early, and in good order, once `stop` is cancelled.
pub async fn embed(
    machine: &Machine,
    run: &str,
    task: &EmbedTask,
    tracker: &Tracker,
    stop: &CancellationToken,
) -> Ended {
    if task.dry_run {
        return dry_run::count(machine, run, task, tracker, stop).await;
    }
    match run::Run::open(machine, run, task, tracker, stop).await {
        Err(error) => Ended::before_start(run, &error),
        Ok(opened) => opened.execute().await,
    }
}

/// A part of this program ended that must not end.
fn broken(error: &tokio::task::JoinError) -> RunFailure {
    RunFailure::Broken(error.to_string())
}
