//! Figures in words. No I/O.

use std::time::Duration;

/// Bytes, with the unit that fits.
pub(super) fn bytes(bytes: i64) -> String {
    let units = [("TiB", 40), ("GiB", 30), ("MiB", 20), ("KiB", 10)];
    match units.into_iter().find(|(_, bits)| bytes >> bits > 0) {
        None => format!("{bytes} B"),
        Some((unit, bits)) => {
            let tenths = ((bytes >> (bits - 10)) * 10 + 512) / 1024;
            format!("{}.{} {unit}", tenths / 10, tenths % 10)
        }
    }
}

/// A duration in milliseconds, or in seconds where it is long.
pub(super) fn duration(duration: Duration) -> String {
    match duration.as_millis() {
        0 => "less than 1 ms".to_owned(),
        milliseconds @ 1..10_000 => format!("{milliseconds} ms"),
        _ => format!("{} s", duration.as_secs()),
    }
}

/// So many of something.
pub(super) fn count(number: i64, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}

/// As many as a length says.
pub(super) fn number(length: usize) -> i64 {
    i64::try_from(length).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case(0, "0 B")]
    #[case(1023, "1023 B")]
    #[case(1536, "1.5 KiB")]
    #[case(43_201_331, "41.2 MiB")]
    #[case(3 << 30, "3.0 GiB")]
    fn bytes_have_a_unit(#[case] number: i64, #[case] words: &str) {
        assert_eq!(bytes(number), words);
    }

    #[rstest]
    #[case(100, "less than 1 ms")]
    #[case(12_000, "12 ms")]
    #[case(12_000_000, "12 s")]
    fn durations_have_a_unit(#[case] microseconds: u64, #[case] words: &str) {
        assert_eq!(duration(Duration::from_micros(microseconds)), words);
    }
}
