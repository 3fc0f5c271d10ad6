//! Second stage: reads a document's content, and settles it there if nothing has changed. Reads the source.

use lexigram_api::contract::StageName;
use tokio::sync::mpsc::Receiver;

use super::{
    in_hand::{Document, Settled},
    revision::revision,
    run::Run,
    stage::{Exits, Step},
};
use crate::{run::Failure, source::Fetched};

/// Documents that are fetched at once.
const CONCURRENCY: usize = 4;

impl Run<'_> {
    pub(super) async fn fetch(&self, incoming: Receiver<Document<()>>, exits: Exits<Fetched>) {
        self.stage(incoming, exits, CONCURRENCY, |document| self.fetch_one(document)).await;
    }

    async fn fetch_one(&self, mut document: Document<()>) -> Step<Fetched> {
        let limit = u64::from(self.task.parsing.max_document_bytes.unsigned_abs());
        let fetched =
            match self.tracker.busy(StageName::Fetch, self.source.fetch(&document.ticket.item.name, limit)).await {
                Ok(fetched) => fetched,
                Err(error) => return Err(document.settle(Settled::Failed(Failure::of_source(&error)))),
            };
        let revision = revision(fetched.content.hash(), &self.pipeline);
        document.ticket.bytes = i64::try_from(fetched.content.size()).unwrap_or(i64::MAX);
        if document.ticket.item.revision.as_ref() == Some(&revision) {
            return Err(document.settle(Settled::Unchanged));
        }
        document.ticket.room = self.in_hand.scratch(fetched.content.size()).await;
        document.ticket.revision = revision;
        Ok(document.with(fetched))
    }
}
