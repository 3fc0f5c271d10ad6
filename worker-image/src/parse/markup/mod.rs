//! Languages in which people write documents, as Markdown. No I/O.

pub(super) mod html;
pub(super) mod rst;
