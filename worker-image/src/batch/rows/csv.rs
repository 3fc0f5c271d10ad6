//! Comma-separated values under a header (RFC 4180). Reads a file.
//!
//! With `csv-core` and not `csv`: only so can a row that is too large be skipped without being read into memory.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, Read, Seek, SeekFrom},
};

use csv_core::ReadRecordResult;
use lexigram_api::text::TextFields;
use serde_json::Value;

use super::{MOST_ROW_BYTES, Place, Position, Row, RowError, RowReader, Text, fields::text};
use crate::batch::InputError;

/// Most fields of a row.
const MOST_FIELDS: usize = 4096;

/// Rows of a CSV file.
pub(super) struct CsvRows {
    records: Records<File>,
    path: String,
    header: Vec<String>,
    fields: TextFields,
    rows: u64,
}

impl CsvRows {
    pub(super) fn open(file: File, path: String, fields: &TextFields) -> Result<Self, InputError> {
        let mut records = Records::new(file);
        let header = match records.next().map_err(|error| InputError::of_file(&path, &error))? {
            // a file without a single row needs no header either
            None => return Ok(Self { records, path, header: Vec::new(), fields: fields.clone(), rows: 0 }),
            Some(record) => record.fields.ok_or_else(|| InputError::Unreadable {
                path: path.clone(),
                problem: format!("as CSV: the header is too large; it may have {MOST_FIELDS} fields"),
            })?,
        };
        let header: Vec<String> = header.iter().map(|name| String::from_utf8_lossy(name).into_owned()).collect();
        InputError::check_fields(fields, &header)?;
        Ok(Self { records, path, header, fields: fields.clone(), rows: 0 })
    }

    fn content(&self, position: Position, record: Record) -> Result<Text, RowError> {
        let place = Place::new(true, position);
        let too_large = RowError::TextTooLarge {
            place,
            what: "row",
            bytes: record.length,
            limit: MOST_ROW_BYTES,
            hint: ", and look for a quotation mark that is not closed",
        };
        let cells = record.fields.ok_or(too_large)?;
        if cells.len() != self.header.len() {
            let problem = format!("it has {} fields, and the header has {}", cells.len(), self.header.len());
            return Err(RowError::Malformed { place, kind: "CSV row of this file", problem });
        }
        let cells: Vec<String> = cells
            .into_iter()
            .map(String::from_utf8)
            .collect::<Result<_, _>>()
            .map_err(|_| RowError::NotUtf8 { place })?;
        text(&self.fields, place, position, |field| {
            let column = self.header.iter().position(|name| name == field)?;
            cells.get(column).cloned().map(Value::String)
        })
    }
}

impl RowReader for CsvRows {
    fn next(&mut self) -> Result<Option<Row>, InputError> {
        let record = self.records.next().map_err(|error| InputError::of_file(&self.path, &error))?;
        let Some(record) = record else { return Ok(None) };
        let position = Position { row: self.rows, line: record.line, byte: record.byte };
        self.rows += 1;
        let bytes = usize::try_from(record.length).unwrap_or(usize::MAX);
        Ok(Some(Row { position, bytes, content: self.content(position, record) }))
    }

    fn seek(&mut self, position: Position) -> Result<(), InputError> {
        self.rows = position.row;
        self.records.seek(position).map_err(|error| InputError::of_file(&self.path, &error))
    }
}

/// Records of a file, fields not decoded.
struct Records<R> {
    reader: BufReader<R>,
    core: csv_core::Reader,
    line: u64,
    byte: u64,
}

struct Record {
    line: u64,
    byte: u64,
    length: u64,
    /// None if the record is too large.
    fields: Option<Vec<Vec<u8>>>,
}

impl<R: Read + Seek> Records<R> {
    fn new(reader: R) -> Self {
        let reader = BufReader::with_capacity(64 * 1024, reader);
        Self { reader, core: csv_core::Reader::new(), line: 0, byte: 0 }
    }

    fn seek(&mut self, position: Position) -> io::Result<()> {
        self.core.reset();
        self.reader.seek(SeekFrom::Start(position.byte))?;
        (self.line, self.byte) = (position.line, position.byte);
        Ok(())
    }

    fn next(&mut self) -> io::Result<Option<Record>> {
        self.pass_line_ends()?;
        let (line, byte) = (self.line, self.byte);
        let (mut output, mut written) = (vec![0; 1024], 0);
        let (mut ends, mut ended) = (vec![0; 64], 0);
        let mut fits = true;
        loop {
            let input = self.reader.fill_buf()?;
            let (result, read, more_written, more_ended) =
                self.core.read_record(input, &mut output[written..], &mut ends[ended..]);
            self.line += line_ends(&input[..read]);
            self.byte += u64::try_from(read).unwrap_or(0);
            self.reader.consume(read);
            written += more_written;
            ended += more_ended;
            match result {
                ReadRecordResult::InputEmpty => {}
                ReadRecordResult::OutputFull if fits && output.len() < MOST_ROW_BYTES => {
                    output.resize(output.len() * 2, 0);
                }
                ReadRecordResult::OutputEndsFull if fits && ends.len() < MOST_FIELDS => ends.resize(ends.len() * 2, 0),
                // too large: what follows is read over what is there
                ReadRecordResult::OutputFull | ReadRecordResult::OutputEndsFull => {
                    fits = false;
                    (written, ended) = (0, 0);
                }
                ReadRecordResult::Record => {
                    let starts = std::iter::once(0).chain(ends.iter().copied());
                    let fields = || {
                        let cells = starts.zip(&ends[..ended]);
                        cells.map(|(start, &end)| output.get(start..end).unwrap_or_default().to_vec()).collect()
                    };
                    let fields = fits.then(fields);
                    return Ok(Some(Record { line, byte, length: self.byte - byte, fields }));
                }
                ReadRecordResult::End => return Ok(None),
            }
        }
    }

    /// Goes to the next line that is not empty, so that a record's line is the one it begins on.
    fn pass_line_ends(&mut self) -> io::Result<()> {
        loop {
            let available = self.reader.fill_buf()?;
            let passed = available.iter().take_while(|&&byte| matches!(byte, b'\r' | b'\n')).count();
            self.line += line_ends(&available[..passed]);
            self.byte += u64::try_from(passed).unwrap_or(0);
            let all = passed == available.len() && passed > 0;
            self.reader.consume(passed);
            if !all {
                return Ok(());
            }
        }
    }
}

fn line_ends(bytes: &[u8]) -> u64 {
    u64::try_from(bytes.iter().filter(|&&byte| byte == b'\n').count()).unwrap_or(0)
}
