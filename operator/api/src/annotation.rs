//! Annotations by which a person asks for something, on an object of any kind. No I/O.

/// A time, and with each new one the object's dead letters are tried again.
pub const RETRY: &str = "workers.lexigram.dev/retry";
/// Beside [`RETRY`]: only these categories, separated by commas.
pub const RETRY_CATEGORIES: &str = "workers.lexigram.dev/retry-categories";
/// Beside [`RETRY`]: only items of these names, separated by commas or as a JSON list.
pub const RETRY_IDS: &str = "workers.lexigram.dev/retry-ids";
/// A time, and with each new one the object's dead letters are given up.
pub const ARCHIVE: &str = "workers.lexigram.dev/archive";
/// Beside [`ARCHIVE`]: only these categories.
pub const ARCHIVE_CATEGORIES: &str = "workers.lexigram.dev/archive-categories";
/// Beside [`ARCHIVE`]: only items of these names.
pub const ARCHIVE_IDS: &str = "workers.lexigram.dev/archive-ids";
/// A time, and with each new one a run is started.
pub const RUN: &str = "workers.lexigram.dev/run";
/// Names that one request may give.
pub const MOST_IDS: usize = 1000;
