//! What the kinds that run once have in common: their options and their status. No I/O.

mod options;
mod status;

pub use options::JobOptions;
pub use status::{JobStatus, State};
