//! Last stage, and the only writer: settles every document in the ledger. Writes the store.

use jiff::Timestamp;
use lexigram_api::contract::{Counts, ItemCounts};
use tokio::sync::mpsc::Receiver;

use super::{
    in_hand::{Document, Settled},
    run::Run,
};
use crate::{run::held, store::StoreError};

impl Run<'_> {
    pub(super) async fn write(&self, mut settled: Receiver<Document<Settled>>) -> Result<(), StoreError> {
        while let Some(Document { ticket, content }) = settled.recv().await {
            match content {
                Settled::Unchanged => {
                    held(self.tracker, async || self.store.skip(ticket.item.document).await).await?;
                    self.tracker
                        .done(&Counts { items: ItemCounts { skipped: 1, ..Default::default() }, ..Default::default() });
                }
                Settled::Embedded(write) => {
                    let counts = Counts {
                        items: ItemCounts { done: 1, ..Default::default() },
                        chunks: i64::try_from(write.chunks.len()).unwrap_or(i64::MAX),
                        tokens: write.tokens,
                        bytes: write.bytes,
                        cached: write.cached,
                        ..Default::default()
                    };
                    held(self.tracker, async || self.store.complete((*write).clone()).await).await?;
                    self.tracker.done(&counts);
                }
                Settled::Failed(failure) => {
                    let attempt = self.judge.judge(&ticket.item, failure, Timestamp::now());
                    held(self.tracker, async || self.store.fail(attempt.clone()).await).await?;
                    let failure = attempt.describe(&ticket.item.name);
                    let (category, action) = (failure.category.as_str(), failure.action.as_str());
                    tracing::warn!(document = failure.item, category, action, "{}", failure.message);
                    self.tracker.failed(failure, 1);
                }
            }
        }
        Ok(())
    }
}
