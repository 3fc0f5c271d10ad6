//! Fifth stage: chunks to vectors, in batches that reach over documents. Asks the embedding provider.

use lexigram_api::failure::Stage;
use tokio::sync::mpsc::{Receiver, Sender};

use super::{
    in_hand::{Document, Settled},
    revision::chunk_id,
    run::Run,
};
use crate::{
    chunk::Chunk,
    embed::{EmbedError, Embedded},
    run::{Failure, RunFailure},
    store::{DocumentWrite, EmbeddedChunk},
};

impl Run<'_> {
    pub(super) async fn embed(
        &self,
        mut incoming: Receiver<Document<Vec<Chunk>>>,
        settle: Sender<Document<Settled>>,
    ) -> Result<(), RunFailure> {
        while let Some(batch) = next_batch(&mut incoming, self.batch_texts).await {
            let texts: Vec<&str> =
                batch.iter().flat_map(|document| &document.content).map(|chunk| chunk.text.as_str()).collect();
            let Some(outcomes) = self.outcomes(&texts).await? else { return Ok(()) };
            let mut outcomes = outcomes.into_iter();
            for document in batch {
                let own: Result<Vec<Embedded>, EmbedError> =
                    outcomes.by_ref().take(document.content.len()).collect::<Vec<_>>().into_iter().collect();
                let settled = match own {
                    Ok(vectors) => self.embedded(document, vectors),
                    Err(error) => document.settle(Settled::Failed(Failure::new(Stage::Embed, &error))),
                };
                if settle.send(settled).await.is_err() {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// What became of each text; nothing if the run was told to stop.
    async fn outcomes(&self, texts: &[&str]) -> Result<Option<Vec<Result<Embedded, EmbedError>>>, RunFailure> {
        let mut outcomes = Vec::with_capacity(texts.len());
        for slice in texts.chunks(self.batch_texts) {
            let texts = slice.iter().map(|&text| text.to_owned()).collect();
            match self.stop.run_until_cancelled(self.embedder.embed(self.tracker, texts)).await.transpose()? {
                None => return Ok(None),
                Some(Ok(some)) => outcomes.extend(some),
                Some(Err(error)) => outcomes.extend(slice.iter().map(|_| Err(error.clone()))),
            }
        }
        Ok(Some(outcomes))
    }

    fn embedded(&self, document: Document<Vec<Chunk>>, vectors: Vec<Embedded>) -> Document<Settled> {
        let Document { ticket, content: chunks } = document;
        let id =
            |ordinal| chunk_id(&self.task.collection, &self.task.scope, &ticket.item.name, &ticket.revision, ordinal);
        let tokens = vectors.iter().map(|embedded| embedded.tokens).sum();
        let cached = i64::try_from(vectors.iter().filter(|embedded| embedded.cached).count()).unwrap_or(i64::MAX);
        let chunks = chunks
            .into_iter()
            .zip(vectors)
            .map(|(Chunk { ordinal, text, headings, page, bytes, tokens }, embedded)| EmbeddedChunk {
                id: id(ordinal),
                ordinal,
                text,
                headings,
                page,
                bytes,
                tokens,
                vector: embedded.vector,
            })
            .collect();
        let write = DocumentWrite {
            document: ticket.item.document,
            revision: ticket.revision.clone(),
            pipeline: self.pipeline.clone(),
            bytes: ticket.bytes,
            tokens,
            cached,
            about: ticket.about.clone(),
            chunks,
        };
        Document { ticket, content: Settled::Embedded(Box::new(write)) }
    }
}

/// The next document, and those that wait behind it, until there are `enough` chunks: small documents are embedded
/// together, large ones in several steps.
async fn next_batch(incoming: &mut Receiver<Document<Vec<Chunk>>>, enough: usize) -> Option<Vec<Document<Vec<Chunk>>>> {
    let first = incoming.recv().await?;
    let mut chunks = first.content.len();
    let mut batch = vec![first];
    while chunks < enough {
        let Ok(document) = incoming.try_recv() else { break };
        chunks += document.content.len();
        batch.push(document);
    }
    Some(batch)
}
