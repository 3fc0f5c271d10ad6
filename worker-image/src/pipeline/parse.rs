//! Third stage: bytes to text, in parser processes. Starts processes.

use lexigram_api::{contract::StageName, failure::Stage};
use tokio::sync::mpsc::Receiver;

use super::{
    in_hand::{Document, Settled},
    run::Run,
    stage::{Exits, Step},
};
use crate::{parse::Parsed, run::Failure, source::Fetched};

impl Run<'_> {
    pub(super) async fn parse(&self, incoming: Receiver<Document<Fetched>>, exits: Exits<Parsed>) {
        self.stage(incoming, exits, self.parser_count, |document| self.parse_one(document)).await;
    }

    async fn parse_one(&self, document: Document<Fetched>) -> Step<Parsed> {
        let Document { mut ticket, content: Fetched { content, media_type } } = document;
        let parsing = self.parsers.parse(&ticket.item.name, media_type.as_deref(), &content);
        let parsed = self.tracker.busy(StageName::Parse, parsing).await;
        // the text takes the place of the content: nobody holds room while waiting for more, so nobody waits for ever
        drop(content);
        ticket.room = None;
        match parsed {
            Ok(mut parsed) => {
                ticket.about = std::mem::take(&mut parsed.about);
                ticket.room = self.in_hand.memory(parsed.text.len()).await;
                Ok(Document { ticket, content: parsed })
            }
            Err(error) => Err(Document { ticket, content: Settled::Failed(Failure::new(Stage::Parse, &error)) }),
        }
    }
}
