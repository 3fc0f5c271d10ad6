//! The decisions about a schedule, in tables.

mod build;
pub(super) mod fixtures;
mod plan;
mod status;
