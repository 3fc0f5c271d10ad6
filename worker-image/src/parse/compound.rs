//! One text of the texts of several members: each stands under its name, its own headings below that. No I/O.

use pulldown_cmark::{Event, Options, Parser, Tag};

use super::{About, MAX_TEXT_BYTES, Markup, ParseError, Parsed};

/// The members of a container so far.
#[derive(Debug, Default)]
pub(super) struct Compound {
    text: String,
    about: About,
    failures: Vec<ParseError>,
    /// Headings that the members stand below.
    above: usize,
}

impl Compound {
    /// The text that goes before the members, as Markdown with one heading: they stand below that.
    pub(super) fn with_preface(text: String, about: About) -> Self {
        Self { text, about, failures: Vec::new(), above: 1 }
    }

    /// Adds a member. One that cannot be read is told of, and fails alone.
    ///
    /// # Errors
    /// If the member is an attack, or all of them are too large together.
    pub(super) fn add(&mut self, name: &str, member: Result<Parsed, ParseError>) -> Result<(), ParseError> {
        let title = super::about::short(name).unwrap_or_else(|| "(no name)".to_owned());
        let member = match member {
            Ok(member) => member,
            Err(attack @ (ParseError::Bomb { .. } | ParseError::TooDeep { .. } | ParseError::TooMuchText { .. })) => {
                return Err(attack);
            }
            Err(error) => {
                self.about.warn(&format!("{title}: {error}"));
                self.failures.push(error);
                return Ok(());
            }
        };
        for warning in &member.about.warnings {
            self.about.warn(&format!("{title}: {warning}"));
        }
        if !self.text.is_empty() {
            self.text.push_str("\n\n");
        }
        let level = self.above + 1;
        self.text.push_str(&format!("{} {title}\n\n", "#".repeat(level)));
        self.text.push_str(&as_chapter(&member, level));
        match self.text.len() > MAX_TEXT_BYTES {
            true => Err(ParseError::TooMuchText { limit: MAX_TEXT_BYTES }),
            false => Ok(()),
        }
    }

    /// The whole.
    ///
    /// # Errors
    /// If there is no text in any member: then what is wrong with the first one.
    pub(super) fn finish(self) -> Result<Parsed, ParseError> {
        match self.text.trim().is_empty() {
            true => Err(self.failures.into_iter().next().unwrap_or(ParseError::NoText)),
            false => Ok(Parsed { about: self.about, ..Parsed::markdown(self.text) }),
        }
    }
}

/// A text as part of a Markdown text, below a heading of that level.
fn as_chapter(member: &Parsed, level: usize) -> String {
    let text = member.text.trim();
    match member.markup {
        Markup::Markdown => demote(text, level),
        // what looks like a heading is none
        Markup::Code(_) | Markup::Plain => {
            let fence = "`".repeat(longest_run(text, '`').max(2) + 1);
            format!("{fence}\n{text}\n{fence}")
        }
    }
}

/// The text with all its headings so many levels down; Markdown has six.
fn demote(text: &str, levels: usize) -> String {
    let headings =
        Parser::new_ext(text, Options::empty()).into_offset_iter().filter_map(|(event, range)| match event {
            Event::Start(Tag::Heading { level, .. }) => Some((level as usize, range)),
            _ => None,
        });
    let mut demoted = String::with_capacity(text.len() + 64);
    let mut written = 0;
    for (level, range) in headings {
        let source = &text[range.clone()];
        let level = (level + levels).min(6);
        demoted.push_str(&text[written..range.start]);
        match source.starts_with('#') {
            true => {
                demoted.push_str(&"#".repeat(level));
                demoted.push_str(source.trim_start_matches('#'));
            }
            // underlined
            false => {
                let lines: Vec<&str> = source.trim_end().lines().collect();
                let title = lines.split_last().map_or(String::new(), |(_, title)| title.join(" "));
                demoted.push_str(&format!("{} {}\n", "#".repeat(level), title.trim()));
            }
        }
        written = range.end;
    }
    demoted.push_str(&text[written..]);
    demoted
}

fn longest_run(text: &str, wanted: char) -> usize {
    let (mut longest, mut run) = (0, 0);
    for character in text.chars() {
        run = if character == wanted { run + 1 } else { 0 };
        longest = longest.max(run);
    }
    longest
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("# A\n\ntext\n\n## B ##\n", "## A\n\ntext\n\n### B ##\n")]
    #[case("A\n=\n\ntext", "## A\n\ntext")]
    #[case("###### six", "###### six")]
    #[case("```\n# no heading\n```\n", "```\n# no heading\n```\n")]
    fn headings_go_down(#[case] text: &str, #[case] expected: &str) {
        assert_eq!(demote(text, 1), expected);
    }

    #[test]
    fn members_stand_under_their_names() {
        let mut compound = Compound::default();
        compound.add("a.md", Ok(Parsed::markdown("# A\n\ntext".to_owned()))).unwrap();
        compound.add("b.png", Err(ParseError::Unsupported { kind: "a PNG picture".to_owned() })).unwrap();
        compound.add("c\n.py", Ok(Parsed::plain("# no heading\n```".to_owned()))).unwrap();
        let parsed = compound.finish().unwrap();
        assert_eq!(parsed.text, "# a.md\n\n## A\n\ntext\n\n# c .py\n\n````\n# no heading\n```\n````");
        assert_eq!(parsed.about.warnings.len(), 1);
        assert!(parsed.about.warnings[0].starts_with("b.png: a PNG picture is not a supported type"));
    }

    #[test]
    fn a_container_without_any_text_says_why() {
        let mut compound = Compound::default();
        compound.add("a.docx", Err(ParseError::Encrypted { format: "DOCX".to_owned() })).unwrap();
        assert_eq!(compound.finish().unwrap_err(), ParseError::Encrypted { format: "DOCX".to_owned() });
        assert_eq!(Compound::default().finish().unwrap_err(), ParseError::NoText);
    }
}
