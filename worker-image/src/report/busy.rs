//! How long each stage of the pipeline was at work. No I/O; the time is given.

use std::time::{Duration, Instant};

use lexigram_api::contract::{StageBusyness, StageName};

/// The clocks of all stages.
#[derive(Debug, Default)]
pub(super) struct Busyness {
    /// When the first stage began.
    began: Option<Instant>,
    clocks: [Clock; StageName::ALL.len()],
}

/// Runs while a stage has one item in hand at least.
#[derive(Clone, Copy, Debug, Default)]
struct Clock {
    in_hand: u32,
    since: Option<Instant>,
    before: Duration,
}

impl Busyness {
    /// A stage takes up an item.
    pub(super) fn enter(&mut self, stage: StageName, now: Instant) {
        self.began.get_or_insert(now);
        let clock = &mut self.clocks[stage as usize];
        clock.in_hand += 1;
        clock.since.get_or_insert(now);
    }

    /// A stage is done with an item.
    pub(super) fn leave(&mut self, stage: StageName, now: Instant) {
        let clock = &mut self.clocks[stage as usize];
        clock.in_hand = clock.in_hand.saturating_sub(1);
        if clock.in_hand == 0 {
            clock.before = clock.time(now);
            clock.since = None;
        }
    }

    /// The time that each stage was at work; those left out that never were.
    pub(super) fn times(&self, now: Instant) -> Vec<(StageName, Duration)> {
        let times = StageName::ALL.into_iter().zip(self.clocks.iter().map(|clock| clock.time(now)));
        times.filter(|(_, time)| !time.is_zero()).collect()
    }

    /// The same as shares of the whole time.
    pub(super) fn shares(&self, now: Instant) -> Vec<StageBusyness> {
        let whole = self.began.map_or(0, |began| now.saturating_duration_since(began).as_micros()).max(1);
        let percent =
            |time: Duration| i32::try_from((time.as_micros() * 100 + whole / 2) / whole).unwrap_or(100).min(100);
        self.times(now).into_iter().map(|(name, time)| StageBusyness { name, busy_percent: percent(time) }).collect()
    }
}

impl Clock {
    fn time(&self, now: Instant) -> Duration {
        self.before + self.since.map_or(Duration::ZERO, |since| now.saturating_duration_since(since))
    }
}

#[cfg(test)]
mod tests {
    use lexigram_api::contract::busyness_in_words;
    use rstest::rstest;

    use super::*;

    use StageName::{Chunk, Embed, Parse};

    /// Steps as `(second, stage, +1 or -1 item)`.
    #[rstest]
    #[case::nothing(&[], 10, "")]
    #[case::one_after_the_other(&[(0, Parse, 1), (4, Parse, -1), (4, Chunk, 1), (10, Chunk, -1)], 10, "parse 40%, chunk 60%")]
    #[case::overlapping(&[(0, Parse, 1), (2, Embed, 1), (8, Parse, -1), (10, Embed, -1)], 10, "parse 80%, embed 80%")]
    #[case::two_at_once_count_once(&[(0, Parse, 1), (1, Parse, 1), (5, Parse, -1), (6, Parse, -1)], 10, "parse 60%")]
    #[case::still_at_it(&[(5, Parse, 1), (10, Embed, 1)], 15, "parse 100%, embed 50%")]
    #[case::from_the_first_step_on(&[(100, Parse, 1), (101, Parse, -1)], 104, "parse 25%")]
    #[case::again(&[(0, Parse, 1), (1, Parse, -1), (2, Parse, 1), (3, Parse, -1)], 4, "parse 50%")]
    fn shares_of_time(#[case] steps: &[(u64, StageName, i32)], #[case] now: u64, #[case] expected: &str) {
        let start = Instant::now();
        let at = |second| start + Duration::from_secs(second);
        let mut busyness = Busyness::default();
        for &(second, stage, items) in steps {
            match items {
                1 => busyness.enter(stage, at(second)),
                _ => busyness.leave(stage, at(second)),
            }
        }
        assert_eq!(busyness_in_words(&busyness.shares(at(now))), expected);
    }
}
