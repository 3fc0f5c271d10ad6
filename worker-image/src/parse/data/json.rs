//! JSON as an outline: a line for each value, with its key before it, in the order of the document. Braces and quotes
//! tell a model nothing, and cost tokens. No I/O.

use std::fmt;

use serde::{
    Deserializer,
    de::{DeserializeSeed, MapAccess, SeqAccess, Visitor},
};
use serde_json::error::Category;

use crate::parse::{ParseError, Parsed};

/// One value. serde_json itself refuses what is nested deeper than 128 levels.
pub(in crate::parse) fn parse(text: &str) -> Result<Parsed, ParseError> {
    match outline(text) {
        Ok(outline) => Ok(Parsed::plain(outline)),
        Err(error) if error.to_string().starts_with("recursion limit exceeded") => {
            Err(ParseError::TooDeep { format: "JSON".to_owned(), problem: error.to_string() })
        }
        Err(error) if error.classify() == Category::Eof => {
            Err(ParseError::Damaged { format: "JSON".to_owned(), problem: error.to_string() })
        }
        // with comments, for instance: a person can read it
        Err(error) => {
            let mut parsed = Parsed::plain(text.to_owned());
            parsed.about.warn(&format!("it is no valid JSON and was taken as plain text: {error}"));
            Ok(parsed)
        }
    }
}

/// A value a line. A line that is none is kept as it stands.
pub(in crate::parse) fn parse_lines(text: &str) -> Parsed {
    let mut parsed = Parsed::default();
    for (number, line) in (1..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty()) {
        if !parsed.text.is_empty() {
            parsed.text.push_str("\n\n");
        }
        match outline(line) {
            Ok(outline) => parsed.text.push_str(&outline),
            Err(error) => {
                parsed.about.warn(&format!("line {number} is no valid JSON and was taken as it is: {error}"));
                parsed.text.push_str(line.trim());
            }
        }
    }
    parsed
}

fn outline(text: &str) -> serde_json::Result<String> {
    let mut outline = Outline::default();
    let mut deserializer = serde_json::Deserializer::from_str(text);
    outline.deserialize(&mut deserializer)?;
    deserializer.end()?;
    Ok(outline.text)
}

/// The text so far, and where the next value stands.
#[derive(Default)]
struct Outline {
    text: String,
    /// Levels that the value is within.
    depth: usize,
    /// Lists that begin on the line to come.
    dashes: usize,
    /// Whether the line has a key already.
    keyed: bool,
}

impl Outline {
    fn start_line(&mut self) {
        if !self.text.is_empty() && !self.text.ends_with('\n') {
            self.text.push('\n');
        }
        self.text.push_str(&"  ".repeat(self.depth.saturating_sub(self.dashes)));
        self.text.push_str(&"- ".repeat(self.dashes));
        self.dashes = 0;
    }

    fn scalar(&mut self, value: &str) {
        match self.keyed {
            true if value.is_empty() => {}
            true => self.text.push(' '),
            false => self.start_line(),
        }
        self.keyed = false;
        let indentation = format!("\n{}", "  ".repeat(self.depth));
        self.text.push_str(&value.replace("\r\n", "\n").replace('\n', &indentation));
    }
}

impl<'de> DeserializeSeed<'de> for &mut Outline {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for &mut Outline {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        self.scalar("");
        Ok(())
    }

    fn visit_bool<E>(self, value: bool) -> Result<(), E> {
        self.scalar(if value { "true" } else { "false" });
        Ok(())
    }

    fn visit_i64<E>(self, value: i64) -> Result<(), E> {
        self.scalar(&value.to_string());
        Ok(())
    }

    fn visit_u64<E>(self, value: u64) -> Result<(), E> {
        self.scalar(&value.to_string());
        Ok(())
    }

    fn visit_f64<E>(self, value: f64) -> Result<(), E> {
        self.scalar(&value.to_string());
        Ok(())
    }

    fn visit_str<E>(self, value: &str) -> Result<(), E> {
        self.scalar(value);
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        let keyed = std::mem::take(&mut self.keyed);
        let records = !keyed && self.depth == 0;
        let levels = 1 + usize::from(keyed);
        self.depth += levels;
        self.dashes += 1;
        while items.next_element_seed(&mut *self)?.is_some() {
            // records of a document that is a list stand apart
            if records {
                self.text.push_str("\n\n");
            }
            self.dashes = 1;
        }
        self.depth -= levels;
        self.dashes = 0;
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<(), A::Error> {
        let nested = std::mem::take(&mut self.keyed);
        self.depth += usize::from(nested);
        while let Some(key) = entries.next_key::<String>()? {
            self.start_line();
            self.text.push_str(&key);
            self.text.push(':');
            self.keyed = true;
            entries.next_value_seed(&mut *self)?;
            self.keyed = false;
        }
        self.depth -= usize::from(nested);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::scalar("\"hi\"", "hi")]
    #[case::order_is_kept(r#"{"b": 1, "a": {"x": true, "y": null}}"#, "b: 1\na:\n  x: true\n  y:")]
    #[case::lists(r#"{"tags": ["a", "b"], "n": 2.5}"#, "tags:\n  - a\n  - b\nn: 2.5")]
    #[case::records(r#"[{"id": 1, "t": "a"}, {"id": 2, "t": "b"}]"#, "- id: 1\n  t: a\n\n- id: 2\n  t: b\n\n")]
    #[case::records_within(r#"{"r": [{"id": 1, "t": "a"}, {"id": 2}]}"#, "r:\n  - id: 1\n    t: a\n  - id: 2")]
    #[case::lists_of_lists("{\"m\": [[1, 2], [3]]}", "m:\n  - - 1\n    - 2\n  - - 3")]
    #[case::several_lines(r#"{"a": "x\ny"}"#, "a: x\ny")]
    #[case::empty(r#"{"a": {}, "b": []}"#, "a:\nb:")]
    fn outlines(#[case] json: &str, #[case] expected: &str) {
        assert_eq!(outline(json).unwrap(), expected);
    }

    #[rstest]
    #[case::cut_off("{\"a\": [1, 2", "DocumentDamaged")]
    #[case::deep(&"[".repeat(100_000), "NestedTooDeeply")]
    fn refuses(#[case] json: &str, #[case] reason: &str) {
        use crate::failure::Classified;
        assert_eq!(parse(json).unwrap_err().reason(), reason);
    }

    #[test]
    fn what_is_no_json_is_kept_with_a_warning() {
        let parsed = parse("{ // why\n \"a\": 1 }").unwrap();
        assert!(parsed.text.contains("// why") && parsed.about.warnings.len() == 1);
        let parsed = parse_lines("{\"a\": 1}\n\nnot this\n{\"a\": 2}\n");
        assert_eq!(parsed.text, "a: 1\n\nnot this\n\na: 2");
        assert!(parsed.about.warnings[0].starts_with("line 3 is no valid JSON"));
    }
}
