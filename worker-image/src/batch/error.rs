//! What can go wrong with the input and the output files of a batch as a whole. No I/O.

use std::io;

use lexigram_api::{failure::FailureCategory, text::TextFields};
use thiserror::Error;

use crate::{failure::Classified, source::SourceError};

/// Why the input cannot be read.
#[derive(Debug, Error)]
pub enum InputError {
    /// There is no such file.
    #[error("there is no file {path}; check the path or key in spec.input")]
    NotFound {
        /// The file.
        path: String,
    },
    /// A directory where a file should be.
    #[error("{path} is no file; spec.input takes a single file")]
    NotAFile {
        /// The file.
        path: String,
    },
    /// Nobody has said how the input is written.
    #[error(
        "spec.input.format: the name '{name}' does not tell the format; give Lines, JSONL, CSV or Parquet, or a name that ends in .txt, .jsonl, .ndjson, .csv or .parquet"
    )]
    FormatUnknown {
        /// Name of the file.
        name: String,
    },
    /// The header or schema lacks a field.
    #[error("{setting}: the input has no field '{field}'; it has {present}")]
    FieldMissing {
        /// The setting that names the field.
        setting: &'static str,
        /// The field.
        field: String,
        /// Fields that are there.
        present: String,
    },
    /// A column of a type that is not read.
    #[error("column '{column}' of the input is {kind}, which cannot be used: write it as a string")]
    ColumnType {
        /// The column.
        column: String,
        /// Its type.
        kind: String,
    },
    /// The file cannot be understood as a whole.
    #[error("the input {path} cannot be read {problem}; correct it, or spec.input.format")]
    Unreadable {
        /// The file.
        path: String,
        /// What is wrong.
        problem: String,
    },
    /// The system says no.
    #[error("the input {path} cannot be read: {problem}")]
    Io {
        /// The file.
        path: String,
        /// What the system says.
        problem: String,
    },
    /// The input cannot be fetched. Its messages are those of a source, which has its settings elsewhere.
    #[error("{}", of_input(.0))]
    Http(SourceError),
    /// The input is larger than there is room for.
    #[error(
        "spec.input.http: the input has more than {limit} bytes, which is the room for temporary files; put it on a claim (spec.input.persistentVolumeClaim), or split it"
    )]
    TooLarge {
        /// Bytes that there was room for.
        limit: u64,
    },
    /// The temporary file of an input cannot be written.
    #[error("the temporary file of the input cannot be written: {0}")]
    Scratch(String),
}

/// What a source says, as it has to be said of an input.
fn of_input(error: &SourceError) -> String {
    match error {
        SourceError::Gone { detail } => format!("spec.input.http.url: there is no input at this URL ({detail})"),
        error => {
            let message = error.to_string().replace("spec.source.http.urls", "spec.input.http.url");
            message.replace("spec.source.http", "spec.input.http")
        }
    }
}

impl InputError {
    /// The failure to read a file.
    pub(super) fn of_file(path: &str, error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::NotFound => Self::NotFound { path: path.to_owned() },
            _ => Self::Io { path: path.to_owned(), problem: error.to_string() },
        }
    }

    /// Every field that must be there has to be among `present`. Metadata may be missing from a row, but not from all.
    pub(super) fn check_fields(fields: &TextFields, present: &[String]) -> Result<(), Self> {
        let wanted = std::iter::once(("spec.input.textField", &fields.text_field))
            .chain(fields.id_field.iter().map(|field| ("spec.input.idField", field)))
            .chain(fields.metadata_fields.iter().map(|field| ("spec.input.metadataFields", field)));
        for (setting, field) in wanted {
            if !present.contains(field) {
                let present = match present.iter().map(|name| format!("'{name}'")).collect::<Vec<_>>() {
                    names if names.is_empty() => "none".to_owned(),
                    names => names.into_iter().take(32).collect::<Vec<_>>().join(", "),
                };
                return Err(Self::FieldMissing { setting, field: field.clone(), present });
            }
        }
        Ok(())
    }
}

impl Classified for InputError {
    fn category(&self) -> FailureCategory {
        match self {
            Self::NotFound { .. }
            | Self::NotAFile { .. }
            | Self::FormatUnknown { .. }
            | Self::FieldMissing { .. }
            | Self::ColumnType { .. }
            | Self::Unreadable { .. } => FailureCategory::Configuration,
            Self::Io { .. } => FailureCategory::Transient,
            // what is gone or refused for good is a setting to correct: the run has nothing else to work on
            Self::Http(error) => match error.category() {
                FailureCategory::InvalidInput => FailureCategory::Configuration,
                category => category,
            },
            Self::TooLarge { .. } => FailureCategory::Configuration,
            Self::Scratch(_) => FailureCategory::ResourceExhausted,
        }
    }

    fn reason(&self) -> &'static str {
        match self {
            Self::NotFound { .. } => "InputNotFound",
            Self::NotAFile { .. } => "InputNotAFile",
            Self::FormatUnknown { .. } => "InputFormatUnknown",
            Self::FieldMissing { .. } => "InputFieldMissing",
            Self::ColumnType { .. } => "InputColumnUnusable",
            Self::Unreadable { .. } => "InputUnreadable",
            Self::Io { .. } => "InputReadFailed",
            Self::Http(error) => error.reason(),
            Self::TooLarge { .. } => "InputTooLarge",
            Self::Scratch(_) => "ScratchFailed",
        }
    }
}

/// Why the files of a batch cannot be written.
#[derive(Debug, Error)]
pub enum OutputError {
    /// The directory holds something else.
    #[error(
        "spec.output.files.path: the directory {directory} {holds}; give a directory of its own to each batch, or empty this one"
    )]
    Taken {
        /// The directory.
        directory: String,
        /// What it holds.
        holds: String,
    },
    /// The volume is full.
    #[error("the volume of {path} is full: enlarge the claim of spec.output.files")]
    Full {
        /// File that could not be written.
        path: String,
    },
    /// The system says no.
    #[error("{path} cannot be written: {problem}")]
    Io {
        /// The file or directory.
        path: String,
        /// What the system says.
        problem: String,
    },
}

impl OutputError {
    /// The failure to write a file or directory.
    pub(super) fn of_file(path: &std::path::Path, error: &io::Error) -> Self {
        let path = path.display().to_string();
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::Full { path },
            _ => Self::Io { path, problem: error.to_string() },
        }
    }
}

impl Classified for OutputError {
    fn category(&self) -> FailureCategory {
        match self {
            Self::Taken { .. } => FailureCategory::Configuration,
            Self::Full { .. } => FailureCategory::ResourceExhausted,
            Self::Io { .. } => FailureCategory::Transient,
        }
    }

    fn reason(&self) -> &'static str {
        match self {
            Self::Taken { .. } => "OutputTaken",
            Self::Full { .. } => "OutputFull",
            Self::Io { .. } => "OutputUnwritable",
        }
    }
}
