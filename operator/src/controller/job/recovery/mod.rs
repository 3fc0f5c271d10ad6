//! What becomes of failed work: one idea a file. No I/O.
//!
//! - [`sweep`]: when what is due is tried again
//! - [`again`]: runs that failed as a whole
//! - [`comeback`]: jobs that come back because somebody asked for it, or because what they name has changed
//! - [`dead_letters`]: what status says of them
//! - [`request`]: annotations by which a person asks
//! - [`memory`]: more memory for what ran out of it
//! - [`notification`]: which message the webhook is owed

pub mod again;
pub mod comeback;
pub mod dead_letters;
pub mod memory;
pub mod notification;
pub mod request;
pub mod sweep;
