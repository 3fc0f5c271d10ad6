//! What the commands share that a person runs over files: logs, paths, the end. Reads and writes nothing but messages.

use std::{
    fmt::Write as _,
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use lexigram_api::contract::{ExitCode, Report, busyness_in_words};
use tracing_subscriber::EnvFilter;

use super::fail;

/// Logs errors only: what a person wants to know is printed.
pub(super) fn log_for_a_person() {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("error"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr).init();
}

/// Tells a person how a run ended that did not come to its end.
pub(super) fn finish(report: &Report, exit: ExitCode) -> ExitCode {
    if let Some(error) = &report.error {
        fail(error.category, &error.message);
    }
    if exit == ExitCode::Interrupted {
        let _unwritable = writeln!(io::stderr(), "stopped; the same command goes on from here");
    }
    exit
}

/// The whole path of what a person has named; `what` is what should be there.
pub(super) fn canonical(path: &Path, what: &str) -> Result<PathBuf, String> {
    path.canonicalize().map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => format!("there is no {what} {}", path.display()),
        _ => format!("cannot read {}: {error}", path.display()),
    })
}

/// The path as text.
pub(super) fn utf8(path: &Path) -> Result<String, String> {
    path.to_str().map(str::to_owned).ok_or_else(|| format!("the path {} is not UTF-8: rename it", path.display()))
}

/// A line that shows where the time went; nothing for a run that did nothing.
pub(super) fn busyness(report: &Report) -> String {
    match &*report.stages {
        [] => String::new(),
        stages => format!("  busy: {}\n", busyness_in_words(stages)),
    }
}

/// A line for each of the newest failures, as far as they are among the `failed` ones of this run, and one for those that
/// are not shown; `more` ends it.
pub(super) fn failures(report: &Report, failed: i32, more: &str) -> String {
    let mut text = String::new();
    let shown = report.recent_failures.len().min(usize::try_from(failed).unwrap_or(0));
    for failure in report.recent_failures.iter().take(shown) {
        let (item, category, message) = (&failure.item, failure.category, &failure.message);
        let _infallible = writeln!(text, "  failed: {item}: {message} ({category})");
    }
    let shown = i32::try_from(shown).unwrap_or(i32::MAX);
    if failed > shown {
        let _infallible = writeln!(text, "  … and {} more{more}", failed - shown);
    }
    text
}
