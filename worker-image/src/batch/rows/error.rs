//! Why a row cannot be embedded. No I/O.

use lexigram_api::failure::FailureCategory;
use thiserror::Error;

use super::Place;
use crate::failure::Classified;

/// Why a row holds no text that can be embedded.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub(in crate::batch) enum RowError {
    /// The row is not what the format says.
    #[error("{place} is no {kind} ({problem}); correct it, or spec.input.format")]
    Malformed {
        /// Which row.
        place: Place,
        /// What it should be: `JSON object`, `CSV row`.
        kind: &'static str,
        /// What is wrong with it.
        problem: String,
    },
    /// The text cannot be read.
    #[error("{place} is not UTF-8: write the input in UTF-8")]
    NotUtf8 {
        /// Which row.
        place: Place,
    },
    /// A field holds something else than it should.
    #[error("{place}: the field '{field}' is {found}; give it {wanted}, or correct {setting}")]
    WrongType {
        /// Which row.
        place: Place,
        /// The field.
        field: String,
        /// What it holds.
        found: &'static str,
        /// What it should hold.
        wanted: &'static str,
        /// The setting that names the field.
        setting: &'static str,
    },
    /// There is no text.
    #[error(
        "{place}: the field '{field}' is {found}; give it a text, leave the row out, or correct spec.input.textField"
    )]
    TextMissing {
        /// Which row.
        place: Place,
        /// The field.
        field: String,
        /// `missing`, `null` or `empty`.
        found: &'static str,
    },
    /// The text or its row is too large.
    #[error("{place}: the {what} has {bytes} bytes, and the limit is {limit}; split the text{hint}")]
    TextTooLarge {
        /// Which row.
        place: Place,
        /// `text` or `row`.
        what: &'static str,
        /// Its length.
        bytes: u64,
        /// The greatest length.
        limit: usize,
        /// What else may be the matter.
        hint: &'static str,
    },
    /// Another row has the same id.
    #[error("{place}: another row has the id '{key}' too; ids must be unique (spec.input.idField)")]
    DuplicateId {
        /// Which row.
        place: Place,
        /// The id.
        key: String,
    },
    /// The row that failed before is no longer there.
    #[error(
        "{place} is gone from the input, or holds something else now; start the batch again to embed what it holds"
    )]
    Gone {
        /// Which row.
        place: Place,
    },
}

impl Classified for RowError {
    fn category(&self) -> FailureCategory {
        FailureCategory::InvalidInput
    }

    fn reason(&self) -> &'static str {
        match self {
            Self::Malformed { .. } | Self::NotUtf8 { .. } | Self::WrongType { .. } => "RowInvalid",
            Self::TextMissing { .. } => "TextMissing",
            Self::TextTooLarge { .. } => "TextTooLarge",
            Self::DuplicateId { .. } => "DuplicateId",
            Self::Gone { .. } => "RowGone",
        }
    }
}
