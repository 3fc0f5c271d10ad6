//! One run: list the source into the ledger, take its documents through the stages, tidy up, report. Reads the source,
//! writes the store.
//!
//! The stages are `claim → fetch → parse → chunk → embed → write`, tied by bounded channels. Every document that has
//! been claimed ends at `write`, which alone changes the ledger: as ingested, as unchanged, or as failed. Only what the
//! store itself refuses ends the run.

mod chunk;
mod claim;
mod embed;
mod error;
mod fetch;
mod in_hand;
mod judge;
mod listing;
mod parse;
mod revision;
mod run;
mod stage;
mod write;

use std::{path::PathBuf, sync::Arc, time::Duration};

use jiff::Timestamp;
use lexigram_api::{
    contract::{CONTRACT_VERSION, ExitCode, IngestTask, Report, RunError},
    failure::FailureCategory,
};
use tokio_util::sync::CancellationToken;

pub use error::RunFailure;

use crate::{
    embed::Embedder,
    failure::Classified,
    report::Tracker,
    source::{self, Source},
    store::RunSummary,
};

/// What a process brings to its runs.
pub struct Machine {
    /// The embedding model.
    pub embedder: Arc<dyn Embedder>,
    /// The program that parser processes run: this one.
    pub parser_program: PathBuf,
    /// How long to wait for another run over the same source to end.
    pub patience: Duration,
}

/// How a run ended.
#[derive(Clone, Debug)]
pub struct Ended {
    /// The report.
    pub report: Report,
    /// How the process has to exit.
    pub exit: ExitCode,
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
        Ok(opened) => {
            let result = opened.execute().await;
            // where the store cannot tell any more, what was seen last has to do
            let summary = opened.summary().await.unwrap_or_else(|_| RunSummary::from(tracker.progress()));
            tracker.load(&summary);
            if result.is_ok() {
                opened.prune_archive().await;
            }
            Ended::new(run, &summary, result.err().as_ref())
        }
    }
}

impl Ended {
    /// A run that never came to documents.
    #[must_use]
    pub fn before_start(run: &str, error: &RunFailure) -> Self {
        Self::new(run, &RunSummary::default(), Some(error))
    }

    fn new(run: &str, summary: &RunSummary, error: Option<&RunFailure>) -> Self {
        let exit = match error {
            None => ExitCode::Finished,
            Some(RunFailure::Interrupted) => ExitCode::Interrupted,
            Some(error) => match error.category() {
                FailureCategory::Authentication => ExitCode::Authentication,
                FailureCategory::Configuration => ExitCode::Configuration,
                _ => ExitCode::Retryable,
            },
        };
        // a run that was told to stop has not failed
        let error = error.filter(|error| !matches!(error, RunFailure::Interrupted)).map(|error| RunError {
            category: error.category(),
            reason: error.reason().to_owned(),
            message: error.to_string(),
        });
        let report = Report {
            contract_version: CONTRACT_VERSION.to_owned(),
            run: run.to_owned(),
            error,
            counts: summary.counts.clone(),
            dry_run: None,
            next_retry_time: summary.next_retry,
            recent_failures: summary.recent_failures.clone(),
        };
        Self { report, exit }
    }
}

/// A name for a run that nobody else has named, later than every earlier one.
#[must_use]
pub fn run_by_hand() -> String {
    format!("by-hand-{}", Timestamp::now().as_nanosecond())
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::{source::SourceError, store::StoreError};

    #[rstest]
    #[case::finished(None, 0, None)]
    #[case::stopped(Some(RunFailure::Interrupted), 143, None)]
    #[case::refused(Some(RunFailure::Source(SourceError::Refused { status: 401 })), 77, Some("SourceAccessDenied"))]
    #[case::set_up_wrongly(
        Some(RunFailure::Source(SourceError::NoDirectory { path: "/gone".to_owned() })),
        78,
        Some("SourceDirectoryNotFound")
    )]
    #[case::may_pass(Some(RunFailure::Store(StoreError::Busy)), 75, Some("StoreBusy"))]
    #[case::partial(
        Some(RunFailure::ListingPartial { listed: 3, failed: 1, first: "x".to_owned() }),
        75,
        Some("ListingPartial")
    )]
    fn ends(#[case] error: Option<RunFailure>, #[case] code: u8, #[case] reason: Option<&str>) {
        let ended = Ended::new("r1", &RunSummary::default(), error.as_ref());
        assert_eq!(ended.exit.code(), code);
        assert_eq!(ended.report.error.map(|error| error.reason).as_deref(), reason);
    }
}
