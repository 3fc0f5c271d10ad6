//! What office documents and books say of themselves. No I/O.

use std::sync::LazyLock;

use anydoc::{Format, to_markdown_bytes};
use quick_xml::{
    Reader,
    events::{BytesStart, Event},
};
use regex::bytes::Regex;

use super::super::{Metadata, about::short, archive::part};

/// How far into an RTF document its group of information may stand, in bytes.
const RTF_HEAD: usize = 64 * 1024;

pub(super) fn of(format: Format, content: &[u8]) -> Metadata {
    let xml = match format {
        Format::Docx | Format::Pptx | Format::Excel => part(content, "docProps/core.xml"),
        Format::Odt | Format::Ods | Format::Odp => part(content, "meta.xml"),
        Format::Epub => part(content, "META-INF/container.xml")
            .and_then(|container| attribute_of_first(&container, b"rootfile", "full-path"))
            .and_then(|path| part(content, &path)),
        Format::Rtf => return rtf(content),
        Format::Doc | Format::Ppt | Format::Csv | Format::Pdf => None,
    };
    xml.map_or_else(Metadata::default, |xml| dublin_core(&xml, format))
}

/// OOXML, ODF and EPUB all say it in the terms of Dublin Core, each with some of its own.
fn dublin_core(xml: &str, format: Format) -> Metadata {
    let mut metadata = Metadata::default();
    let mut reader = Reader::from_str(xml);
    let (mut term, mut value) = (Vec::new(), String::new());
    loop {
        match reader.read_event() {
            Ok(Event::Start(start)) => {
                // a date of EPUB 3 is named by an attribute
                term = match attribute(&start, "property").as_deref() {
                    Some("dcterms:modified") => b"modified".to_vec(),
                    _ => start.local_name().as_ref().to_vec(),
                };
                value.clear();
            }
            Ok(Event::Text(text)) => value.push_str(&text.decode().unwrap_or_default()),
            Ok(Event::GeneralRef(reference)) => value.push_str(&resolved(&reference).unwrap_or_default()),
            Ok(Event::End(_)) => {
                if let (Some(field), Some(value)) = (field(&mut metadata, &term, format), short(&value)) {
                    // the first title is the main one, the first author the one to name
                    field.get_or_insert(value);
                }
                term.clear();
            }
            Ok(Event::Eof) | Err(_) => return metadata,
            Ok(_) => {}
        }
    }
}

fn field<'a>(metadata: &'a mut Metadata, term: &[u8], format: Format) -> Option<&'a mut Option<String>> {
    Some(match term {
        b"title" => &mut metadata.title,
        b"creator" | b"initial-creator" => &mut metadata.author,
        b"created" | b"creation-date" => &mut metadata.created,
        // that of a book is when it was published
        b"date" if format == Format::Epub => &mut metadata.created,
        b"modified" | b"date" => &mut metadata.modified,
        b"language" => &mut metadata.language,
        _ => return None,
    })
}

/// The character that a reference stands for; none for what only a DTD could tell.
pub(in crate::parse) fn resolved(reference: &quick_xml::events::BytesRef<'_>) -> Option<String> {
    if let Ok(Some(character)) = reference.resolve_char_ref() {
        return Some(character.to_string());
    }
    quick_xml::escape::resolve_predefined_entity(&reference.decode().ok()?).map(str::to_owned)
}

/// The value of an attribute by its whole name.
pub(super) fn attribute(start: &BytesStart<'_>, name: &str) -> Option<String> {
    let attribute = start.try_get_attribute(name).ok()??;
    let value = String::from_utf8_lossy(&attribute.value).into_owned();
    Some(quick_xml::escape::unescape(&value).map(std::borrow::Cow::into_owned).unwrap_or(value))
}

fn attribute_of_first(xml: &str, element: &[u8], name: &str) -> Option<String> {
    let mut reader = Reader::from_str(xml);
    loop {
        match reader.read_event().ok()? {
            Event::Start(start) | Event::Empty(start) if start.local_name().as_ref() == element => {
                return attribute(&start, name);
            }
            Event::Eof => return None,
            _ => {}
        }
    }
}

/// The groups `{\title …}` and `{\author …}` of RTF, whose values may be written in its escapes.
fn rtf(content: &[u8]) -> Metadata {
    static GROUPS: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"(?-u)\{\\(title|author) ([^{}]*)\}").ok());
    let mut metadata = Metadata::default();
    let head = &content[..content.len().min(RTF_HEAD)];
    for group in GROUPS.iter().flat_map(|groups| groups.captures_iter(head)) {
        let rtf = [br"{\rtf1\ansi ".as_slice(), &group[2], b"}"].concat();
        let value = to_markdown_bytes(&rtf, Format::Rtf).ok().and_then(|value| short(&value));
        match &group[1] {
            b"title" => metadata.title = metadata.title.or(value),
            _ => metadata.author = metadata.author.or(value),
        }
    }
    metadata
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dublin_core_is_read_in_each_dialect() {
        let core = "<cp:coreProperties><dc:title>A &amp; B</dc:title><dc:creator>Ann</dc:creator>\
            <dcterms:created xsi:type=\"dcterms:W3CDTF\">2024-01-02T03:04:05Z</dcterms:created></cp:coreProperties>";
        let metadata = dublin_core(core, Format::Docx);
        assert_eq!(metadata.title.as_deref(), Some("A & B"));
        assert_eq!(metadata.created.as_deref(), Some("2024-01-02T03:04:05Z"));
        let book = "<package><metadata><dc:title>Main</dc:title><dc:title>Sub</dc:title><dc:language>de</dc:language><dc:date>1999</dc:date>\
            <meta property=\"dcterms:modified\">2024-05-06</meta></metadata></package>";
        let metadata = dublin_core(book, Format::Epub);
        assert_eq!((metadata.title.as_deref(), metadata.language.as_deref()), (Some("Main"), Some("de")));
        assert_eq!((metadata.created.as_deref(), metadata.modified.as_deref()), (Some("1999"), Some("2024-05-06")));
    }

    #[test]
    fn rtf_values_are_unescaped() {
        let metadata = rtf(br"{\rtf1\ansi{\info{\title Stra\'dfe}{\author Ann}}text}");
        assert_eq!((metadata.title.as_deref(), metadata.author.as_deref()), (Some("Stra\u{df}e"), Some("Ann")));
    }
}
