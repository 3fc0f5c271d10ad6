//! When a provider takes requests again, by the headers of its answers. Pure.

use std::time::Duration;

use jiff::Timestamp;
use reqwest::header::{HeaderMap, RETRY_AFTER};

use crate::http::retry_after;

/// What is limited, as `x-ratelimit-remaining-…` and `x-ratelimit-reset-…` name it.
const LIMITED: [&str; 2] = ["requests", "tokens"];

/// How long a provider that refuses a request says to wait, if it does.
pub(super) fn wait_of_refusal(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let milliseconds = || text(headers, "retry-after-ms")?.parse().ok().map(Duration::from_millis);
    let told = || retry_after(text(headers, RETRY_AFTER.as_str())?, now);
    // a request may be refused before the limit is used up: then either reset may be the one that counts
    let any = || LIMITED.into_iter().filter_map(|limited| reset(headers, limited)).max();
    milliseconds().or_else(told).or_else(|| used_up(headers)).or_else(any)
}

/// How long until a limit that is used up resets. Such headers come with answers too.
pub(super) fn used_up(headers: &HeaderMap) -> Option<Duration> {
    let remaining = |limited: &str| text(headers, &format!("x-ratelimit-remaining-{limited}"));
    let used_up = LIMITED.into_iter().filter(|limited| remaining(limited) == Some("0"));
    used_up.filter_map(|limited| reset(headers, limited)).max()
}

fn reset(headers: &HeaderMap, limited: &str) -> Option<Duration> {
    duration(text(headers, &format!("x-ratelimit-reset-{limited}"))?)
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    Some(headers.get(name)?.to_str().ok()?.trim())
}

/// A time as Go writes it: `6m0s`, `1.5s`, `20ms`. A number alone is seconds.
fn duration(text: &str) -> Option<Duration> {
    if let Ok(seconds) = text.parse() {
        return Duration::try_from_secs_f64(seconds).ok();
    }
    let (mut rest, mut seconds) = (text, 0.0);
    while !rest.is_empty() {
        let number = rest.find(|character: char| !character.is_ascii_digit() && character != '.')?;
        let (amount, tail) = rest.split_at(number);
        let unit = tail.find(|character: char| character.is_ascii_digit()).unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(unit);
        let factor = match unit {
            "d" => 86_400.0,
            "h" => 3600.0,
            "m" => 60.0,
            "s" => 1.0,
            "ms" => 1e-3,
            "us" | "µs" => 1e-6,
            "ns" => 1e-9,
            _ => return None,
        };
        seconds += amount.parse::<f64>().ok()? * factor;
        rest = tail;
    }
    if text.is_empty() { None } else { Duration::try_from_secs_f64(seconds).ok() }
}

#[cfg(test)]
mod tests {
    use reqwest::header::{HeaderName, HeaderValue};
    use rstest::rstest;

    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs.iter().map(|&(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value))).collect()
    }

    #[rstest]
    #[case("6m0s", Some(360_000))]
    #[case("1s", Some(1000))]
    #[case("20ms", Some(20))]
    #[case("1h2m3.5s", Some(3_723_500))]
    #[case("0s", Some(0))]
    #[case("12", Some(12_000))]
    #[case("0.25", Some(250))]
    #[case("", None)]
    #[case("soon", None)]
    #[case("5 weeks", None)]
    #[case("-3s", None)]
    #[case("1.2.3s", None)]
    fn times_are_read(#[case] text: &str, #[case] milliseconds: Option<u64>) {
        assert_eq!(duration(text), milliseconds.map(Duration::from_millis));
    }

    #[rstest]
    #[case::nothing(&[], None, None)]
    #[case::seconds(&[("retry-after", "7")], Some(7), None)]
    #[case::date(&[("retry-after", "Tue, 24 Nov 2026 10:00:09 GMT")], Some(9), None)]
    #[case::milliseconds(&[("retry-after-ms", "2000"), ("retry-after", "7")], Some(2), None)]
    #[case::told_beats_reset(
        &[("retry-after", "7"), ("x-ratelimit-remaining-requests", "0"), ("x-ratelimit-reset-requests", "1m")], Some(7), Some(60)
    )]
    #[case::the_limit_that_is_used_up(
        &[
            ("x-ratelimit-remaining-requests", "5"),
            ("x-ratelimit-reset-requests", "6m0s"),
            ("x-ratelimit-remaining-tokens", "0"),
            ("x-ratelimit-reset-tokens", "2s"),
        ],
        Some(2),
        Some(2)
    )]
    #[case::neither_is_used_up(
        &[("x-ratelimit-reset-requests", "3s"), ("x-ratelimit-remaining-tokens", "9"), ("x-ratelimit-reset-tokens", "2s")],
        Some(3),
        None
    )]
    #[case::unreadable(&[("retry-after", "soon")], None, None)]
    fn headers_tell_when(
        #[case] pairs: &[(&'static str, &'static str)],
        #[case] refused: Option<u64>,
        #[case] answered: Option<u64>,
    ) {
        let (headers, now) = (headers(pairs), "2026-11-24T10:00:00Z".parse().unwrap());
        assert_eq!(wait_of_refusal(&headers, now), refused.map(Duration::from_secs));
        assert_eq!(used_up(&headers), answered.map(Duration::from_secs));
    }
}
