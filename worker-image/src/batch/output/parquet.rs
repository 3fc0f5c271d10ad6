//! Part files of Apache Parquet, compressed with zstd: a row group a slice. Writes a file.

use std::{fs::File, io, sync::Arc};

use parquet::{
    basic::{Compression, ZstdLevel},
    data_type::{ByteArray, ByteArrayType, FloatType},
    errors::ParquetError,
    file::{
        properties::{EnabledStatistics, WriterProperties},
        writer::SerializedFileWriter,
    },
    schema::{parser::parse_message_type, types::ColumnPath},
};
use serde_json::Value;

use super::OutputRow;

/// Columns. Metadata is a JSON object: its fields are those of the input, and may have any name.
const SCHEMA: &str = "message texts {
    required binary id (STRING);
    required binary text (STRING);
    required group vector (LIST) { repeated group list { required float element; } }
    optional binary metadata (STRING);
}";

/// A file that is being written.
pub(super) struct Parquet(SerializedFileWriter<File>);

impl Parquet {
    pub(super) fn new(file: File) -> io::Result<Self> {
        let schema = Arc::new(parse_message_type(SCHEMA).map_err(io_error)?);
        let vector = ColumnPath::new(["vector", "list", "element"].map(str::to_owned).to_vec());
        let properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(ZstdLevel::default()))
            .set_created_by(concat!("lexigram-worker ", env!("CARGO_PKG_VERSION")).to_owned())
            // neither helps with numbers that hardly ever repeat
            .set_column_dictionary_enabled(vector.clone(), false)
            .set_column_statistics_enabled(vector, EnabledStatistics::None)
            .build();
        Ok(Self(SerializedFileWriter::new(file, schema, Arc::new(properties)).map_err(io_error)?))
    }

    pub(super) fn append(&mut self, rows: &[OutputRow]) -> io::Result<()> {
        self.append_group(rows).map_err(io_error)
    }

    fn append_group(&mut self, rows: &[OutputRow]) -> Result<(), ParquetError> {
        let text = |text: fn(&OutputRow) -> &str| rows.iter().map(|row| ByteArray::from(text(row))).collect::<Vec<_>>();
        let mut group = self.0.next_row_group()?;
        for column in 0.. {
            let Some(mut writer) = group.next_column()? else { break };
            match column {
                0 => writer.typed::<ByteArrayType>().write_batch(&text(|row| &row.key), None, None)?,
                1 => writer.typed::<ByteArrayType>().write_batch(&text(|row| &row.text), None, None)?,
                2 => {
                    let numbers: Vec<f32> = rows.iter().flat_map(|row| row.vector.iter().copied()).collect();
                    // 0 where a vector begins, 1 where it goes on; every number is there
                    let repetition: Vec<i16> =
                        rows.iter().flat_map(|row| (0..row.vector.len()).map(|index| i16::from(index > 0))).collect();
                    let definition = vec![1; numbers.len()];
                    writer.typed::<FloatType>().write_batch(&numbers, Some(&definition), Some(&repetition))?
                }
                _ => {
                    let present = rows.iter().filter(|row| !row.metadata.is_empty());
                    let objects: Vec<ByteArray> = present
                        .map(|row| ByteArray::from(Value::Object(row.metadata.clone()).to_string().into_bytes()))
                        .collect();
                    let definition: Vec<i16> = rows.iter().map(|row| i16::from(!row.metadata.is_empty())).collect();
                    writer.typed::<ByteArrayType>().write_batch(&objects, Some(&definition), None)?
                }
            };
            writer.close()?;
        }
        group.close()?;
        Ok(())
    }

    pub(super) fn finish(self) -> io::Result<File> {
        self.0.into_inner().map_err(io_error)
    }
}

fn io_error(error: ParquetError) -> io::Error {
    match error {
        // the cause tells a full volume from anything else
        ParquetError::External(cause) => match cause.downcast::<io::Error>() {
            Ok(error) => *error,
            Err(cause) => io::Error::other(cause),
        },
        other => io::Error::other(other),
    }
}
