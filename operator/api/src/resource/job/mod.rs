//! What the kinds that run once have in common: their options and their status. No I/O.

mod dead_letters;
mod options;
mod runs;
mod status;

pub use dead_letters::{DeadLetter, DeadLetterStatus, Notification};
pub use options::JobOptions;
pub use runs::{MAX_RUNS, RunRecord, RunResult};
pub use status::{JobStatus, State};
