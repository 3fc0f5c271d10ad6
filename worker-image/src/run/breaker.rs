//! Asks the embedding provider through its circuit: while that is open, texts are held, and a probe goes first. Asks the
//! embedding provider.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use jiff::Timestamp;
use lexigram_api::contract::{CircuitSubject, OpenCircuit, StageName};

use super::{
    RunFailure,
    circuit::{Circuit, Evidence, Settings, Turn},
};
use crate::{
    embed::{EmbedError, Embedder, Outcomes},
    failure::Classified,
    report::Tracker,
};

/// A text that no model refuses: no item is to blame if it fails.
const PROBE: &str = "probe";
/// Longest message, in characters: it has to fit into a report.
const MESSAGE_CHARS: usize = 160;

/// An embedding provider behind its circuit.
pub(crate) struct Breaker {
    /// What texts are given to: a cache, or the provider itself.
    embedder: Arc<dyn Embedder>,
    /// What is probed.
    provider: Arc<dyn Embedder>,
    settings: Settings,
    circuit: Mutex<Circuit>,
    /// Held by whoever makes a probe: there is one at a time.
    probing: tokio::sync::Mutex<()>,
}

impl Breaker {
    pub(crate) fn new(embedder: Arc<dyn Embedder>, provider: Arc<dyn Embedder>, settings: Settings) -> Self {
        let (circuit, probing) = (Mutex::new(Circuit::new(settings)), tokio::sync::Mutex::default());
        Self { embedder, provider, settings, circuit, probing }
    }

    /// Begins with a probe: an earlier run has ended with the circuit open.
    pub(crate) fn probe_first(&self) {
        self.circuit().open(Timestamp::now(), "an earlier run ended for that reason".to_owned());
    }

    /// What became of texts, as [`Embedder::embed`] gives it. Where most attempts fail, these texts wait for a probe.
    ///
    /// # Errors
    /// [`RunFailure::Circuit`] if the provider does not recover in time, and what [ends a run](EmbedError::ends_run).
    pub(crate) async fn embed(&self, tracker: &Tracker, texts: Vec<String>) -> Result<Outcomes, RunFailure> {
        loop {
            if self.turn() != Turn::Go {
                self.probe(tracker).await?;
                continue;
            }
            let embedding = tracker.watch(|| self.embedder.asked(), self.embedder.embed(texts.clone()));
            let outcomes = tracker.busy(StageName::Embed, embedding).await;
            let evidence = evidence(&outcomes)?;
            self.circuit().attempted(Timestamp::now(), false, &evidence);
            // the attempt that opens the circuit is not held against its texts
            if !(matches!(evidence, Evidence::Fails(_)) && self.turn() != Turn::Go) {
                return Ok(outcomes);
            }
        }
    }

    /// Makes the next probe, once it is time, unless another call has just made one.
    async fn probe(&self, tracker: &Tracker) -> Result<(), RunFailure> {
        let _alone = self.probing.lock().await;
        let time = match self.turn() {
            Turn::Go => return Ok(()),
            Turn::GiveUp(until) => return Err(RunFailure::Circuit(self.describe(until))),
            Turn::ProbeAt(time) => time,
        };
        let circuit = self.describe(time);
        tracing::warn!(until = %time, "{}", circuit.message);
        tracker.circuit(Some(circuit));
        let now = Timestamp::now();
        // bounded, should somebody turn the clock
        let wait = time.duration_since(now).min(self.settings.longest_wait);
        tracker.wait(Duration::try_from(wait).unwrap_or_default()).await;
        let probe = self.provider.embed(vec![PROBE.to_owned()]);
        let outcomes = tracker.watch(|| self.provider.asked(), probe).await;
        let evidence = evidence(&outcomes)?;
        self.circuit().attempted(Timestamp::now(), true, &evidence);
        if self.turn() == Turn::Go {
            tracker.circuit(None);
        }
        Ok(())
    }

    fn turn(&self) -> Turn {
        self.circuit().turn()
    }

    fn describe(&self, until: Timestamp) -> OpenCircuit {
        let cause = self.circuit().message().unwrap_or_default().to_owned();
        let message = format!("most requests to the embedding provider fail: {cause}");
        let message = message.chars().take(MESSAGE_CHARS).collect();
        OpenCircuit { subject: CircuitSubject::EmbeddingProvider, message, until }
    }

    fn circuit(&self) -> MutexGuard<'_, Circuit> {
        self.circuit.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a call says of the provider; or the error that ends the run.
fn evidence(outcomes: &Outcomes) -> Result<Evidence, EmbedError> {
    let outage = |error: &EmbedError| Evidence::is_outage(error.category()).then(|| Evidence::Fails(error.to_string()));
    Ok(match outcomes {
        Err(error) if error.ends_run() => return Err(error.clone()),
        Err(error) => outage(error).unwrap_or(Evidence::Nothing),
        Ok(texts) if texts.iter().flatten().any(|embedded| !embedded.cached) => Evidence::Works,
        Ok(texts) => {
            let failed = texts.iter().filter_map(|text| text.as_ref().err());
            failed.filter_map(outage).next().unwrap_or(Evidence::Nothing)
        }
    })
}
