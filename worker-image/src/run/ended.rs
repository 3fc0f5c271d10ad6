//! How a run ends: report and exit code. No I/O.

use jiff::Timestamp;
use lexigram_api::contract::{CONTRACT_VERSION, ExitCode, Report, RunError};

use super::RunFailure;
use crate::{failure::Classified, store::RunSummary};

/// How a run ended.
#[derive(Clone, Debug)]
pub struct Ended {
    /// The report.
    pub report: Report,
    /// How the process has to exit.
    pub exit: ExitCode,
}

impl Ended {
    /// A run that never came to documents.
    #[must_use]
    pub fn before_start(run: &str, error: &RunFailure) -> Self {
        Self::new(run, &RunSummary::default(), Some(error))
    }

    /// A run that came to `summary`, and failed with `error` if there is one.
    #[must_use]
    pub fn new(run: &str, summary: &RunSummary, error: Option<&RunFailure>) -> Self {
        let exit = match error {
            None => ExitCode::Finished,
            Some(RunFailure::Interrupted) => ExitCode::Interrupted,
            Some(error) => ExitCode::of_failure(error.category()),
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
            dead_letters: summary.dead_letters.clone(),
            circuit: None,
            next_retry_time: summary.next_retry,
            stages: Vec::new(),
            provider: None,
            maintenance: Vec::new(),
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
    #[case::refused(Some(RunFailure::Source(SourceError::Refused { answer: "HTTP 401".to_owned(), check: "spec" })), 77, Some("SourceAccessDenied"))]
    #[case::set_up_wrongly(
        Some(RunFailure::Source(SourceError::NoDirectory { path: "/gone".to_owned() })),
        78,
        Some("SourceDirectoryNotFound")
    )]
    #[case::may_pass(Some(RunFailure::Store(StoreError::Busy)), 75, Some("StoreBusy"))]
    #[case::partial(
        Some(RunFailure::ListingPartial { listed: 3, failed: 1, first: SourceError::Connection("x".to_owned()) }),
        75,
        Some("ListingPartial")
    )]
    #[case::partial_for_good(
        Some(RunFailure::ListingPartial { listed: 3, failed: 1, first: SourceError::TooManyDocuments { limit: 3 } }),
        78,
        Some("ListingPartial")
    )]
    fn ends(#[case] error: Option<RunFailure>, #[case] code: u8, #[case] reason: Option<&str>) {
        let ended = Ended::new("r1", &RunSummary::default(), error.as_ref());
        assert_eq!(ended.exit.code(), code);
        assert_eq!(ended.report.error.map(|error| error.reason).as_deref(), reason);
    }
}
