//! Where slides begin. anydoc puts all slides of a presentation into one text, so each gets a title of our own first,
//! by which its place is known afterwards, and which is taken out again. No I/O.

use std::io::{Cursor, Read, Write};

use anydoc::Format;
use quick_xml::{Reader, events::Event};
use zip::{ZipArchive, ZipWriter, write::SimpleFileOptions};

use super::super::PageStart;

/// The title. A document that holds it would lose it.
const MARK: &str = "LexigramSlideBeginsHere";

/// A shape in a slide of OOXML.
const SHAPE: &str = r#"<p:sp xmlns:p="http://schemas.openxmlformats.org/presentationml/2006/main"
 xmlns:a="http://schemas.openxmlformats.org/drawingml/2006/main"><p:nvSpPr><p:cNvPr id="1" name=""/><p:cNvSpPr/><p:nvPr>
<p:ph type="title"/></p:nvPr></p:nvSpPr><p:spPr/><p:txBody><a:bodyPr/><a:p><a:r><a:t>LexigramSlideBeginsHere</a:t></a:r>
</a:p></p:txBody></p:sp>"#;

/// A frame in a page of ODF.
const FRAME: &str = r#"<d:frame xmlns:d="urn:oasis:names:tc:opendocument:xmlns:drawing:1.0"
 xmlns:r="urn:oasis:names:tc:opendocument:xmlns:presentation:1.0" r:class="title"><d:text-box><t:p
 xmlns:t="urn:oasis:names:tc:opendocument:xmlns:text:1.0">LexigramSlideBeginsHere</t:p></d:text-box></d:frame>"#;

/// A copy of a presentation in which each slide says so; none if it is no presentation, or cannot be copied.
pub(super) fn marked(format: Format, content: &[u8]) -> Option<Vec<u8>> {
    let (is_slides, element, title): (fn(&str) -> bool, &[u8], _) = match format {
        Format::Pptx => (|part| part.starts_with("ppt/slides/") && part.ends_with(".xml"), b"spTree", SHAPE),
        Format::Odp => (|part| part == "content.xml", b"page", FRAME),
        _ => return None,
    };
    let mut source = ZipArchive::new(Cursor::new(content)).ok()?;
    let mut copy = ZipWriter::new(Cursor::new(Vec::new()));
    for index in 0..source.len() {
        let name = source.by_index_raw(index).ok()?.name().to_owned();
        if !is_slides(&name) {
            copy.raw_copy_file(source.by_index_raw(index).ok()?).ok()?;
            continue;
        }
        let mut xml = String::new();
        // what is no UTF-8 stays without slides
        source.by_index(index).ok()?.read_to_string(&mut xml).ok()?;
        copy.start_file(name, SimpleFileOptions::default()).ok()?;
        copy.write_all(with_titles(&xml, element, title)?.as_bytes()).ok()?;
    }
    Some(copy.finish().ok()?.into_inner())
}

/// The XML with a title at the beginning of each such element.
fn with_titles(xml: &str, element: &[u8], title: &str) -> Option<String> {
    let mut reader = Reader::from_str(xml);
    let (mut out, mut written) = (String::with_capacity(xml.len() + title.len()), 0);
    loop {
        match reader.read_event().ok()? {
            Event::Start(start) if start.local_name().as_ref() == element => {
                let at = usize::try_from(reader.buffer_position()).ok()?;
                out.push_str(xml.get(written..at)?);
                out.push_str(title);
                written = at;
            }
            Event::Eof => break,
            _ => {}
        }
    }
    out.push_str(xml.get(written..)?);
    Some(out)
}

/// The text without those titles, and where they stood.
pub(super) fn unmarked(marked: &str) -> (String, Vec<PageStart>) {
    let (mut text, mut pages) = (String::with_capacity(marked.len()), Vec::new());
    let mut after_mark = false;
    for line in marked.split_inclusive('\n') {
        if line.contains(MARK) {
            let page = i32::try_from(pages.len() + 1).unwrap_or(i32::MAX);
            pages.push(PageStart { page, offset: text.len() });
            after_mark = true;
        } else if !(after_mark && line.trim().is_empty()) {
            after_mark = false;
            text.push_str(line);
        }
    }
    (text, pages)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn titles_are_put_in_and_taken_out() {
        let xml = with_titles("<x><d:page n='1'>a</d:page><d:page>b</d:page></x>", b"page", MARK).unwrap();
        assert_eq!(xml, format!("<x><d:page n='1'>{MARK}a</d:page><d:page>{MARK}b</d:page></x>"));
        let (text, pages) = unmarked(&format!("## {MARK}\n\n## One\n\na\n\n## {MARK}\n\n## Two\n\nb\n"));
        assert_eq!(text, "## One\n\na\n\n## Two\n\nb\n");
        let starts: Vec<_> = pages.iter().map(|page| (page.page, &text[page.offset..page.offset + 6])).collect();
        assert_eq!(starts, [(1, "## One"), (2, "## Two")]);
    }
}
