//! How many items a retry begins in a minute. Pure: the clock is given.
//!
//! Evenly spread, so that a provider which has just recovered is not met by all that piled up. What a slow minute has
//! left over is not saved up, but for a second's worth.

use std::time::Duration;

use lexigram_api::{contract::Mode, failure::FailurePolicy};

use crate::embed::share;

/// How far the plan may be behind.
const SLACK: Duration = Duration::from_secs(1);

/// The pace of one worker.
#[derive(Debug)]
pub(crate) struct Pace {
    /// Time for each item; none where there is no limit.
    interval: Option<Duration>,
    /// When the next may begin.
    next: Duration,
    /// Items that have yet to begin.
    left: i32,
}

impl Pace {
    /// This worker's share of what the policy allows all `shards` of a run of that mode, which has so many items left.
    pub(crate) fn new(mode: &Mode, policy: &FailurePolicy, shards: i32, left: i32) -> Self {
        let limit = match mode {
            Mode::Retry { .. } | Mode::Again { .. } => policy.max_retries_per_minute,
            Mode::Full | Mode::Archive { .. } => None,
        };
        let interval = limit.map(|limit| Duration::from_secs(60).div_f64(share(limit, shards)));
        Self { interval, next: Duration::ZERO, left }
    }

    /// How long to wait until the next item may begin. Times count from any fixed moment, and never go back.
    pub(crate) fn wait(&self, now: Duration) -> Duration {
        // nothing is waited for in vain
        if self.left > 0 { self.next.saturating_sub(now) } else { Duration::ZERO }
    }

    /// Items that may begin together, of `most` that could: a second's worth.
    pub(crate) fn at_once(&self, most: usize) -> usize {
        let Some(interval) = self.interval else { return most };
        let a_seconds_worth = SLACK.as_nanos().checked_div(interval.as_nanos()).unwrap_or(u128::MAX);
        usize::try_from(a_seconds_worth).unwrap_or(most).clamp(1, most.max(1))
    }

    /// So many items have begun.
    pub(crate) fn begun(&mut self, now: Duration, items: i32) {
        self.left = self.left.saturating_sub(items);
        if let Some(interval) = self.interval {
            self.next = self.next.max(now.saturating_sub(SLACK)) + interval.saturating_mul(items.unsigned_abs());
        }
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    const RETRY: Mode = Mode::Retry { due_before: Timestamp::UNIX_EPOCH };

    fn pace(mode: &Mode, limit: Option<i32>, shards: i32) -> Pace {
        Pace::new(mode, &FailurePolicy { max_retries_per_minute: limit, ..Default::default() }, shards, i32::MAX)
    }

    /// When items begin, in milliseconds, if each is begun as soon as it may.
    fn begins(pace: &mut Pace, items: i32) -> Vec<u128> {
        let mut now = Duration::ZERO;
        let begin = |_| {
            now += pace.wait(now);
            pace.begun(now, 1);
            now.as_millis()
        };
        (0..items).map(begin).collect()
    }

    #[rstest]
    #[case::no_limit(RETRY, None, 1, [0, 0, 0])]
    #[case::evenly(RETRY, Some(6), 1, [0, 10_000, 20_000])]
    #[case::shards_divide(RETRY, Some(6), 3, [0, 30_000, 60_000])]
    #[case::at_least_one_a_minute(RETRY, Some(1), 10, [0, 60_000, 120_000])]
    #[case::by_hand(Mode::Again { selection: Default::default(), failed_before: Timestamp::UNIX_EPOCH }, Some(6), 1, [0, 10_000, 20_000])]
    #[case::a_full_run_has_no_pace(Mode::Full, Some(6), 1, [0, 0, 0])]
    fn items_begin(#[case] mode: Mode, #[case] limit: Option<i32>, #[case] shards: i32, #[case] times: [u128; 3]) {
        assert_eq!(begins(&mut pace(&mode, limit, shards), 3), times);
    }

    #[test]
    fn a_range_takes_the_time_of_its_rows_and_idle_time_is_lost() {
        let mut pace = pace(&RETRY, Some(60), 1);
        pace.begun(Duration::ZERO, 1000);
        assert_eq!(pace.wait(Duration::from_secs(400)), Duration::from_secs(600));
        pace.begun(Duration::from_secs(5000), 1);
        pace.begun(Duration::from_secs(5000), 1);
        assert_eq!(pace.wait(Duration::from_secs(5000)), Duration::from_secs(1));
    }

    #[test]
    fn nobody_waits_after_the_last_item() {
        let mut pace = Pace { left: 2, ..pace(&RETRY, Some(1), 1) };
        pace.begun(Duration::ZERO, 1);
        assert_eq!(pace.wait(Duration::ZERO), Duration::from_secs(60));
        pace.begun(Duration::from_secs(60), 1);
        assert_eq!(pace.wait(Duration::from_secs(60)), Duration::ZERO);
    }

    #[rstest]
    #[case(None, 256)]
    #[case(Some(1), 1)]
    #[case(Some(600), 10)]
    #[case(Some(1_000_000), 256)]
    fn texts_begin_together(#[case] limit: Option<i32>, #[case] together: usize) {
        assert_eq!(pace(&RETRY, limit, 1).at_once(256), together);
    }

    proptest! {
        #[test]
        fn no_minute_has_more_than_the_limit(limit in 1_i32..200, pauses in prop::collection::vec(0_u64..20_000, 300)) {
            let mut pace = pace(&RETRY, Some(limit), 1);
            let (mut now, mut begun) = (Duration::ZERO, Vec::new());
            for pause in pauses {
                now += Duration::from_millis(pause);
                now += pace.wait(now);
                pace.begun(now, 1);
                begun.push(now);
            }
            // and what the slack of a second is worth
            let most = usize::try_from(limit + limit / 60 + 1).unwrap();
            for (first, &start) in begun.iter().enumerate() {
                let within = begun[first..].iter().take_while(|&&time| time < start + Duration::from_secs(60)).count();
                prop_assert!(within <= most, "{within} within a minute");
            }
        }
    }
}
