//! One run: list the source into the ledger, take its documents through the stages, tidy up, report. Reads the source,
//! writes the store.
//!
//! The stages are `claim → fetch → parse → chunk → embed → write`, tied by bounded channels. Every document that has
//! been claimed ends at `write`, which alone changes the ledger: as ingested, as unchanged, or as failed. Only what the
//! store itself refuses ends the run.

mod chunk;
mod claim;
mod embed;
mod fetch;
mod in_hand;
mod listing;
mod parse;
mod revision;
mod run;
mod stage;
mod write;

use std::{path::PathBuf, sync::Arc, time::Duration};

use lexigram_api::contract::IngestTask;
use tokio_util::sync::CancellationToken;

use crate::{
    embed::Embedder,
    report::Tracker,
    run::{CircuitSettings, Ended},
    source::{self, Source},
};

/// What a process brings to its runs.
pub struct Machine {
    /// The embedding model.
    pub embedder: Arc<dyn Embedder>,
    /// The program that parser processes run: this one.
    pub parser_program: PathBuf,
    /// How long to wait for another run over the same source to end.
    pub patience: Duration,
    /// Which part of a run is this process\'s, where several share it.
    pub shard: u32,
    /// When the embedding provider is left alone.
    pub circuit: CircuitSettings,
}

/// Ingests one source. Ends early, and in good order, once `stop` is cancelled.
pub async fn ingest(
    machine: &Machine,
    run: &str,
    task: &IngestTask,
    tracker: &Tracker,
    stop: &CancellationToken,
) -> Ended {
    match source::open(task) {
        Ok(source) => ingest_from(source, machine, run, task, tracker, stop).await,
        Err(error) => Ended::before_start(run, &error.into()),
    }
}

/// As [`ingest`], with a source that is open already.
pub async fn ingest_from(
    source: Box<dyn Source>,
    machine: &Machine,
    run: &str,
    task: &IngestTask,
    tracker: &Tracker,
    stop: &CancellationToken,
) -> Ended {
    match run::Run::open(source, machine, run, task, tracker, stop).await {
        Err(error) => Ended::before_start(run, &error),
        Ok(opened) => opened.execute().await,
    }
}
