//! How long a server asks to wait. Pure.

use std::time::Duration;

use jiff::{Timestamp, fmt::rfc2822};

/// The time of a `Retry-After`: seconds, or a date.
pub(crate) fn retry_after(value: &str, now: Timestamp) -> Option<Duration> {
    let value = value.trim();
    if let Ok(seconds) = value.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = rfc2822::parse(value).ok()?.timestamp();
    Some(Duration::try_from(date.duration_since(now)).unwrap_or(Duration::ZERO))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::seconds("7", Some(7))]
    #[case::date("Tue, 24 Nov 2026 10:00:09 GMT", Some(9))]
    #[case::past("Tue, 24 Nov 2026 09:00:00 GMT", Some(0))]
    #[case::neither("soon", None)]
    fn retry_after_is_understood(#[case] value: &str, #[case] seconds: Option<u64>) {
        let now = "2026-11-24T10:00:00Z".parse().unwrap();
        assert_eq!(retry_after(value, now), seconds.map(Duration::from_secs));
    }
}
