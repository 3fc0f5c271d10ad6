//! Parsing is hostile territory: it happens in child processes that have little memory, reach no file, no network and no
//! other process, and are killed at the deadline. Starts and kills processes.

mod child;
mod confine;
mod pool;
mod protocol;
mod system_calls;
mod verdict;

use std::time::Duration;

pub use child::child_main;
pub use pool::ParserPool;

/// Memory that a parser may map.
const DEFAULT_MEMORY_BYTES: u64 = 1024 * 1024 * 1024;

/// The hidden argument with which this program becomes a parser; the memory limit in bytes follows it.
pub const CHILD_ARGUMENT: &str = "parse-child";

/// How a parser process ends that cannot work at all, whatever the document (`EX_OSERR`).
const UNUSABLE_EXIT_CODE: u8 = 71;

/// What a parser process may use.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Time for one document.
    pub deadline: Duration,
    /// Memory that the process may map, in bytes.
    pub memory_bytes: u64,
    /// Documents after which the process is replaced.
    pub documents: u32,
}

impl Limits {
    /// The limits for a deadline.
    #[must_use]
    pub const fn with_deadline(deadline: Duration) -> Self {
        Self { deadline, memory_bytes: DEFAULT_MEMORY_BYTES, documents: 100 }
    }
}
