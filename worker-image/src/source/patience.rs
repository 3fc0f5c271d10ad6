//! Steps of a listing are tried again: one that failed for good would make the whole listing worth little. Waits.

use std::time::Duration;

use futures::future::BoxFuture;
use lexigram_api::failure::FailureCategory;

use super::SourceError;
use crate::failure::Classified;

/// How often a step is tried again.
const MAX_RETRIES: u32 = 3;
/// The wait before the first time; it doubles.
const FIRST_WAIT: Duration = Duration::from_millis(250);
/// The longest wait that a server may ask for.
const MAX_WAIT: Duration = Duration::from_secs(30);

/// Makes attempts until one succeeds, fails for good, or there have been enough.
pub(super) async fn patiently<'a, T>(
    attempt: impl Fn() -> BoxFuture<'a, Result<T, SourceError>>,
) -> Result<T, SourceError> {
    for retry in 0..MAX_RETRIES {
        match attempt().await {
            Err(error) => match wait(&error, retry) {
                Some(wait) => tokio::time::sleep(wait).await,
                None => return Err(error),
            },
            done => return done,
        }
    }
    attempt().await
}

/// How long to wait after a failure that may pass; nothing for any other.
fn wait(error: &SourceError, retry: u32) -> Option<Duration> {
    let own = FIRST_WAIT * 2_u32.saturating_pow(retry);
    match error {
        SourceError::SlowDown { retry_after: Some(wait), .. } => Some(*wait).filter(|wait| *wait <= MAX_WAIT),
        error => match error.category() {
            FailureCategory::Transient | FailureCategory::RateLimited => Some(own),
            _ => None,
        },
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::first(SourceError::ServerError { status: 500 }, 0, Some(250))]
    #[case::third(SourceError::Connection("reset".to_owned()), 2, Some(1000))]
    #[case::asked(SourceError::SlowDown { status: 503, retry_after: Some(Duration::from_secs(9)) }, 0, Some(9000))]
    #[case::asked_for_too_much(SourceError::SlowDown { status: 503, retry_after: Some(Duration::from_secs(90)) }, 0, None)]
    #[case::slow_down(SourceError::SlowDown { status: 503, retry_after: None }, 1, Some(500))]
    #[case::for_good(SourceError::Refused { answer: "HTTP 403".to_owned(), check: "spec" }, 0, None)]
    #[case::gone(SourceError::Gone { detail: "HTTP 404".to_owned() }, 0, None)]
    fn waits(#[case] error: SourceError, #[case] retry: u32, #[case] milliseconds: Option<u64>) {
        assert_eq!(wait(&error, retry), milliseconds.map(Duration::from_millis));
    }
}
