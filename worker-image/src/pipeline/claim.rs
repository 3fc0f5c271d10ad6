//! First stage: takes waiting documents from the ledger, as many as there is room for. Writes the store.

use tokio::sync::mpsc::Sender;

use super::{
    in_hand::{Document, Ticket},
    run::Run,
};
use crate::{parse::About, store::StoreError};

impl Run<'_> {
    pub(super) async fn claim(&self, next: Sender<Document<()>>) -> Result<(), StoreError> {
        while let Some(Some(mut place)) = self.stop.run_until_cancelled(self.in_hand.one()).await {
            let Some(item) = self.store.claim(&self.key).await? else { break };
            // A document that may have killed a worker goes alone: should it happen again, no other is blamed.
            if item.suspect {
                match self.stop.run_until_cancelled(self.in_hand.all_but_one()).await {
                    Some(Some(others)) => place.merge(others),
                    _ => break,
                }
            }
            let ticket = Ticket {
                item,
                bytes: 0,
                revision: String::new(),
                about: About::default(),
                memory: None,
                _place: place,
            };
            if next.send(Document { ticket, content: () }).await.is_err() {
                break;
            }
        }
        Ok(())
    }
}
