//! The chunks that a search has found, for a person. No I/O.

use console::truncate_str;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::output;

/// Width where there is no terminal.
const WIDTH: u16 = 120;
/// Widest a document's name or its headings may be.
const MOST: usize = 40;

/// A chunk, with whatever else the worker says of it.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Hit {
    score: f64,
    document: String,
    #[serde(default)]
    headings: Vec<String>,
    #[serde(default)]
    page: Option<i64>,
    text: String,
    #[serde(flatten)]
    other: Map<String, Value>,
}

/// The hits below each other, the texts cut where the terminal ends.
pub fn table(hits: &[Hit], terminal: Option<(u16, u16)>) -> String {
    if hits.is_empty() {
        return "The collection holds no chunks that fit.\n".to_owned();
    }
    let width = usize::from(terminal.map_or(WIDTH, |(_, width)| width));
    let header = ["SCORE", "DOCUMENT", "HEADINGS", "PAGE", "TEXT"].map(str::to_owned).to_vec();
    let text = output::table([header].into_iter().chain(hits.iter().map(cells)));
    text.lines().map(|line| format!("{}\n", truncate_str(line, width, "…"))).collect()
}

fn cells(hit: &Hit) -> Vec<String> {
    let narrow = |text: &str| truncate_str(text, MOST, "…").into_owned();
    vec![
        format!("{:.3}", hit.score),
        narrow(&hit.document),
        narrow(&hit.headings.join(" › ")),
        hit.page.map(|page| page.to_string()).unwrap_or_default(),
        hit.text.split_whitespace().collect::<Vec<_>>().join(" "),
    ]
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn hits() -> Vec<Hit> {
        let hit = json!([
            {"id": "1", "score": 0.3571, "document": "on-call.md", "ordinal": 2, "headings": ["On-call", "At night"],
             "text": "## At night\n\nOutside office hours only alerts of severity one and two."},
            {"id": "2", "score": 0.2, "document": "manual.pdf", "ordinal": 0, "page": 7, "text": "Call."},
        ]);
        serde_json::from_value(hit).unwrap()
    }

    #[test]
    fn a_hit_is_one_line_of_the_terminal() {
        insta::assert_snapshot!(table(&hits(), Some((24, 80))));
        assert_eq!(table(&[], None), "The collection holds no chunks that fit.\n");
    }

    #[test]
    fn programs_get_every_field() {
        assert_eq!(serde_json::to_value(hits()).unwrap()[0]["ordinal"], 2);
    }
}
