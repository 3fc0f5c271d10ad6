//! What a parser learns of a document besides its text; it ends in the ledger. No I/O.

use serde::{Deserialize, Serialize};

use super::PageStart;

/// Warnings that are kept of one document.
const MOST_WARNINGS: usize = 20;

/// Longest value and warning that is kept, in characters.
const MOST_CHARS: usize = 300;

/// What is known of a document besides its text.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct About {
    /// The format it was read as, for instance `PPTX`.
    pub format: String,
    /// What the document says of itself.
    pub metadata: Metadata,
    /// What a person should know: a name that does not fit the content, members that were left out.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
    /// How well the text came out.
    pub quality: Quality,
}

/// What a document says of itself, as far as it does.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Metadata {
    /// Its title; of a mail, its subject.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// Who wrote it; of a mail, its sender.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub author: Option<String>,
    /// When it was made: ISO 8601 where the format has it so, else as it stands there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created: Option<String>,
    /// When it was last changed, written as `created` is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub modified: Option<String>,
    /// Its language, mostly as BCP 47.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub language: Option<String>,
}

/// How well the text of a document came out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Quality {
    /// Characters of text.
    pub characters: u64,
    /// Pages, or slides; none where the format has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pages: Option<u64>,
    /// Characters of a million that could not be decoded (U+FFFD): above some thousand the text is hardly readable.
    pub replaced_per_million: u64,
}

impl About {
    /// Adds a warning, unless there are many already.
    pub(super) fn warn(&mut self, warning: &str) {
        match self.warnings.len() {
            few if few < MOST_WARNINGS => self.warnings.extend(short(warning)),
            MOST_WARNINGS => self.warnings.push("there were more warnings".to_owned()),
            _ => {}
        }
    }
}

impl Quality {
    pub(super) fn of(text: &str, pages: &[PageStart]) -> Self {
        let (mut characters, mut replaced) = (0u64, 0u64);
        for character in text.chars() {
            characters += 1;
            replaced += u64::from(character == char::REPLACEMENT_CHARACTER);
        }
        Self {
            characters,
            pages: pages.last().and_then(|last| u64::try_from(last.page).ok()),
            replaced_per_million: replaced.saturating_mul(1_000_000) / characters.max(1),
        }
    }
}

/// A value on one line and of bounded length; none if nothing is left of it.
pub(super) fn short(value: &str) -> Option<String> {
    let words = value.split(|character: char| character.is_whitespace() || character.is_control());
    let mut line = String::new();
    for word in words.filter(|word| !word.is_empty()) {
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
        if line.chars().nth(MOST_CHARS).is_some() {
            let end = line.char_indices().nth(MOST_CHARS - 1).map_or(line.len(), |(end, _)| end);
            line.truncate(end);
            line.push('…');
            break;
        }
    }
    (!line.is_empty()).then_some(line)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("", None)]
    #[case(" \n\t", None)]
    #[case(" a\n b\u{1b}[2J ", Some("a b [2J"))]
    fn values_are_one_line(#[case] value: &str, #[case] expected: Option<&str>) {
        assert_eq!(short(value).as_deref(), expected);
    }

    #[test]
    fn long_values_and_many_warnings_are_cut() {
        assert_eq!(short(&"ä".repeat(5000)).unwrap().chars().count(), MOST_CHARS);
        let mut about = About::default();
        (0..1000).for_each(|number| about.warn(&number.to_string()));
        assert_eq!(about.warnings.len(), MOST_WARNINGS + 1);
        assert_eq!(about.warnings.last().unwrap(), "there were more warnings");
    }

    #[test]
    fn quality_counts_what_could_not_be_decoded() {
        let pages = [PageStart { page: 1, offset: 0 }, PageStart { page: 3, offset: 2 }];
        let quality = Quality::of("gr\u{fffd}n", &pages);
        assert_eq!(quality, Quality { characters: 4, pages: Some(3), replaced_per_million: 250_000 });
        assert_eq!(Quality::of("", &[]).pages, None);
    }
}
