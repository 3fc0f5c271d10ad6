//! Fourth stage: text to chunks. CPU work on blocking threads; no I/O.

use std::sync::Arc;

use lexigram_api::{contract::StageName, failure::Stage};
use tokio::{sync::mpsc::Receiver, task::spawn_blocking};

use super::{
    in_hand::{Document, Settled},
    run::Run,
    stage::{Exits, Step},
};
use crate::{chunk::Chunk, parse::Parsed, run::Failure};

impl Run<'_> {
    pub(super) async fn chunk(&self, incoming: Receiver<Document<Parsed>>, exits: Exits<Vec<Chunk>>) {
        // as many at once as are parsed: cutting takes about as long
        self.stage(incoming, exits, self.parser_count, |document| self.chunk_one(document)).await;
    }

    async fn chunk_one(&self, document: Document<Parsed>) -> Step<Vec<Chunk>> {
        let Document { ticket, content: parsed } = document;
        let chunker = Arc::clone(&self.chunker);
        let chunking = spawn_blocking(move || chunker.chunk(&parsed));
        let failure = match self.tracker.busy(StageName::Chunk, chunking).await {
            Ok(Ok(chunks)) => return Ok(Document { ticket, content: chunks }),
            Ok(Err(error)) => Failure::new(Stage::Chunk, &error),
            Err(error) => Failure::broken(Stage::Chunk, &error),
        };
        Err(Document { ticket, content: Settled::Failed(failure) })
    }
}
