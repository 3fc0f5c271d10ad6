//! Where vectors go: a collection, or part files. See each module for its I/O.

mod directory;
mod jsonl;
mod parquet;
mod part;

use std::path::PathBuf;

use lexigram_api::{contract::OutputLocation, text::VectorFormat};
use serde_json::{Map, Value};

pub(super) use part::{Part, PartName};

use super::{OutputError, ranges::RangeLimits, rows::Text};
use crate::embed::Embedded;

/// Where the vectors of a batch go.
pub(super) enum Output {
    /// Into the store's collection of this name.
    Collection(String),
    /// Into files.
    Files(Files),
}

/// A directory of part files.
pub(super) struct Files {
    directory: PathBuf,
    format: VectorFormat,
}

/// One row of a part file.
#[derive(Debug, PartialEq)]
pub(super) struct OutputRow {
    key: String,
    text: String,
    vector: Vec<f32>,
    metadata: Map<String, Value>,
}

impl OutputRow {
    pub(super) fn new(text: Text, embedded: Embedded) -> Self {
        let Text { key, text, metadata } = text;
        Self { key, text, vector: embedded.vector, metadata }
    }
}

impl Output {
    /// Makes sure that the output may be written.
    pub(super) fn open(location: &OutputLocation) -> Result<Self, OutputError> {
        Ok(match location {
            OutputLocation::Collection { collection } => Self::Collection(collection.clone()),
            OutputLocation::Files { directory, format, owner } => {
                let directory = PathBuf::from(directory);
                directory::take(&directory, owner)?;
                Self::Files(Files { directory, format: *format })
            }
        })
    }

    /// Tidies up after an earlier process. `revisions` are those that the ledger has as done: part files that have not
    /// got their name yet get it now.
    pub(super) fn recover(&self, revisions: &[String]) -> Result<(), OutputError> {
        match self {
            Self::Collection(_) => Ok(()),
            Self::Files(files) => directory::recover(&files.directory, revisions),
        }
    }

    /// How large a range is.
    pub(super) const fn limits(&self) -> RangeLimits {
        match self {
            Self::Collection(_) => RangeLimits::SLICE,
            Self::Files(_) => RangeLimits::PART,
        }
    }

    /// Whether what was written of that range is still there.
    pub(super) fn keeps(&self, part: u64) -> bool {
        match self {
            Self::Collection(_) => true,
            Self::Files(files) => files.directory.join(PartName::of_range(part).with_ending(files.format)).exists(),
        }
    }

    /// Removes part files that no revision names.
    pub(super) fn remove_stale(&self, revisions: &[String]) -> Result<(), OutputError> {
        match self {
            Self::Collection(_) => Ok(()),
            Self::Files(files) => directory::remove_stale(&files.directory, revisions),
        }
    }
}
