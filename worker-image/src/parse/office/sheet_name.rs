//! The name of a workbook's only sheet. No I/O.

use std::io::{Cursor, Read};

use anydoc::Format;
use quick_xml::{Reader, events::Event};

use super::{
    super::{about::short, archive::part},
    metadata::attribute,
};

/// The record of an old workbook that names a sheet (MS-XLS, section 2.4.28).
const BOUND_SHEET: u16 = 0x0085;

/// How much of an old workbook is looked at: its names stand before its sheets.
const WORKBOOK_HEAD: u64 = 4 * 1024 * 1024;

/// The name of the only sheet that can be seen; none if there are several, or it has no name.
pub(super) fn only_one(format: Format, content: &[u8]) -> Option<String> {
    let names = match format {
        Format::Excel if content.starts_with(b"PK") => named_by(&part(content, "xl/workbook.xml")?, b"sheet", "name"),
        Format::Excel => bound_sheets(content)?,
        Format::Ods => named_by(&part(content, "content.xml")?, b"table", "table:name"),
        _ => return None,
    };
    match names.as_slice() {
        [name] => short(name),
        _ => None,
    }
}

/// The names of elements that are not hidden.
fn named_by(xml: &str, element: &[u8], attribute_name: &str) -> Vec<String> {
    let mut names = Vec::new();
    let mut reader = Reader::from_str(xml);
    loop {
        match reader.read_event() {
            Ok(Event::Start(start) | Event::Empty(start)) if start.local_name().as_ref() == element => {
                let hidden = attribute(&start, "state").is_some_and(|state| state != "visible");
                names.extend(attribute(&start, attribute_name).filter(|_| !hidden));
            }
            Ok(Event::Eof) | Err(_) => return names,
            Ok(_) => {}
        }
    }
}

/// The names of the visible sheets of an old workbook.
fn bound_sheets(content: &[u8]) -> Option<Vec<String>> {
    let mut file = cfb::CompoundFile::open(Cursor::new(content)).ok()?;
    let stream = if file.exists("/Workbook") { "/Workbook" } else { "/Book" };
    let mut records = Vec::new();
    file.open_stream(stream).ok()?.take(WORKBOOK_HEAD).read_to_end(&mut records).ok()?;
    let mut names = Vec::new();
    let mut rest = records.as_slice();
    while let [kind_low, kind_high, size_low, size_high, tail @ ..] = rest {
        let size = usize::from(u16::from_le_bytes([*size_low, *size_high]));
        let (Some(record), Some(next)) = (tail.get(..size), tail.get(size..)) else { break };
        if u16::from_le_bytes([*kind_low, *kind_high]) == BOUND_SHEET {
            // place, state, kind, length of the name, how it is written, the name
            if let [_, _, _, _, 0, _, length, flags, name @ ..] = record {
                names.push(text(name, usize::from(*length), flags & 1 == 1));
            }
        }
        rest = next;
    }
    Some(names)
}

fn text(bytes: &[u8], length: usize, wide: bool) -> String {
    match wide {
        true => {
            let units = bytes.chunks_exact(2).take(length).map(|unit| u16::from_le_bytes([unit[0], unit[1]]));
            char::decode_utf16(units).map(|unit| unit.unwrap_or(char::REPLACEMENT_CHARACTER)).collect()
        }
        false => bytes.iter().take(length).map(|byte| char::from(*byte)).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hidden_sheets_do_not_count() {
        let workbook =
            "<workbook><sheets><sheet name=\"A &amp; B\"/><sheet name=\"C\" state=\"hidden\"/></sheets></workbook>";
        assert_eq!(named_by(workbook, b"sheet", "name"), ["A & B"]);
    }
}
