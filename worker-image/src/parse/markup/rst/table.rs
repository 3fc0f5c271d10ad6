//! Tables, drawn with a grid or with lines above and below. No I/O.

use super::inline;

/// A table at the first of the lines, as Markdown, and how many lines it takes.
pub(super) fn parse(lines: &[&str]) -> Option<(String, usize)> {
    grid(lines).or_else(|| simple(lines))
}

/// `+---+---+`, with `+===+===+` below the header.
fn grid(lines: &[&str]) -> Option<(String, usize)> {
    let frame = |line: &str| {
        let line = line.trim();
        line.starts_with('+') && line.len() > 2 && line.chars().all(|c| matches!(c, '+' | '-' | '='))
    };
    if !frame(lines.first()?) {
        return None;
    }
    let taken = lines.iter().take_while(|line| line.trim_start().starts_with(['+', '|'])).count();
    let mut rows = vec![Vec::new()];
    for line in lines[1..taken].iter().map(|line| line.trim()) {
        if line.starts_with('+') {
            rows.push(Vec::new());
            continue;
        }
        let cells = line.trim_matches('|').split('|').map(str::trim);
        add(rows.last_mut()?, cells);
    }
    Some((markdown(rows), taken))
}

/// `=====  =====` above and below, and between header and rows.
fn simple(lines: &[&str]) -> Option<(String, usize)> {
    let frame = lines.first()?;
    let is_frame =
        |line: &str| line.contains("= =") && line.chars().all(|c| matches!(c, '=' | ' ')) || line.contains("=  =");
    if !is_frame(frame) || !frame.chars().all(|c| matches!(c, '=' | ' ')) {
        return None;
    }
    let end = lines.iter().enumerate().skip(1).take_while(|(_, line)| !line.is_empty()).map(|(at, _)| at).last()?;
    let last = (1..=end).rev().find(|&at| is_frame(lines[at]))?;
    let starts: Vec<usize> = frame
        .char_indices()
        .filter(|&(at, c)| c == '=' && (at == 0 || frame[..at].ends_with(' ')))
        .map(|(at, _)| at)
        .collect();
    let mut rows = Vec::new();
    for line in &lines[1..last] {
        if is_frame(line) {
            continue;
        }
        let characters: Vec<char> = line.chars().collect();
        let cells: Vec<String> = starts
            .iter()
            .enumerate()
            .map(|(column, &start)| {
                let end = starts.get(column + 1).copied().unwrap_or(usize::MAX).min(characters.len());
                characters.get(start.min(end)..end).unwrap_or_default().iter().collect::<String>().trim().to_owned()
            })
            .collect();
        // a row whose first cell is empty goes on with the one above
        if cells.first().is_some_and(String::is_empty) && !rows.is_empty() {
            if let Some(row) = rows.last_mut() {
                add(row, cells.iter().map(String::as_str));
            }
        } else {
            rows.push(cells);
        }
    }
    Some((markdown(rows), last + 1))
}

/// Adds a line of text to the cells of a row.
fn add<'a>(row: &mut Vec<String>, cells: impl Iterator<Item = &'a str>) {
    for (column, text) in cells.enumerate() {
        if column == row.len() {
            row.push(String::new());
        }
        if !row[column].is_empty() && !text.is_empty() {
            row[column].push(' ');
        }
        row[column].push_str(text);
    }
}

fn markdown(rows: Vec<Vec<String>>) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let mut lines = Vec::new();
    for row in rows.into_iter().filter(|row| !row.is_empty()) {
        let cells = (0..columns).map(|column| row.get(column).map_or(String::new(), |cell| inline::markdown(cell)));
        lines.push(format!("| {} |", cells.map(|cell| cell.replace('|', "\\|")).collect::<Vec<_>>().join(" | ")));
        if lines.len() == 1 {
            lines.push(format!("|{}", " --- |".repeat(columns)));
        }
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    const EXPECTED: &str = "| Light | Meaning |\n| --- | --- |\n| green | ready |\n| red, blinking | lime |";

    #[rstest]
    #[case::grid(
        "+-------+---------+\n| Light | Meaning |\n+=======+=========+\n| green | ready   |\n+-------+---------+\n\
         | red,  | lime    |\n| blinking |      |\n+-------+---------+\n\ntext",
        8
    )]
    #[case::simple(
        "=============  =======\nLight          Meaning\n=============  =======\ngreen          ready\n\
         red, blinking  lime\n=============  =======\n\ntext",
        6
    )]
    fn tables(#[case] rst: &str, #[case] taken: usize) {
        let lines: Vec<&str> = rst.lines().collect();
        assert_eq!(parse(&lines), Some((EXPECTED.to_owned(), taken)));
    }

    #[test]
    fn a_title_is_no_table() {
        assert_eq!(parse(&["=====", "Title", "====="]), None);
    }
}
