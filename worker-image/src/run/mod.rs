//! What every kind of run has in common: why it fails, what becomes of failed items, how it ends. No I/O of its own.

mod conclude;
mod ended;
mod error;
mod interrupted;
mod judge;

pub use ended::{Ended, run_by_hand};
pub use error::RunFailure;
pub use judge::{Failure, InvalidRule, Judge};

pub(crate) use conclude::conclude;
pub(crate) use interrupted::count_interrupted;
