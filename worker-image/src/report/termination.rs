//! The last word of a worker, in its container's termination message. Writes one file.

use std::{fs, io, path::Path};

use lexigram_api::contract::Report;

/// Writes the report where the kubelet picks it up.
///
/// # Errors
/// If the file cannot be written.
pub fn write_report(path: &Path, report: &Report) -> io::Result<()> {
    fs::write(path, report.to_termination_message()?)
}
