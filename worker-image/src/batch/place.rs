//! Where the input holds a range or a single text, as the ledger keeps it. No I/O.

use serde::{Deserialize, Serialize};

use super::rows::Position;
use crate::{run::RunFailure, store::TextItem};

/// Where the input holds a range; a single text is one of one row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct RangePlace {
    /// Where its first row begins.
    pub(super) start: Position,
    /// Its rows.
    pub(super) rows: u64,
    /// Ranges before it: the number of its part file.
    pub(super) part: u64,
}

impl RangePlace {
    pub(super) fn to_json(self) -> String {
        serde_json::json!(self).to_string()
    }

    /// The place of a claimed item.
    pub(super) fn of(item: &TextItem) -> Result<Self, RunFailure> {
        serde_json::from_str(&item.place)
            .map_err(|error| RunFailure::Broken(format!("the ledger's place of '{}': {error}", item.item.name)))
    }
}
