//! Requests and tokens a minute: when may the next request go. Pure: the clock is given.
//!
//! Both are buckets that hold a minute's worth, as providers keep them: full at first, filled evenly. A request takes
//! its share when it is planned, so that those that come later queue behind it.

use std::time::Duration;

use lexigram_api::embedding::OpenAISettings;

/// Longer than any run, and short enough to be added to any time.
const LONGEST_WAIT: Duration = Duration::from_secs(30 * 24 * 3600);

/// One worker's share of what `shards` may do together; at least 1.
pub(crate) fn share(limit: i32, shards: i32) -> f64 {
    (f64::from(limit) / f64::from(shards.max(1))).max(1.0)
}

/// What one worker may ask of a provider.
#[derive(Debug)]
pub(super) struct Budget {
    requests: Option<Bucket>,
    tokens: Option<Bucket>,
}

impl Budget {
    /// This worker's share of what the settings allow all `shards` together.
    pub(super) fn new(settings: &OpenAISettings, shards: i32) -> Self {
        let bucket = |limit: i32| Bucket::full(share(limit, shards));
        Self { requests: settings.requests_per_minute.map(bucket), tokens: settings.tokens_per_minute.map(bucket) }
    }

    /// When a request of so many tokens may go, and takes them. Times count from any fixed moment, and never go back.
    pub(super) fn plan(&mut self, now: Duration, tokens: usize) -> Duration {
        let tokens = f64::from(u32::try_from(tokens).unwrap_or(u32::MAX));
        let wait_for =
            |bucket: &mut Option<Bucket>, amount| bucket.as_mut().map_or(0.0, |bucket| bucket.take(now, amount));
        let wait = wait_for(&mut self.requests, 1.0).max(wait_for(&mut self.tokens, tokens));
        now + Duration::try_from_secs_f64(wait).unwrap_or(LONGEST_WAIT).min(LONGEST_WAIT)
    }
}

/// What flows in evenly and is taken in pieces.
#[derive(Debug)]
struct Bucket {
    capacity: f64,
    /// Below zero: what is taken already, and has yet to flow in.
    level: f64,
    at: Duration,
}

impl Bucket {
    fn full(a_minutes_worth: f64) -> Self {
        Self { capacity: a_minutes_worth, level: a_minutes_worth, at: Duration::ZERO }
    }

    /// Takes an amount, and returns in how many seconds it will be there. What is larger than the bucket waits until
    /// the bucket is full.
    fn take(&mut self, now: Duration, amount: f64) -> f64 {
        let per_second = self.capacity / 60.0;
        self.level = (self.level + now.saturating_sub(self.at).as_secs_f64() * per_second).min(self.capacity);
        self.at = self.at.max(now);
        let missing = amount.min(self.capacity) - self.level;
        self.level -= amount;
        (missing / per_second).max(0.0)
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    /// Requests as (second in which it is planned, tokens, second in which it may go).
    type Plan = &'static [(u64, usize, u64)];

    fn settings(requests: Option<i32>, tokens: Option<i32>) -> OpenAISettings {
        let json = serde_json::json!({ "url": "http://localhost/v1", "model": "m" });
        let settings: OpenAISettings = serde_json::from_value(json).unwrap();
        OpenAISettings { requests_per_minute: requests, tokens_per_minute: tokens, ..settings }
    }

    #[rstest]
    #[case::no_limits(None, None, 1, &[(0, 1_000_000, 0), (0, 1_000_000, 0)])]
    #[case::a_minutes_requests_go_at_once(Some(2), None, 1, &[(0, 9, 0), (0, 9, 0), (0, 9, 30), (0, 9, 60)])]
    #[case::requests_come_back_evenly(Some(60), None, 60, &[(0, 9, 0), (0, 9, 60), (60, 9, 120)])]
    #[case::tokens(None, Some(60), 1, &[(0, 50, 0), (0, 20, 10), (10, 30, 40), (100, 60, 100)])]
    #[case::idle_time_is_not_saved_up(None, Some(60), 1, &[(0, 60, 0), (600, 60, 600), (600, 60, 660)])]
    #[case::larger_than_the_bucket(None, Some(60), 1, &[(0, 30, 0), (0, 120, 30), (30, 30, 120)])]
    #[case::the_scarcer_one_decides(Some(60), Some(60), 1, &[(0, 60, 0), (0, 30, 30), (0, 0, 30)])]
    #[case::shards_divide(Some(4), Some(120), 2, &[(0, 60, 0), (0, 60, 60), (60, 1, 61)])]
    #[case::at_least_one(Some(1), None, 10, &[(0, 1, 0), (0, 1, 60)])]
    fn requests_are_planned(
        #[case] requests: Option<i32>,
        #[case] tokens: Option<i32>,
        #[case] shards: i32,
        #[case] plan: Plan,
    ) {
        let mut budget = Budget::new(&settings(requests, tokens), shards);
        for &(at, tokens, goes) in plan {
            let planned = budget.plan(Duration::from_secs(at), tokens);
            assert!(planned.abs_diff(Duration::from_secs(goes)) < Duration::from_millis(1), "{at}: {planned:?}");
        }
    }
}
