//! Rows are cut into ranges: by number, and by size. No I/O.

use sha2::{Digest, Sha256};

use super::{identity::hexadecimal, place::RangePlace, rows::Row};

/// How large a range may be.
#[derive(Clone, Copy, Debug)]
pub(super) struct RangeLimits {
    /// Most rows.
    pub(super) rows: u64,
    /// Most bytes, unless a single row has more.
    pub(super) bytes: usize,
}

impl RangeLimits {
    /// What is read, embedded and stored at once.
    pub(super) const SLICE: Self = Self { rows: 1000, bytes: 8 * 1024 * 1024 };
    /// What goes into one part file, slice by slice: a million rows make a hundred files.
    pub(super) const PART: Self = Self { rows: 10_000, bytes: 80 * 1024 * 1024 };

    /// Whether so much is as much as there may be, before a row of `more` bytes.
    pub(super) const fn reached(&self, rows: u64, bytes: usize, more: usize) -> bool {
        rows >= self.rows || (rows > 0 && bytes.saturating_add(more) > self.bytes)
    }
}

/// A range of rows with a hash of what they hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Range {
    pub(super) place: RangePlace,
    pub(super) version: String,
}

impl Range {
    /// Its name in the ledger.
    pub(super) fn name(&self) -> String {
        let before = self.place.start.row;
        format!("rows {}-{}", before + 1, before + self.place.rows)
    }
}

/// Cuts rows into ranges.
pub(super) struct Cutter {
    limits: RangeLimits,
    open: Option<Open>,
    parts: u64,
}

struct Open {
    place: RangePlace,
    bytes: usize,
    hash: RangeHash,
}

impl Cutter {
    pub(super) fn new(limits: RangeLimits) -> Self {
        Self { limits, open: None, parts: 0 }
    }

    /// Takes the next row, and gives the range that ended before it, if one did.
    pub(super) fn push(&mut self, row: &Row) -> Option<Range> {
        let size = row.size();
        let full = |open: &Open| self.limits.reached(open.place.rows, open.bytes, size);
        let ended = if self.open.as_ref().is_some_and(full) { self.end() } else { None };
        let part = self.parts;
        let open = self.open.get_or_insert_with(|| Open {
            place: RangePlace { start: row.position, rows: 0, part },
            bytes: 0,
            hash: RangeHash::default(),
        });
        open.place.rows += 1;
        open.bytes += size;
        open.hash.push(&row.hash());
        ended
    }

    /// The last range; none if there was no row.
    pub(super) fn end(&mut self) -> Option<Range> {
        let Open { place, hash, .. } = self.open.take()?;
        self.parts += 1;
        Some(Range { place, version: hash.finish() })
    }
}

/// A hash of rows.
#[derive(Default)]
pub(super) struct RangeHash(Sha256);

impl RangeHash {
    pub(super) fn push(&mut self, row: &[u8; 32]) {
        self.0.update(row);
    }

    pub(super) fn finish(self) -> String {
        hexadecimal(&self.0.finalize()[..16])
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Map;

    use super::*;
    use crate::batch::rows::{Position, Text};

    fn row(number: u64, bytes: usize) -> Row {
        let text = Text { key: number.to_string(), text: "x".to_owned(), metadata: Map::new() };
        Row { position: Position { row: number, line: number, byte: 0 }, bytes, content: Ok(text) }
    }

    fn cut(limits: RangeLimits, sizes: &[usize]) -> Vec<(u64, u64, u64)> {
        let mut cutter = Cutter::new(limits);
        let mut ranges: Vec<Range> =
            (0..).zip(sizes).filter_map(|(number, &size)| cutter.push(&row(number, size))).collect();
        ranges.extend(cutter.end());
        ranges.iter().map(|range| (range.place.start.row, range.place.rows, range.place.part)).collect()
    }

    #[test]
    fn ranges_end_by_number_and_by_size() {
        let limits = RangeLimits { rows: 3, bytes: 100 };
        assert_eq!(cut(limits, &[]), []);
        assert_eq!(cut(limits, &[1, 1, 1, 1]), [(0, 3, 0), (3, 1, 1)]);
        assert_eq!(cut(limits, &[60, 60, 40, 1]), [(0, 1, 0), (1, 2, 1), (3, 1, 2)]);
        assert_eq!(cut(limits, &[500, 1]), [(0, 1, 0), (1, 1, 1)]);
    }

    #[test]
    fn names_count_from_one_and_versions_tell_rows_apart() {
        let mut cutter = Cutter::new(RangeLimits::SLICE);
        cutter.push(&row(0, 1));
        let first = cutter.end().unwrap();
        assert_eq!(first.name(), "rows 1-1");
        let mut other = Cutter::new(RangeLimits::SLICE);
        other.push(&row(1, 1));
        assert_ne!(first.version, other.end().unwrap().version);
    }
}
