//! What every kind of run has in common: why it fails, what becomes of failed items, how it ends. No I/O of its own.

mod begin;
mod breaker;
mod circuit;
mod collection;
mod conclude;
mod ended;
mod error;
mod hold;
mod interrupted;
mod judge;
mod pace;

pub use circuit::Settings as CircuitSettings;
pub use ended::{Ended, run_by_hand};
pub use error::RunFailure;
pub use judge::{Failure, InvalidRule, Judge};

pub(crate) use begin::{begin, without_trying};
pub(crate) use breaker::Breaker;
pub(crate) use collection::open_collection;
pub(crate) use conclude::{conclude, put_off};
pub(crate) use hold::held;
pub(crate) use interrupted::count_interrupted;
pub(crate) use pace::Pace;
