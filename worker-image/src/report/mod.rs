//! What a run says of itself: progress while it lasts, and a report at its end. See each module for its I/O.

mod busy;
mod metrics;
mod server;
mod termination;
mod tracker;

pub use server::serve;
pub use termination::write_report;
pub use tracker::Tracker;
