//! Part files of JSON lines. Writes a file.

use std::{
    fs::File,
    io::{self, BufWriter, Write},
};

use serde::Serialize;
use serde_json::{Map, Value};

use super::OutputRow;

/// A file that is being written.
pub(super) struct JsonLines(BufWriter<File>);

#[derive(Serialize)]
struct Line<'a> {
    id: &'a str,
    text: &'a str,
    vector: &'a [f32],
    #[serde(skip_serializing_if = "Map::is_empty")]
    metadata: &'a Map<String, Value>,
}

impl JsonLines {
    pub(super) fn new(file: File) -> Self {
        Self(BufWriter::with_capacity(64 * 1024, file))
    }

    pub(super) fn append(&mut self, rows: &[OutputRow]) -> io::Result<()> {
        for OutputRow { key, text, vector, metadata } in rows {
            serde_json::to_writer(&mut self.0, &Line { id: key, text, vector, metadata })?;
            self.0.write_all(b"\n")?;
        }
        Ok(())
    }

    pub(super) fn finish(self) -> io::Result<File> {
        Ok(self.0.into_inner()?)
    }
}
