//! What is on its way between reading and writing. No I/O.

use tokio::sync::OwnedSemaphorePermit;

use super::{
    place::RangePlace,
    rows::{Position, Row, Text},
};
use crate::{embed::Embedded, run::Failure, store::TextItem};

/// Slices between reading and writing at the most: one is read, two are embedded, one is written.
pub(super) const IN_HAND: usize = 4;

/// Rows that are embedded together.
#[derive(Debug)]
pub(super) struct Slice<R> {
    pub(super) owner: Owner,
    pub(super) rows: Vec<R>,
    pub(super) _room: OwnedSemaphorePermit,
}

/// Whose rows they are.
#[derive(Clone, Debug)]
pub(super) enum Owner {
    /// Of a range, in order; the last slice settles it.
    Range {
        item: TextItem,
        place: RangePlace,
        /// Whether these are its last rows.
        last: bool,
        /// Whether the input no longer holds what was listed; known with the last rows.
        changed: bool,
    },
    /// Texts that have failed before, one a row.
    Singles(Vec<(TextItem, RangePlace)>),
}

/// A row that has been through the embedder.
#[derive(Debug)]
pub(super) struct EmbeddedRow {
    pub(super) position: Position,
    pub(super) bytes: usize,
    /// See [`Row::hash`].
    pub(super) hash: [u8; 32],
    /// The id, where the row has one.
    pub(super) key: Option<String>,
    pub(super) outcome: Outcome,
}

/// What became of a row.
#[derive(Debug)]
pub(super) enum Outcome {
    /// It has a vector.
    Vector(Text, Embedded),
    /// It has none.
    Failed {
        failure: Failure,
        /// Whether the failure was one of the whole call, and says nothing of the text.
        of_call: bool,
    },
}

impl EmbeddedRow {
    /// The row, once it is known what became of it.
    pub(super) fn new(row: Row, outcome: impl FnOnce(Result<Text, super::rows::RowError>) -> Outcome) -> Self {
        let hash = row.hash();
        let key = row.content.as_ref().ok().map(|text| text.key.clone());
        Self { position: row.position, bytes: row.bytes, hash, key, outcome: outcome(row.content) }
    }
}
