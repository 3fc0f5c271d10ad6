//! Requests a minute as providers count them: a bucket that is full at first and filled evenly. Pure: the clock is given.

use std::time::Instant;

/// What was taken and has not flowed in again.
#[derive(Debug, Default)]
pub(crate) struct Bucket {
    taken: f64,
    at: Option<Instant>,
}

impl Bucket {
    /// Takes one of `limit` a minute, if there is one.
    pub(crate) fn take(&mut self, limit: u16, now: Instant) -> bool {
        let limit = f64::from(limit);
        let passed = self.at.replace(now).map_or(0.0, |at| now.saturating_duration_since(at).as_secs_f64());
        self.taken = (self.taken - passed * limit / 60.0).max(0.0);
        let enough = self.taken + 1.0 <= limit;
        if enough {
            self.taken += 1.0;
        }
        enough
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::Bucket;

    #[test]
    fn a_minutes_worth_is_there_at_first_and_then_one_after_the_other() {
        let (start, mut bucket) = (Instant::now(), Bucket::default());
        let mut taken = |second| bucket.take(2, start + Duration::from_secs(second));
        let expected = [
            (0, true),
            (0, true),
            (0, false),
            (29, false),
            (30, true),
            (30, false),
            (300, true),
            (300, true),
            (300, false),
        ];
        for (second, there) in expected {
            assert_eq!(taken(second), there, "at {second}");
        }
    }
}
