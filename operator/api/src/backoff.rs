//! Exponential backoff between the attempts of failed work. No I/O, no clock, no random numbers.

use std::time::Duration;

/// No delay is longer than this, whatever a policy says.
pub const MAX_BACKOFF: Duration = Duration::from_secs(3600);
/// Delay before the second attempt where a policy says nothing.
pub const DEFAULT_BASE: Duration = Duration::from_secs(30);

/// Share of a delay that jitter may take away, in percent.
const JITTER_PERCENT: u64 = 20;

/// Delay after `attempts` failed attempts: `min(30 s × 2^(attempts−1), 3600 s)`; zero for no attempt.
#[must_use]
pub fn calculate_backoff(attempts: u32) -> Duration {
    backoff(attempts, DEFAULT_BASE, MAX_BACKOFF)
}

/// Delay after `attempts` failed attempts: `min(base × 2^(attempts−1), cap)`, with `cap` itself cut to [`MAX_BACKOFF`].
#[must_use]
pub fn backoff(attempts: u32, base: Duration, cap: Duration) -> Duration {
    let cap = cap.min(MAX_BACKOFF);
    let Some(doublings) = attempts.checked_sub(1) else {
        return Duration::ZERO;
    };
    let factor = 1u32.checked_shl(doublings).unwrap_or(u32::MAX);
    base.saturating_mul(factor).min(cap)
}

/// Takes up to a fifth off `delay`, the same for the same `seed`: items that failed together come back spread out,
/// and never later than the cap promises.
#[must_use]
pub fn jittered(delay: Duration, seed: u64) -> Duration {
    // splitmix64's finaliser: neighbouring seeds land far apart
    let mut x = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    let per_mille = (x ^ (x >> 31)) % (JITTER_PERCENT * 10 + 1);
    delay - delay * u32::try_from(per_mille).unwrap_or(0) / 1000
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rstest::rstest;

    #[rstest]
    #[case(0, 0)]
    #[case(1, 30)]
    #[case(2, 60)]
    #[case(3, 120)]
    #[case(7, 1920)]
    #[case(8, 3600)]
    #[case(33, 3600)]
    #[case(10_000, 3600)]
    fn doubles_up_to_an_hour(#[case] attempts: u32, #[case] seconds: u64) {
        assert_eq!(calculate_backoff(attempts), Duration::from_secs(seconds));
    }

    proptest! {
        #[test]
        fn is_monotone_and_capped(attempts in 0u32..10_000, base in 1u64..=3600, cap in 1u64..=100_000) {
            let (base, cap) = (Duration::from_secs(base), Duration::from_secs(cap));
            let delay = backoff(attempts, base, cap);
            prop_assert!(delay <= backoff(attempts + 1, base, cap));
            prop_assert!(delay <= MAX_BACKOFF.min(cap));
        }

        #[test]
        fn jitter_only_shortens_and_by_a_fifth_at_most(seconds in 0u64..=3600, seed in any::<u64>()) {
            let delay = Duration::from_secs(seconds);
            let jittered = jittered(delay, seed);
            prop_assert!(jittered <= delay);
            prop_assert!(jittered >= delay * 8 / 10);
        }
    }

    #[test]
    fn jitter_spreads_neighbouring_seeds() {
        let delays: std::collections::BTreeSet<_> = (0..100).map(|seed| jittered(MAX_BACKOFF, seed)).collect();
        assert!(delays.len() > 50, "only {} different delays", delays.len());
    }
}
