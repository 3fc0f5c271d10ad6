//! What the stages between claim and embedding have in common: documents come in, and go on or are settled. No I/O of
//! its own.

use std::future::Future;

use futures::{StreamExt, stream};
use tokio::sync::mpsc::{Receiver, Sender};

use super::{
    in_hand::{Document, Settled},
    run::Run,
};

/// What a stage makes of a document: it goes on, or it needs nothing more.
pub(super) type Step<T> = Result<Document<T>, Document<Settled>>;

/// The two ways out of a stage.
pub(super) struct Exits<T> {
    /// To the next stage.
    pub(super) next: Sender<Document<T>>,
    /// Straight to the ledger.
    pub(super) settle: Sender<Document<Settled>>,
}

impl Run<'_> {
    /// Runs `step` on every document, up to `concurrency` at once. When the run is told to stop, documents are dropped
    /// where they are.
    pub(super) async fn stage<A, B, F>(
        &self,
        incoming: Receiver<Document<A>>,
        exits: Exits<B>,
        concurrency: usize,
        step: impl Fn(Document<A>) -> F,
    ) where
        F: Future<Output = Step<B>>,
    {
        let (exits, step) = (&exits, &step);
        documents(incoming)
            .for_each_concurrent(concurrency, |document| async move {
                let Some(result) = self.stop.run_until_cancelled(step(document)).await else { return };
                self.tracker.beat();
                // a stage that no longer receives has ended, and the run with it
                let _received = match result {
                    Ok(document) => exits.next.send(document).await.is_ok(),
                    Err(document) => exits.settle.send(document).await.is_ok(),
                };
            })
            .await;
    }
}

fn documents<T>(incoming: Receiver<T>) -> impl stream::Stream<Item = T> {
    stream::unfold(incoming, |mut incoming| async { incoming.recv().await.map(|document| (document, incoming)) })
}
