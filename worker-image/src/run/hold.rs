//! Writes to the store through its circuit: one that fails in a way that may pass is held and made again, so that no item
//! is blamed for a store that is away for a moment. Calls the store; waits.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use lexigram_api::contract::{CircuitSubject, OpenCircuit, StageName};

use super::circuit::{Circuit, Evidence, Settings, Turn};
use crate::{failure::Classified, report::Tracker, store::StoreError};

/// A store is used by this run alone: a single failure says enough.
const STORE: Settings = Settings {
    window: 1,
    most_failed: 1,
    first_probe: SignedDuration::from_secs(1),
    longest_wait: SignedDuration::from_secs(15),
    patience: SignedDuration::from_mins(1),
};

/// Makes a write, again and again while the store is away, and tells so meanwhile.
///
/// # Errors
/// What the store says in the end: at once where it may not pass, and after a minute where it may.
pub(crate) async fn held<T>(
    tracker: &Tracker,
    write: impl AsyncFnMut() -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    held_with(STORE, tracker, write).await
}

async fn held_with<T>(
    settings: Settings,
    tracker: &Tracker,
    mut write: impl AsyncFnMut() -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    let mut circuit = Circuit::new(settings);
    loop {
        let (probe, written) = (circuit.turn() != Turn::Go, tracker.busy(StageName::Store, write()).await);
        let evidence = match &written {
            Ok(_) => Evidence::Works,
            Err(error) if Evidence::is_outage(error.category()) => Evidence::Fails(error.to_string()),
            Err(_) => return written,
        };
        circuit.attempted(Timestamp::now(), probe, &evidence);
        let until = match circuit.turn() {
            Turn::ProbeAt(until) => until,
            Turn::Go => {
                if probe {
                    tracker.circuit(None);
                }
                return written;
            }
            Turn::GiveUp(_) => return written,
        };
        let message = circuit.message().unwrap_or_default().to_owned();
        tracing::warn!(%until, "a write is held: {message}");
        tracker.circuit(Some(OpenCircuit { subject: CircuitSubject::Store, message, until }));
        let wait = until.duration_since(Timestamp::now()).min(settings.longest_wait);
        tracker.wait(Duration::try_from(wait).unwrap_or_default()).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUICK: Settings = Settings {
        first_probe: SignedDuration::from_millis(1),
        longest_wait: SignedDuration::from_millis(4),
        patience: SignedDuration::from_millis(300),
        ..STORE
    };

    /// What comes of a write that fails so often as told, how often it was made, and whether the circuit showed.
    async fn hold(failures: usize, error: fn() -> StoreError) -> (Result<usize, &'static str>, usize, bool) {
        let (tracker, mut made, mut shown) = (Tracker::new("r1"), 0, false);
        let written = held_with(QUICK, &tracker, async || {
            made += 1;
            shown |= tracker.progress().circuit.is_some_and(|circuit| circuit.subject == CircuitSubject::Store);
            if made > failures { Ok(made) } else { Err(error()) }
        });
        let written = written.await.map_err(|error| error.reason());
        assert_eq!(tracker.progress().circuit.is_some(), written.is_err() && shown);
        (written, made, shown)
    }

    #[tokio::test]
    async fn a_write_is_made_again_until_the_store_is_back() {
        assert_eq!(hold(0, || StoreError::Busy).await, (Ok(1), 1, false));
        assert_eq!(hold(3, || StoreError::Busy).await, (Ok(4), 4, true));
    }

    #[tokio::test]
    async fn a_store_that_stays_away_ends_the_run() {
        let (written, made, shown) = hold(usize::MAX, || StoreError::Unavailable("gone".to_owned())).await;
        assert!(written == Err("StoreUnavailable") && made > 3 && shown, "{made}");
    }

    #[tokio::test]
    async fn what_does_not_pass_is_not_waited_for() {
        assert_eq!(hold(usize::MAX, || StoreError::Full).await, (Err("StoreFull"), 1, false));
    }
}
