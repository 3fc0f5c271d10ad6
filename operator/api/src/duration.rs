//! Durations as people say them. No I/O.

use jiff::SignedDuration;

/// In one or two units: "45s", "3m12s", "2h05m", "4d03h"; "0s" where it is negative.
#[must_use]
pub fn in_words(duration: SignedDuration) -> String {
    let seconds = duration.as_secs().max(0);
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds}s"),
        (0, 0, _) => format!("{minutes}m{:02}s", seconds % 60),
        (0, _, _) => format!("{hours}h{:02}m", minutes % 60),
        (_, _, _) => format!("{days}d{:02}h", hours % 24),
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case(-3, "0s")]
    #[case(59, "59s")]
    #[case(192, "3m12s")]
    #[case(7500, "2h05m")]
    #[case(356_400, "4d03h")]
    fn one_or_two_units(#[case] seconds: i64, #[case] words: &str) {
        assert_eq!(in_words(SignedDuration::from_secs(seconds)), words);
    }
}
