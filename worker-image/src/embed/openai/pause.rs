//! When a provider that has told to slow down is asked again. Pure: the clock is given.

use std::time::Duration;

use jiff::Timestamp;
use lexigram_api::backoff::{backoff, jittered};

use super::{ProviderError, patience::Patience};

/// The longest wait that a provider can ask for at once.
const MAX_WAIT: Duration = Duration::from_secs(3600);

/// The pause of one provider.
#[derive(Debug, Default)]
pub(super) struct Pause {
    until: Option<Timestamp>,
    /// When the provider told to slow down first, with no success since.
    since: Option<Timestamp>,
    /// Pauses without a success between them.
    pauses: u32,
}

impl Pause {
    /// The provider told to slow down, for that long if it said so. An error if it has done so for too long.
    pub(super) fn slow_down(
        &mut self,
        now: Timestamp,
        wait: Option<Duration>,
        patience: &Patience,
        seed: u64,
    ) -> Result<(), ProviderError> {
        let since = *self.since.get_or_insert(now);
        let endured = Duration::try_from(now.duration_since(since)).unwrap_or(Duration::ZERO);
        if endured > patience.rate_limited_at_most {
            return Err(ProviderError::RateLimited { minutes: endured.as_secs() / 60 });
        }
        // answers to requests that were open when the pause began are of the same pause
        if self.pauses == 0 || self.until(now).is_none() {
            self.pauses += 1;
        }
        let own = || jittered(backoff(self.pauses, patience.pause, patience.longest_pause), seed);
        self.wait(now, wait.unwrap_or_else(own));
        Ok(())
    }

    /// The provider took a request; `wait` if it said that it will take no more before.
    pub(super) fn succeeded(&mut self, now: Timestamp, wait: Option<Duration>) {
        (self.since, self.pauses) = (None, 0);
        if let Some(wait) = wait {
            self.wait(now, wait);
        }
    }

    /// When the provider is asked again, while that is not yet.
    pub(super) fn until(&self, now: Timestamp) -> Option<Timestamp> {
        self.until.filter(|&until| until > now)
    }

    fn wait(&mut self, now: Timestamp, wait: Duration) {
        let until = now.checked_add(wait.min(MAX_WAIT)).unwrap_or(now);
        self.until = self.until.max(Some(until));
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn at(second: u64) -> Timestamp {
        Timestamp::UNIX_EPOCH.checked_add(Duration::from_secs(second)).unwrap()
    }

    fn seconds(wait: Option<u64>) -> Option<Duration> {
        wait.map(Duration::from_secs)
    }

    #[rstest]
    #[case::as_told(&[(0, Some(7))], Some(7))]
    #[case::told_again_for_longer(&[(0, Some(7)), (1, Some(9))], Some(10))]
    #[case::told_again_for_shorter(&[(0, Some(7)), (1, Some(1))], Some(7))]
    #[case::an_hour_at_most(&[(0, Some(90_000))], Some(3600))]
    #[case::not_at_all(&[(0, Some(0))], None)]
    fn pauses_as_told(#[case] answers: &[(u64, Option<u64>)], #[case] until: Option<u64>) {
        let mut pause = Pause::default();
        for &(second, wait) in answers {
            pause.slow_down(at(second), seconds(wait), &Patience::default(), 1).unwrap();
        }
        assert_eq!(pause.until(at(0)), until.map(at));
    }

    #[test]
    fn pauses_grow_where_the_provider_names_no_time() {
        let (mut pause, patience, mut now, mut pauses) = (Pause::default(), Patience::default(), at(0), Vec::new());
        for seed in 0..8 {
            pause.slow_down(now, None, &patience, seed).unwrap();
            pause.slow_down(now, None, &patience, seed).unwrap(); // of the same pause
            let until = pause.until(now).unwrap();
            pauses.push(Duration::try_from(until.duration_since(now)).unwrap().as_secs_f64());
            now = until;
        }
        for (pause, longest) in pauses.into_iter().zip([1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0]) {
            assert!(pause <= longest && pause >= longest * 0.8, "{pause} of {longest}");
        }
    }

    #[test]
    fn gives_up_after_an_hour_without_any_success() {
        let (mut pause, patience) = (Pause::default(), Patience::default());
        pause.slow_down(at(0), seconds(Some(1)), &patience, 1).unwrap();
        pause.succeeded(at(1000), None);
        pause.slow_down(at(2000), seconds(Some(1)), &patience, 1).unwrap();
        pause.slow_down(at(5600), seconds(Some(1)), &patience, 1).unwrap();
        let error = pause.slow_down(at(5660), seconds(Some(1)), &patience, 1).unwrap_err();
        assert_eq!(error, ProviderError::RateLimited { minutes: 61 });
    }

    #[test]
    fn a_success_that_used_up_the_limit_pauses_too() {
        let mut pause = Pause::default();
        pause.succeeded(at(0), seconds(Some(6)));
        assert_eq!(pause.until(at(5)), Some(at(6)));
        pause.succeeded(at(5), None);
        assert_eq!((pause.until(at(5)), pause.until(at(6))), (Some(at(6)), None), "an older request ends no pause");
    }
}
