//! Tables for people: columns as wide as they need to be, the last one cut where the line ends. No I/O but a look at
//! the terminal's width.

use std::io::stdout;

use rustix::termios::tcgetwinsize;

/// Width where there is no terminal.
const DEFAULT_WIDTH: usize = 120;
/// Widest a column but the last may be.
const MOST_WIDTH: usize = 40;
/// Narrowest that the last column gets, even where the line is then too long.
const LEAST_LAST_WIDTH: usize = 20;

/// The rows below their header, each on one line.
#[must_use]
pub(super) fn table<const N: usize>(header: [&str; N], rows: &[[String; N]], width: usize) -> String {
    let mut widths = header.map(|title| title.chars().count());
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count()).min(MOST_WIDTH);
        }
    }
    if let Some((last, before)) = widths.split_last_mut() {
        let used: usize = before.iter().map(|width| width + 2).sum();
        *last = width.saturating_sub(used).max(LEAST_LAST_WIDTH);
    }
    let mut text = String::new();
    for row in std::iter::once(&header.map(str::to_owned)).chain(rows) {
        let cells: Vec<String> = row.iter().zip(widths).map(|(cell, width)| fit(cell, width)).collect();
        text.push_str(cells.join("  ").trim_end());
        text.push('\n');
    }
    text
}

/// The width of the terminal on standard output.
#[must_use]
pub(super) fn terminal_width() -> usize {
    tcgetwinsize(stdout()).map_or(DEFAULT_WIDTH, |size| usize::from(size.ws_col))
}

/// The text in exactly `width` characters, on one line.
fn fit(text: &str, width: usize) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.chars().count() > width {
        true => line.chars().take(width.saturating_sub(1)).chain(['…']).collect(),
        false => format!("{line:<width$}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_aligned_and_cut() {
        let rows = [
            ["0.71".to_owned(), "leave.md".to_owned(), "Parents may\ntake twelve months off".to_owned()],
            ["0.5".to_owned(), "a".repeat(50), "short".to_owned()],
        ];
        let text = table(["SCORE", "DOCUMENT", "TEXT"], &rows, 70);
        assert_eq!(
            text,
            format!(
                "SCORE  {:40}  TEXT\n0.71   {:40}  Parents may take twe…\n0.5    {}…  short\n",
                "DOCUMENT",
                "leave.md",
                "a".repeat(39)
            )
        );
    }
}
