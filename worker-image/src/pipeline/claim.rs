//! First stage: takes waiting documents from the ledger, as many as there is room for. Writes the store.

use lexigram_api::contract::StageName;
use tokio::{sync::mpsc::Sender, time::Instant};

use super::{
    in_hand::{Document, Ticket},
    run::Run,
};
use crate::{parse::About, run::Pace, store::StoreError};

impl Run<'_> {
    pub(super) async fn claim(&self, next: Sender<Document<()>>) -> Result<(), StoreError> {
        let (started, items) = (Instant::now(), self.tracker.progress().counts.items);
        let (policy, shards) = (&self.task.failure_policy, self.task.embedding.shards);
        let mut pace = Pace::new(&self.task.mode, policy, shards, items.total - items.processed());
        while let Some(Some(mut place)) = self.stop.run_until_cancelled(self.in_hand.one()).await {
            let in_time = self.tracker.wait(pace.wait(started.elapsed()));
            if self.stop.run_until_cancelled(in_time).await.is_none() {
                break;
            }
            let Some(item) = self.tracker.busy(StageName::Store, self.store.claim(&self.key)).await? else { break };
            pace.begun(started.elapsed(), 1);
            // A document that may have killed a worker goes alone: should it happen again, no other is blamed.
            if item.suspect {
                match self.stop.run_until_cancelled(self.in_hand.all_but_one()).await {
                    Some(Some(others)) => place.merge(others),
                    _ => break,
                }
            }
            let ticket =
                Ticket { item, bytes: 0, revision: String::new(), about: About::default(), room: None, _place: place };
            if next.send(Document { ticket, content: () }).await.is_err() {
                break;
            }
        }
        Ok(())
    }
}
