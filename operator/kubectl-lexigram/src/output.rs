//! How results are written: tables as kubectl has them, JSON, YAML. Writes standard output.

use std::io::{self, Write};

use clap::ValueEnum;
use serde::Serialize;
use tabwriter::TabWriter;

use crate::error::PluginError;

/// Cells of a progress bar.
const BAR: usize = 16;

/// How a result is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people
    #[default]
    Table,
    /// For programs
    Json,
    /// For programs and people
    Yaml,
}

/// Writes a result: as a document, or as the text that `table` makes.
pub fn show<T: Serialize>(format: Format, result: &T, table: impl FnOnce() -> String) -> Result<(), PluginError> {
    print(&match format {
        Format::Table => table(),
        Format::Json => format!("{}\n", serde_json::to_string_pretty(result)?),
        // through a JSON value: Kubernetes types have their own ideas of how they are written
        Format::Yaml => serde_saphyr::to_string(&serde_json::to_value(result)?)
            .map_err(|error| PluginError::Yaml(error.to_string()))?,
    })
}

/// Writes a text. Whoever reads it may stop early, as `head` does.
pub fn print(text: &str) -> Result<(), PluginError> {
    match io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}

/// Rows in columns as wide as they need to be.
pub fn table(rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let lines: String = rows.into_iter().map(|cells| line(&cells)).collect();
    let mut writer = TabWriter::new(Vec::new()).padding(3);
    // memory takes everything
    let aligned = writer.write_all(lines.as_bytes()).ok().and_then(|()| writer.into_inner().ok());
    let text = String::from_utf8(aligned.unwrap_or_default()).unwrap_or(lines);
    text.lines().map(|line| format!("{}\n", line.trim_end())).collect()
}

/// Cells on one line, whatever they hold.
fn line(cells: &[String]) -> String {
    let cells: Vec<String> = cells.iter().map(|cell| cell.replace(char::is_control, " ")).collect();
    format!("{}\n", cells.join("\t"))
}

/// So much of all, as a bar and in figures.
pub fn bar(done: usize, total: usize) -> String {
    let full = done.min(total).saturating_mul(BAR).checked_div(total).unwrap_or(0);
    format!("{}{} {done}/{total}", "█".repeat(full), "░".repeat(BAR - full))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case(0, 0, "░░░░░░░░░░░░░░░░ 0/0")]
    #[case(37, 120, "████░░░░░░░░░░░░ 37/120")]
    #[case::not_full_before_the_end(119, 120, "███████████████░ 119/120")]
    #[case(120, 120, "████████████████ 120/120")]
    fn bars(#[case] done: usize, #[case] total: usize, #[case] expected: &str) {
        assert_eq!(bar(done, total), expected);
    }

    #[test]
    fn rows_stay_rows() {
        let rows = [["NAME", "WHAT"], ["a", "one\ntwo\tthree"], ["ünder", ""]];
        let text = table(rows.map(|row| row.map(str::to_owned).to_vec()));
        assert_eq!(text, "NAME    WHAT\na       one two three\nünder\n");
    }
}
