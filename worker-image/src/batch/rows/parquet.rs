//! Apache Parquet, read column by column without Arrow. Reads a file.
//!
//! Only the columns that the work spec names are read, a few rows of each at a time; a page is the least that the
//! format lets one read.

use std::{collections::VecDeque, fs::File};

use lexigram_api::text::TextFields;
use parquet::{
    basic::{ConvertedType, Type as PhysicalType},
    column::reader::{ColumnReader, ColumnReaderImpl},
    data_type::DataType,
    errors::ParquetError,
    file::reader::{FileReader, SerializedFileReader},
    schema::types::ColumnDescriptor,
};
use serde_json::Value;

use super::{Place, Position, Row, RowError, RowReader, Text, fields::text};
use crate::batch::InputError;

/// Rows that are read at once.
const BATCH_ROWS: usize = 64;

/// Rows of a Parquet file.
pub(super) struct ParquetRows {
    reader: SerializedFileReader<File>,
    path: String,
    fields: TextFields,
    columns: Vec<Column>,
    /// The row group that is read next, and its columns once they are open.
    group: usize,
    open: Option<Vec<ColumnReader>>,
    left_in_group: usize,
    /// Rows that have been read ahead.
    ahead: VecDeque<Vec<Cell>>,
    rows: u64,
}

struct Column {
    name: String,
    index: usize,
    optional: bool,
}

/// One value of one column.
#[derive(Clone, Debug)]
enum Cell {
    Value(Value),
    NotUtf8,
}

impl ParquetRows {
    pub(super) fn open(file: File, path: String, fields: &TextFields) -> Result<Self, InputError> {
        let reader = SerializedFileReader::new(file).map_err(|error| not_parquet(&path, &error))?;
        let schema = reader.metadata().file_metadata().schema_descr();
        let names: Vec<String> = schema.columns().iter().map(|column| column.path().string()).collect();
        InputError::check_fields(fields, &names)?;
        let mut columns: Vec<Column> = Vec::new();
        for field in fields.metadata_fields.iter().chain(&fields.id_field).chain([&fields.text_field]) {
            let found = names.iter().position(|name| name == field);
            let Some((index, description)) = found.and_then(|index| Some((index, schema.columns().get(index)?))) else {
                continue;
            };
            if let Some(kind) = unusable(description) {
                return Err(InputError::ColumnType { column: field.clone(), kind });
            }
            columns.push(Column { name: field.clone(), index, optional: description.max_def_level() > 0 });
        }
        let fields = fields.clone();
        let (open, ahead) = (None, VecDeque::new());
        Ok(Self { reader, path, fields, columns, group: 0, open, left_in_group: 0, ahead, rows: 0 })
    }

    /// Opens the next row group that has rows, and passes over some of them. False at the end of the file.
    fn open_group(&mut self, mut pass: u64) -> Result<bool, ParquetError> {
        while let Some(group) = self.reader.metadata().row_groups().get(self.group) {
            let rows = u64::try_from(group.num_rows()).unwrap_or(0);
            if pass < rows {
                let group = self.reader.get_row_group(self.group)?;
                let mut readers = Vec::with_capacity(self.columns.len());
                for column in &self.columns {
                    let mut reader = group.get_column_reader(column.index)?;
                    skip(&mut reader, usize::try_from(pass).unwrap_or(usize::MAX))?;
                    readers.push(reader);
                }
                self.open = Some(readers);
                self.left_in_group = usize::try_from(rows - pass).unwrap_or(usize::MAX);
                self.group += 1;
                return Ok(true);
            }
            pass -= rows;
            self.group += 1;
        }
        Ok(false)
    }

    /// Reads some rows ahead. False at the end of the file.
    fn read_ahead(&mut self) -> Result<bool, ParquetError> {
        if self.left_in_group == 0 && !self.open_group(0)? {
            return Ok(false);
        }
        let count = self.left_in_group.min(BATCH_ROWS);
        let mut rows: Vec<Vec<Cell>> = vec![Vec::with_capacity(self.columns.len()); count];
        for (column, reader) in self.columns.iter().zip(self.open.iter_mut().flatten()) {
            let cells = cells(reader, count, column.optional)?;
            if cells.len() != count {
                let problem = format!("column '{}' ends before its row group does", column.name);
                return Err(ParquetError::General(problem));
            }
            for (row, cell) in rows.iter_mut().zip(cells) {
                row.push(cell);
            }
        }
        self.left_in_group -= count;
        self.ahead = rows.into();
        Ok(true)
    }

    fn content(&self, position: Position, cells: &[Cell]) -> Result<Text, RowError> {
        let place = Place::new(false, position);
        if cells.iter().any(|cell| matches!(cell, Cell::NotUtf8)) {
            return Err(RowError::NotUtf8 { place });
        }
        text(&self.fields, place, position, |field| {
            let column = self.columns.iter().position(|column| column.name == field)?;
            match cells.get(column)? {
                Cell::Value(value) => Some(value.clone()),
                Cell::NotUtf8 => None,
            }
        })
    }
}

impl RowReader for ParquetRows {
    fn next(&mut self) -> Result<Option<Row>, InputError> {
        if self.ahead.is_empty() && !self.read_ahead().map_err(|error| not_parquet(&self.path, &error))? {
            return Ok(None);
        }
        let Some(cells) = self.ahead.pop_front() else { return Ok(None) };
        let position = Position { row: self.rows, line: self.rows, byte: 0 };
        self.rows += 1;
        let bytes = cells.iter().map(size).sum();
        Ok(Some(Row { position, bytes, content: self.content(position, &cells) }))
    }

    fn seek(&mut self, position: Position) -> Result<(), InputError> {
        if position.row == self.rows {
            return Ok(());
        }
        self.ahead.clear();
        (self.group, self.left_in_group, self.open) = (0, 0, None);
        self.rows = position.row;
        self.open_group(position.row).map_err(|error| not_parquet(&self.path, &error))?;
        Ok(())
    }
}

fn size(cell: &Cell) -> usize {
    match cell {
        Cell::Value(Value::String(text)) => text.len(),
        _ => 8,
    }
}

fn not_parquet(path: &str, error: &ParquetError) -> InputError {
    InputError::Unreadable { path: path.to_owned(), problem: format!("as Parquet: {error}") }
}

/// Why a column cannot be used, if it cannot.
fn unusable(column: &ColumnDescriptor) -> Option<String> {
    if column.max_rep_level() > 0 || column.path().parts().len() > 1 {
        return Some("nested".to_owned());
    }
    let plain = match column.physical_type() {
        PhysicalType::BOOLEAN | PhysicalType::FLOAT | PhysicalType::DOUBLE => true,
        // numbers that mean a date or a sum of money would lose their meaning
        PhysicalType::INT32 | PhysicalType::INT64 => matches!(
            column.converted_type(),
            ConvertedType::NONE
                | ConvertedType::INT_8
                | ConvertedType::INT_16
                | ConvertedType::INT_32
                | ConvertedType::INT_64
                | ConvertedType::UINT_8
                | ConvertedType::UINT_16
        ),
        PhysicalType::BYTE_ARRAY => column.converted_type() != ConvertedType::DECIMAL,
        PhysicalType::INT96 | PhysicalType::FIXED_LEN_BYTE_ARRAY => false,
    };
    (!plain).then(|| format!("of the type {} {}", column.physical_type(), column.converted_type()))
}

fn skip(reader: &mut ColumnReader, rows: usize) -> Result<(), ParquetError> {
    match reader {
        ColumnReader::BoolColumnReader(reader) => reader.skip_records(rows),
        ColumnReader::Int32ColumnReader(reader) => reader.skip_records(rows),
        ColumnReader::Int64ColumnReader(reader) => reader.skip_records(rows),
        ColumnReader::Int96ColumnReader(reader) => reader.skip_records(rows),
        ColumnReader::FloatColumnReader(reader) => reader.skip_records(rows),
        ColumnReader::DoubleColumnReader(reader) => reader.skip_records(rows),
        ColumnReader::ByteArrayColumnReader(reader) => reader.skip_records(rows),
        ColumnReader::FixedLenByteArrayColumnReader(reader) => reader.skip_records(rows),
    }
    .map(|_| ())
}

/// The next values of a column.
fn cells(reader: &mut ColumnReader, count: usize, optional: bool) -> Result<Vec<Cell>, ParquetError> {
    let value = |value: Value| Cell::Value(value);
    match reader {
        ColumnReader::BoolColumnReader(reader) => read(reader, count, optional, |&truth| value(truth.into())),
        ColumnReader::Int32ColumnReader(reader) => read(reader, count, optional, |&number| value(number.into())),
        ColumnReader::Int64ColumnReader(reader) => read(reader, count, optional, |&number| value(number.into())),
        ColumnReader::FloatColumnReader(reader) => {
            read(reader, count, optional, |&number| value(f64::from(number).into()))
        }
        ColumnReader::DoubleColumnReader(reader) => read(reader, count, optional, |&number| value(number.into())),
        ColumnReader::ByteArrayColumnReader(reader) => read(reader, count, optional, |bytes| {
            std::str::from_utf8(bytes.data()).map_or(Cell::NotUtf8, |text| value(text.into()))
        }),
        ColumnReader::Int96ColumnReader(_) | ColumnReader::FixedLenByteArrayColumnReader(_) => {
            Err(ParquetError::NYI("columns of this type".to_owned()))
        }
    }
}

fn read<T: DataType>(
    reader: &mut ColumnReaderImpl<T>,
    count: usize,
    optional: bool,
    cell: impl Fn(&T::T) -> Cell,
) -> Result<Vec<Cell>, ParquetError> {
    let (mut values, mut levels) = (Vec::with_capacity(count), Vec::new());
    let mut rows = 0;
    // one call ends with a page
    while rows < count {
        let (more, _, _) = reader.read_records(count - rows, optional.then_some(&mut levels), None, &mut values)?;
        if more == 0 {
            break;
        }
        rows += more;
    }
    let mut values = values.iter();
    Ok(match optional {
        false => values.map(cell).collect(),
        true => levels
            .iter()
            .map(|&level| match level {
                0 => Cell::Value(Value::Null),
                _ => values.next().map_or(Cell::Value(Value::Null), &cell),
            })
            .collect(),
    })
}
