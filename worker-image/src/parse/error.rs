//! What can go wrong with parsing. No I/O.

use lexigram_api::failure::FailureCategory;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::failure::Classified;

/// Why a document could not be turned into text. Crosses the boundary between child and parent as JSON.
#[derive(Clone, Debug, Error, PartialEq, Eq, Serialize, Deserialize)]
pub enum ParseError {
    /// No bytes at all.
    #[error("the document is empty")]
    Empty,
    /// Nothing to read in it.
    #[error("the document holds no text")]
    NoText,
    /// Pages that are pictures.
    #[error("the PDF holds pictures of text only, and no text: run it through OCR first")]
    ImageOnly,
    /// A type that no parser knows.
    #[error("{kind} is not a supported type of document (docs/formats.md lists those that are)")]
    Unsupported {
        /// The type, as far as it is known.
        kind: String,
    },
    /// A password is needed.
    #[error("the {format} is encrypted: remove its password")]
    Encrypted {
        /// The format, for instance PDF.
        format: String,
    },
    /// Not what it claims to be, or cut off.
    #[error("the {format} is damaged or cut off: {problem}")]
    Damaged {
        /// The format, for instance DOCX.
        format: String,
        /// What the parser says.
        problem: String,
    },
    /// Small outside, huge inside.
    #[error("the {format} unpacks to more than is allowed: {problem}")]
    Bomb {
        /// The format, for instance ZIP.
        format: String,
        /// Which limit was passed.
        problem: String,
    },
    /// Parts within parts without end.
    #[error("the {format} is nested too deeply: {problem}")]
    TooDeep {
        /// The format, for instance XML.
        format: String,
        /// Which limit was passed.
        problem: String,
    },
    /// More text than one document may have.
    #[error("the document holds more than {limit} bytes of text: split it")]
    TooMuchText {
        /// The limit in bytes.
        limit: usize,
    },
    /// The deadline passed.
    #[error("parsing took longer than {seconds} s (spec.parsing.documentTimeoutSeconds)")]
    Timeout {
        /// The limit in seconds.
        seconds: u64,
    },
    /// Memory ran out.
    #[error("parsing needed more than {mebibytes} MiB of memory")]
    OutOfMemory {
        /// The limit in MiB.
        mebibytes: u64,
    },
    /// The parser broke on this document.
    #[error("the parser crashed on this document: {problem}")]
    Crashed {
        /// What it said last.
        problem: String,
    },
    /// No child process could be had.
    #[error("no parser process could be started: {problem}")]
    NoProcess {
        /// What the system says.
        problem: String,
    },
}

impl Classified for ParseError {
    fn category(&self) -> FailureCategory {
        match self {
            Self::Empty
            | Self::NoText
            | Self::ImageOnly
            | Self::Unsupported { .. }
            | Self::Encrypted { .. }
            | Self::Damaged { .. }
            | Self::Bomb { .. }
            | Self::TooDeep { .. }
            | Self::TooMuchText { .. }
            // the same bytes crash the same parser again
            | Self::Crashed { .. } => FailureCategory::InvalidInput,
            Self::Timeout { .. } => FailureCategory::Timeout,
            Self::OutOfMemory { .. } => FailureCategory::ResourceExhausted,
            Self::NoProcess { .. } => FailureCategory::Transient,
        }
    }

    fn reason(&self) -> &'static str {
        match self {
            Self::Empty => "DocumentEmpty",
            Self::NoText => "NoText",
            Self::ImageOnly => "ImageOnlyPdf",
            Self::Unsupported { .. } => "UnsupportedType",
            Self::Encrypted { .. } => "DocumentEncrypted",
            Self::Damaged { .. } => "DocumentDamaged",
            Self::Bomb { .. } => "DecompressionBomb",
            Self::TooDeep { .. } => "NestedTooDeeply",
            Self::TooMuchText { .. } => "TooMuchText",
            Self::Timeout { .. } => "ParserTimeout",
            Self::OutOfMemory { .. } => "ParserOutOfMemory",
            Self::Crashed { .. } => "ParserCrashed",
            Self::NoProcess { .. } => "ParserUnavailable",
        }
    }
}
