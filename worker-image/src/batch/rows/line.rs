//! Lines of a file, each read into memory only if it is not too long. Reads a file.

use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};

use super::Position;

/// UTF-8's mark at the beginning of a file, which some programs write.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Lines of a file.
pub(super) struct Lines<R> {
    reader: BufReader<R>,
    line: u64,
    byte: u64,
    limit: usize,
}

/// One line.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Line {
    /// Lines before it.
    pub(super) line: u64,
    /// Bytes before it.
    pub(super) byte: u64,
    /// Its length in the file, its end included.
    pub(super) length: u64,
    /// What it holds, without its end; none if that is more than the limit.
    pub(super) content: Option<Vec<u8>>,
}

impl<R: Read + Seek> Lines<R> {
    pub(super) fn new(reader: R, limit: usize) -> Self {
        Self { reader: BufReader::with_capacity(64 * 1024, reader), line: 0, byte: 0, limit }
    }

    pub(super) fn seek(&mut self, position: Position) -> io::Result<()> {
        self.reader.seek(SeekFrom::Start(position.byte))?;
        (self.line, self.byte) = (position.line, position.byte);
        Ok(())
    }

    /// The next line; none at the end of the file.
    pub(super) fn next(&mut self) -> io::Result<Option<Line>> {
        let (line, byte) = (self.line, self.byte);
        let (mut content, mut fits) = (Vec::new(), true);
        loop {
            let available = match self.reader.fill_buf() {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                available => available?,
            };
            let end = available.iter().position(|&byte| byte == b'\n');
            let taken = end.map_or(available.len(), |end| end + 1);
            let own = &available[..end.unwrap_or(taken)];
            fits = fits && content.len() + own.len() <= self.limit;
            match fits {
                true => content.extend_from_slice(own),
                false => content = Vec::new(),
            }
            let at_end_of_file = available.is_empty();
            self.reader.consume(taken);
            self.byte += u64::try_from(taken).unwrap_or(0);
            if end.is_some() || at_end_of_file {
                break;
            }
        }
        let length = self.byte - byte;
        if length == 0 {
            return Ok(None);
        }
        self.line += 1;
        if content.last() == Some(&b'\r') {
            content.pop();
        }
        if byte == 0 && content.starts_with(BYTE_ORDER_MARK) {
            content.drain(..BYTE_ORDER_MARK.len());
        }
        Ok(Some(Line { line, byte, length, content: fits.then_some(content) }))
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    #[test]
    fn lines_are_cut_counted_and_skipped_when_too_long() {
        let text = format!("\u{feff}one\r\n\n{}\nlast", "x".repeat(300_000));
        let mut lines = Lines::new(Cursor::new(text.into_bytes()), 10);
        let mut next = || {
            let line = lines.next().unwrap()?;
            Some((line.line, line.byte, line.content.map(|content| String::from_utf8(content).unwrap())))
        };
        assert_eq!(next(), Some((0, 0, Some("one".to_owned()))));
        assert_eq!(next(), Some((1, 8, Some(String::new()))));
        assert_eq!(next(), Some((2, 9, None)));
        assert_eq!(next(), Some((3, 300_010, Some("last".to_owned()))));
        assert_eq!(next(), None);
        lines.seek(Position { row: 1, line: 3, byte: 300_010 }).unwrap();
        assert_eq!(lines.next().unwrap().unwrap().line, 3);
    }
}
