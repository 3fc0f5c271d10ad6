//! Texts of a batch: how they are written in its input and its output. No I/O.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How texts are written in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub enum TextFormat {
    /// Each line is a text; empty lines are passed over.
    Lines,
    /// Each line is a JSON object; empty lines are passed over.
    #[serde(rename = "JSONL")]
    JsonLines,
    /// Comma-separated values (RFC 4180) under a header.
    #[serde(rename = "CSV")]
    Csv,
    /// Apache Parquet.
    Parquet,
}

impl TextFormat {
    /// The format that a file name tells by its ending: `.txt`, `.jsonl` or `.ndjson`, `.csv`, `.parquet`.
    #[must_use]
    pub fn of_name(name: &str) -> Option<Self> {
        let (_, ending) = name.rsplit_once('.')?;
        match ending.to_ascii_lowercase().as_str() {
            "txt" => Some(Self::Lines),
            "jsonl" | "ndjson" => Some(Self::JsonLines),
            "csv" => Some(Self::Csv),
            "parquet" => Some(Self::Parquet),
            _ => None,
        }
    }
}

/// How vectors are written to files.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub enum VectorFormat {
    /// One JSON object a line.
    #[serde(rename = "JSONL")]
    JsonLines,
    /// Apache Parquet, compressed with zstd.
    #[default]
    Parquet,
}

/// Which fields of a row mean what. They are not used by the format Lines.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TextFields {
    /// Field that holds the text.
    #[schemars(length(min = 1, max = 256))]
    #[serde(default = "default_text_field")]
    pub text_field: String,
    /// Field that holds the text's id, a string or a whole number; the row's number, from 1, where absent.
    #[schemars(length(min = 1, max = 256))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id_field: Option<String>,
    /// Fields that are kept beside the vector.
    #[schemars(length(max = 32), inner(length(min = 1, max = 256)))]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub metadata_fields: Vec<String>,
}

fn default_text_field() -> String {
    "text".to_owned()
}

impl Default for TextFields {
    fn default() -> Self {
        Self { text_field: default_text_field(), id_field: None, metadata_fields: Vec::new() }
    }
}

/// A text that stands in the spec itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct InlineText {
    /// Id of the text; its place in the list, from 1, where absent.
    #[schemars(length(min = 1, max = 512))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// The text.
    #[schemars(length(max = 65_536))]
    pub text: String,
    /// What is kept beside the vector.
    #[schemars(extend("maxProperties" = 32, "additionalProperties" = {"type": "string", "maxLength": 4096}))]
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<String, String>,
}
