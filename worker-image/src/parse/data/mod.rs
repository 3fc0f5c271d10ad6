//! Data that people keep in text files, written so that a reader sees what belongs together. No I/O.

pub(super) mod json;
pub(super) mod table;
pub(super) mod xml;
