//! Last stage, and the only writer: settles every document in the ledger. Writes the store.

use jiff::Timestamp;
use lexigram_api::contract::DocumentFailure;
use tokio::sync::mpsc::Receiver;

use super::{
    in_hand::{Document, Settled},
    run::Run,
};
use crate::store::{FailedAttempt, StoreError, printable};

impl Run<'_> {
    pub(super) async fn write(&self, mut settled: Receiver<Document<Settled>>) -> Result<(), StoreError> {
        while let Some(Document { ticket, content }) = settled.recv().await {
            match content {
                Settled::Unchanged => {
                    self.store.skip(ticket.item.document).await?;
                    self.tracker.skipped();
                }
                Settled::Embedded(write) => {
                    let chunks = i64::try_from(write.chunks.len()).unwrap_or(i64::MAX);
                    let tokens = write.chunks.iter().map(|chunk| i64::from(chunk.tokens)).sum();
                    self.store.complete(write).await?;
                    self.tracker.done(chunks, tokens, ticket.bytes);
                }
                Settled::Failed(failure) => {
                    let attempt = self.judge.judge(&ticket.item, failure, Timestamp::now());
                    self.store.fail(attempt.clone()).await?;
                    let failure = describe(&ticket.item.name, attempt);
                    let (category, action) = (failure.category.as_str(), failure.action.as_str());
                    tracing::warn!(document = failure.document, category, action, "{}", failure.message);
                    self.tracker.failed(failure);
                }
            }
        }
        Ok(())
    }
}

fn describe(name: &str, attempt: FailedAttempt) -> DocumentFailure {
    let FailedAttempt { document: _, attempts, stage, category, reason, message, time, verdict } = attempt;
    DocumentFailure {
        document: printable(name),
        stage,
        category,
        reason,
        message,
        attempts,
        action: verdict.action,
        last_failure_time: time,
    }
}
