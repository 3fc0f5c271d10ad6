//! How often and how long a provider is waited for. No I/O.

use std::time::Duration;

/// Waits and tries. The default is what runs use.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// Tries of one request whose failure may pass.
    pub tries: u32,
    /// Wait before the second try; doubles with each.
    pub retry: Duration,
    /// The longest wait between tries.
    pub longest_retry: Duration,
    /// First pause where a provider tells to slow down and names no time; doubles with each.
    pub pause: Duration,
    /// The longest of these pauses.
    pub longest_pause: Duration,
    /// How long a provider may tell to slow down, without taking a single request, until its texts fail.
    pub rate_limited_at_most: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            tries: 5,
            retry: Duration::from_millis(500),
            longest_retry: Duration::from_secs(30),
            pause: Duration::from_secs(1),
            longest_pause: Duration::from_secs(60),
            rate_limited_at_most: Duration::from_secs(3600),
        }
    }
}
