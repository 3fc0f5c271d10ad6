//! reStructuredText, as Markdown: titles, lists, tables, literal blocks and what stands in directives. No I/O.
//!
//! A line at a time: where a construct is not known, its words are kept.

mod directive;
mod inline;
mod table;

use super::super::{Metadata, Parsed, about::short};

/// Characters that underline a title (docutils, "Sections").
const ADORNMENTS: &str = "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~";

pub(in crate::parse) fn parse(text: &str) -> Parsed {
    let mut converter = Converter::default();
    let lines: Vec<String> = text.lines().map(|line| line.replace('\t', "        ").trim_end().to_owned()).collect();
    converter.convert(&lines.iter().map(String::as_str).collect::<Vec<_>>());
    let mut parsed = Parsed::markdown(converter.out);
    parsed.about.metadata = converter.metadata;
    parsed
}

#[derive(Default)]
struct Converter {
    out: String,
    metadata: Metadata,
    /// How titles are adorned, outermost first: the character, and whether it stands above them too.
    levels: Vec<(char, bool)>,
}

impl Converter {
    fn convert(&mut self, lines: &[&str]) {
        let mut at = 0;
        while at < lines.len() {
            at += self.construct(&lines[at..]).max(1);
        }
    }

    /// Writes what begins at the first of the lines, and says how many lines it takes.
    fn construct(&mut self, lines: &[&str]) -> usize {
        if let Some((title, adornment, taken)) = title(lines) {
            self.heading(title, adornment);
            return taken;
        }
        let line = lines[0];
        if let Some((table, taken)) = table::parse(lines) {
            self.block(&table);
            return taken;
        }
        if let Some(rest) = line.trim_start().strip_prefix("..").filter(|rest| rest.is_empty() || rest.starts_with(' '))
        {
            let body = indented(&lines[1..], indentation(line));
            self.directive(rest.trim(), &lines[1..=body]);
            return 1 + body;
        }
        // a transition
        if is_adornment(line).is_some() && line.len() >= 4 {
            self.block("---");
            return 1;
        }
        if let Some((name, value)) = field(line) {
            self.field(name, value);
            return 1;
        }
        let literal = line.ends_with("::");
        self.line(line);
        match literal {
            true => 1 + self.literal("", &lines[1..], indentation(line)),
            false => 1,
        }
    }

    fn heading(&mut self, title: &str, adornment: (char, bool)) {
        let level = self.levels.iter().position(|known| *known == adornment).unwrap_or_else(|| {
            self.levels.push(adornment);
            self.levels.len() - 1
        });
        let title = inline::markdown(title.trim());
        if self.metadata.title.is_none() {
            self.metadata.title = short(&title);
        }
        self.block(&format!("{} {title}", "#".repeat((level + 1).min(6))));
    }

    /// A field such as `:Author: Ann`, which stands at the beginning of a document, or describes a thing.
    fn field(&mut self, name: &str, value: &str) {
        let field = match name.to_ascii_lowercase().as_str() {
            "author" | "authors" => &mut self.metadata.author,
            "date" => &mut self.metadata.created,
            "language" => &mut self.metadata.language,
            _ => &mut None,
        };
        *field = field.take().or_else(|| short(value));
        self.line(&format!("- {name}: {value}"));
    }

    /// The block behind `::`, as it stands; gives the lines that it takes.
    fn literal(&mut self, language: &str, lines: &[&str], outer: usize) -> usize {
        let taken = indented(lines, outer);
        let code = dedented(&lines[..taken]);
        if !code.trim().is_empty() {
            let fence = if code.contains("```") { "````" } else { "```" };
            self.block(&format!("{fence}{language}\n{}\n{fence}", code.trim_matches('\n')));
        }
        taken
    }

    /// A block with an empty line before and behind it.
    fn block(&mut self, block: &str) {
        if !self.out.is_empty() {
            while !self.out.ends_with("\n\n") {
                self.out.push('\n');
            }
        }
        self.out.push_str(block);
        self.out.push_str("\n\n");
    }

    /// A line of a paragraph or list.
    fn line(&mut self, line: &str) {
        if line.is_empty() {
            if !self.out.is_empty() && !self.out.ends_with("\n\n") {
                self.out.push('\n');
            }
            return;
        }
        let text = line.trim_start();
        let text = match text.strip_suffix("::") {
            Some(rest) if rest.is_empty() || rest.ends_with(' ') => rest.trim_end().to_owned(),
            Some(rest) => format!("{rest}:"),
            None => text.to_owned(),
        };
        // an item that numbers itself
        let text = text.strip_prefix("#. ").map_or(text.clone(), |item| format!("1. {item}"));
        if !text.is_empty() {
            // more would make a code block of it
            let indentation = indentation(line).min(self.room_for_indentation());
            self.out.push_str(&format!("{}{}\n", " ".repeat(indentation), inline::markdown(&text)));
        }
    }

    /// How far a line may stand in without turning into code: within lists as far as it likes.
    fn room_for_indentation(&self) -> usize {
        let last = self.out.trim_end().rsplit('\n').next().unwrap_or_default();
        let item = last.trim_start().starts_with(['-', '*', '+'])
            || last.trim_start().starts_with(|c: char| c.is_ascii_digit());
        indentation(last) + if item { 4 } else { 0 }
    }
}

/// A title at the first of the lines, how it is adorned, and how many lines it takes.
fn title<'a>(lines: &[&'a str]) -> Option<(&'a str, (char, bool), usize)> {
    if let [over, title, under, ..] = lines
        && let Some(adornment) = is_adornment(over)
        && over == under
        && !title.trim().is_empty()
        && over.chars().count() >= title.trim().chars().count()
    {
        return Some((title, (adornment, true), 3));
    }
    let [title, under, ..] = lines else { return None };
    let adornment = is_adornment(under)?;
    let fits = under.chars().count() >= title.chars().count().min(4);
    (fits && !title.is_empty() && !title.starts_with(' ') && is_adornment(title).is_none()).then_some((
        title,
        (adornment, false),
        2,
    ))
}

/// The character that a line consists of, if it is one that may adorn.
fn is_adornment(line: &str) -> Option<char> {
    let first = line.chars().next().filter(|first| ADORNMENTS.contains(*first))?;
    (line.len() >= 2 && line.chars().all(|character| character == first)).then_some(first)
}

fn field(line: &str) -> Option<(&str, &str)> {
    let (name, value) = line.strip_prefix(':')?.split_once(": ")?;
    (!name.is_empty() && !name.contains(['`', ':'])).then_some((name, value.trim()))
}

fn indentation(line: &str) -> usize {
    line.len() - line.trim_start().len()
}

/// How many of the lines stand further in than `outer`, empty ones between them included.
fn indented(lines: &[&str], outer: usize) -> usize {
    let within = lines.iter().take_while(|line| line.is_empty() || indentation(line) > outer).count();
    lines[..within].iter().rposition(|line| !line.is_empty()).map_or(0, |last| last + 1)
}

/// The lines without the indentation that they share.
fn dedented(lines: &[&str]) -> String {
    let shared = lines.iter().filter(|line| !line.is_empty()).map(|line| indentation(line)).min().unwrap_or(0);
    let lines = lines.iter().map(|line| line.get(shared..).unwrap_or_default());
    lines.collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::titles("====\nDoc\n====\n\nA\n===\n\nB\n---\n\nC\n===\n", "# Doc\n\n## A\n\n### B\n\n## C")]
    #[case::lists("- one\n- two\n\n  more\n\n#. first\n", "- one\n- two\n\n  more\n\n1. first")]
    #[case::literal("Run::\n\n    make\n      test\n\nDone.", "Run:\n\n```\nmake\n  test\n```\n\nDone.")]
    #[case::only_a_literal("::\n\n  x\n", "```\nx\n```")]
    #[case::code(".. code-block:: python\n   :linenos:\n\n   print()\n\nText", "```python\nprint()\n```\n\nText")]
    #[case::note(".. note:: Mind\n   the gap.\n", "**Note:** Mind the gap.")]
    #[case::comment(".. nobody\n   reads this\n\nText", "Text")]
    #[case::fields(":Author: Ann\n:Date: 2024\n", "- Author: Ann\n- Date: 2024")]
    #[case::definition("term\n  what it is\n", "term\nwhat it is")]
    #[case::transition("a\n\n-----\n\nb", "a\n\n---\n\nb")]
    fn converts(#[case] rst: &str, #[case] expected: &str) {
        assert_eq!(parse(rst).text.trim(), expected);
    }

    #[test]
    fn metadata_is_the_title_and_its_fields() {
        let metadata = parse("Doc\n===\n\n:Author: Ann\n:Date: 2024-01-02\n\nText").about.metadata;
        assert_eq!(metadata.title.as_deref(), Some("Doc"));
        assert_eq!((metadata.author.as_deref(), metadata.created.as_deref()), (Some("Ann"), Some("2024-01-02")));
    }
}
