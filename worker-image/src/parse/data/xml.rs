//! XML as an outline: an element a line, its text behind its name; elements within a sentence stay in it. Entities of a
//! DTD are not expanded, so that no bomb can be built of them. No I/O.

use std::sync::LazyLock;

use encoding_rs::Encoding;
use quick_xml::{
    Reader,
    events::{BytesStart, Event},
};
use regex::bytes::Regex;

use crate::parse::{MAX_TEXT_BYTES, ParseError, Parsed, about::short, office::resolved, text::decode};

/// Elements within each other.
const MAX_DEPTH: usize = 256;

/// How far into a document its encoding may be declared, in bytes.
const DECLARATION_BYTES: usize = 256;

pub(in crate::parse) fn parse(content: &[u8], charset: Option<&'static Encoding>) -> Result<Parsed, ParseError> {
    let xml = decode(content, charset.or_else(|| declared_within(content)));
    let mut reader = Reader::from_str(&xml);
    let mut outline = Outline::default();
    loop {
        match reader.read_event().map_err(|error| damaged(&error.to_string()))? {
            Event::Start(start) => outline.open(&start)?,
            Event::Empty(empty) => {
                outline.open(&empty)?;
                outline.close();
            }
            Event::End(_) => outline.close(),
            Event::Text(text) => outline.words(&text.decode().map_err(|error| damaged(&error.to_string()))?),
            Event::CData(text) => outline.words(&text.decode().map_err(|error| damaged(&error.to_string()))?),
            Event::GeneralRef(reference) => match resolved(&reference) {
                Some(character) => outline.words(&character),
                None => outline.unknown_entity(&String::from_utf8_lossy(&reference)),
            },
            Event::Eof => break,
            Event::Comment(_) | Event::Decl(_) | Event::PI(_) | Event::DocType(_) => {}
        }
        if outline.parsed.text.len() > MAX_TEXT_BYTES {
            return Err(ParseError::TooMuchText { limit: MAX_TEXT_BYTES });
        }
    }
    match outline.open_elements.is_empty() {
        true => Ok(outline.parsed),
        false => Err(damaged("its end is missing")),
    }
}

fn damaged(problem: &str) -> ParseError {
    ParseError::Damaged { format: "XML".to_owned(), problem: problem.to_owned() }
}

/// The encoding that the declaration names.
fn declared_within(content: &[u8]) -> Option<&'static Encoding> {
    static DECLARED: LazyLock<Option<Regex>> =
        LazyLock::new(|| Regex::new(r#"^<\?xml[^>]*?encoding\s*=\s*["']([A-Za-z0-9._-]+)"#).ok());
    let head = &content[..content.len().min(DECLARATION_BYTES)];
    Encoding::for_label(&DECLARED.as_ref()?.captures(head)?[1])
}

#[derive(Default)]
struct Outline {
    parsed: Parsed,
    open_elements: Vec<Element>,
}

struct Element {
    /// Whether it stands within a sentence.
    inline: bool,
    /// Whether it has text of its own, so that what comes next stands within a sentence.
    has_text: bool,
}

impl Outline {
    fn open(&mut self, start: &BytesStart<'_>) -> Result<(), ParseError> {
        if self.open_elements.len() == MAX_DEPTH {
            let problem = format!("more than {MAX_DEPTH} elements within each other");
            return Err(ParseError::TooDeep { format: "XML".to_owned(), problem });
        }
        let inline = self.open_elements.last().is_some_and(|parent| parent.inline || parent.has_text);
        let indentation = "  ".repeat(self.open_elements.len());
        self.open_elements.push(Element { inline, has_text: false });
        if inline {
            return Ok(());
        }
        let text = &mut self.parsed.text;
        if !text.is_empty() {
            // the parts of the document stand apart
            text.push_str(if indentation.len() == 2 { "\n\n" } else { "\n" });
        }
        text.push_str(&indentation);
        text.push_str(&String::from_utf8_lossy(start.local_name().as_ref()));
        for attribute in start.attributes().filter_map(Result::ok) {
            let (name, value) = (attribute.key.local_name(), String::from_utf8_lossy(&attribute.value));
            let value = short(&quick_xml::escape::unescape(&value).unwrap_or(std::borrow::Cow::Borrowed(&value)));
            let is_root = self.open_elements.len() == 1;
            if attribute.key.as_ref() == b"xml:lang" && is_root {
                self.parsed.about.metadata.language = value;
            } else if let Some(value) = value.filter(|_| !attribute.key.as_ref().starts_with(b"xmlns")) {
                text.push_str(&format!(" {}={value}", String::from_utf8_lossy(name.as_ref())));
            }
        }
        text.push(':');
        Ok(())
    }

    fn close(&mut self) {
        self.open_elements.pop();
    }

    fn words(&mut self, text: &str) {
        let Some(element) = self.open_elements.last_mut() else { return };
        let out = &mut self.parsed.text;
        if text.trim().is_empty() {
            if !text.is_empty() && element.has_text && !out.ends_with(' ') {
                out.push(' ');
            }
            return;
        }
        // the first words of an element stand apart from its name
        if (!element.has_text && !element.inline || text.starts_with(char::is_whitespace)) && !out.ends_with(' ') {
            out.push(' ');
        }
        element.has_text = true;
        let mut words = text.split_whitespace();
        out.extend(words.next());
        words.for_each(|word| {
            out.push(' ');
            out.push_str(word);
        });
        if text.ends_with(char::is_whitespace) {
            out.push(' ');
        }
    }

    fn unknown_entity(&mut self, name: &str) {
        if self.parsed.about.warnings.is_empty() {
            self.parsed.about.warn(&format!("entities that are defined in the document stay as they are: &{name};"));
        }
        self.words(&format!("&{name};"));
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::elements(
        "<c><book id='1'><title>A &amp; B</title><year>2024</year></book></c>",
        "c:\n\n  book id=1:\n    title: A & B\n    year: 2024"
    )]
    #[case::sentences("<p>Some <em>fine</em> words,\n  <b>here</b>.</p>", "p: Some fine words, here.")]
    #[case::cdata("<p><![CDATA[a < b]]></p>", "p: a < b")]
    #[case::namespaces("<x:a xmlns:x='u' x:k='v'>t</x:a>", "a k=v: t")]
    #[case::characters("<p>&#65;&#x42; c</p>", "p: AB c")]
    fn outlines(#[case] xml: &str, #[case] expected: &str) {
        assert_eq!(parse(xml.as_bytes(), None).unwrap().text.trim_end(), expected);
    }

    #[test]
    fn the_declared_encoding_counts() {
        let xml = b"<?xml version='1.0' encoding='windows-1251'?><p>\xcf\xf0\xe8\xe2\xe5\xf2</p>";
        assert_eq!(parse(xml, None).unwrap().text, "p: \u{41f}\u{440}\u{438}\u{432}\u{435}\u{442}");
    }

    #[test]
    fn entities_of_a_dtd_stay_as_they_are() {
        let xml = "<!DOCTYPE l [<!ENTITY a 'lol'><!ENTITY b '&a;&a;&a;&a;'>]><l>&b;</l>";
        let parsed = parse(xml.as_bytes(), None).unwrap();
        assert_eq!(parsed.text, "l: &b;");
        assert_eq!(parsed.about.warnings.len(), 1);
    }
}
