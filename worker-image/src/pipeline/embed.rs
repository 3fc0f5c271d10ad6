//! Fifth stage: chunks to vectors, in batches that reach over documents. CPU work on blocking threads; no I/O.

use std::sync::Arc;

use lexigram_api::failure::Stage;
use tokio::{
    sync::mpsc::{Receiver, Sender},
    task::spawn_blocking,
};

use super::{
    in_hand::{Document, Settled},
    judge::Failure,
    revision::chunk_id,
    run::Run,
};
use crate::{
    chunk::Chunk,
    store::{DocumentWrite, EmbeddedChunk},
};

/// Chunks that go to the model at once: small documents are embedded together, large ones in several steps. More would
/// not be faster, and would keep documents from being stored for longer.
const BATCH_CHUNKS: usize = 32;

/// Vectors in the order of their texts, why there are none, or nothing at all since the run was told to stop.
type Vectors = Option<Result<Vec<Vec<f32>>, Failure>>;

impl Run<'_> {
    pub(super) async fn embed(&self, mut incoming: Receiver<Document<Vec<Chunk>>>, settle: Sender<Document<Settled>>) {
        while let Some(batch) = next_batch(&mut incoming).await {
            let Some(settled) = self.embed_batch(batch).await else { return };
            for document in settled {
                if settle.send(document).await.is_err() {
                    return;
                }
            }
        }
    }

    /// Embeds a batch. If that fails, embeds its documents one by one: only the one that is the cause fails.
    async fn embed_batch(&self, batch: Vec<Document<Vec<Chunk>>>) -> Option<Vec<Document<Settled>>> {
        let texts: Vec<&str> =
            batch.iter().flat_map(|document| &document.content).map(|chunk| chunk.text.as_str()).collect();
        let mut settled = Vec::with_capacity(batch.len());
        match self.vectors(&texts).await? {
            Ok(vectors) => {
                let mut vectors = vectors.into_iter();
                for document in batch {
                    let own = vectors.by_ref().take(document.content.len()).collect();
                    settled.push(self.embedded(document, own));
                }
            }
            Err(failure) if batch.len() == 1 => {
                settled.extend(batch.into_iter().map(|document| document.settle(Settled::Failed(failure.clone()))));
            }
            Err(_) => {
                for document in batch {
                    let texts: Vec<&str> = document.content.iter().map(|chunk| chunk.text.as_str()).collect();
                    settled.push(match self.vectors(&texts).await? {
                        Ok(vectors) => self.embedded(document, vectors),
                        Err(failure) => document.settle(Settled::Failed(failure)),
                    });
                }
            }
        }
        Some(settled)
    }

    async fn vectors(&self, texts: &[&str]) -> Vectors {
        let mut vectors = Vec::with_capacity(texts.len());
        for slice in texts.chunks(BATCH_CHUNKS) {
            let slice: Vec<String> = slice.iter().map(|&text| text.to_owned()).collect();
            let embedder = Arc::clone(&self.embedder);
            let embedding = spawn_blocking(move || embedder.embed(&slice));
            match self.stop.run_until_cancelled(embedding).await? {
                Ok(Ok(computed)) => vectors.extend(computed),
                Ok(Err(error)) => return Some(Err(Failure::new(Stage::Embed, &error))),
                Err(error) => return Some(Err(Failure::broken(Stage::Embed, &error))),
            }
            self.tracker.beat();
        }
        Some(Ok(vectors))
    }

    fn embedded(&self, document: Document<Vec<Chunk>>, vectors: Vec<Vec<f32>>) -> Document<Settled> {
        let Document { ticket, content: chunks } = document;
        let id =
            |ordinal| chunk_id(&self.task.collection, &self.task.scope, &ticket.item.name, &ticket.revision, ordinal);
        let chunks = chunks
            .into_iter()
            .zip(vectors)
            .map(|(Chunk { ordinal, text, headings, page, bytes, tokens }, vector)| EmbeddedChunk {
                id: id(ordinal),
                ordinal,
                text,
                headings,
                page,
                bytes,
                tokens,
                vector,
            })
            .collect();
        let write = DocumentWrite {
            document: ticket.item.document,
            revision: ticket.revision.clone(),
            pipeline: self.pipeline.clone(),
            bytes: ticket.bytes,
            chunks,
        };
        Document { ticket, content: Settled::Embedded(write) }
    }
}

/// The next document, and those that wait behind it, until there are [`BATCH_CHUNKS`].
async fn next_batch(incoming: &mut Receiver<Document<Vec<Chunk>>>) -> Option<Vec<Document<Vec<Chunk>>>> {
    let first = incoming.recv().await?;
    let mut chunks = first.content.len();
    let mut batch = vec![first];
    while chunks < BATCH_CHUNKS {
        let Ok(document) = incoming.try_recv() else { break };
        chunks += document.content.len();
        batch.push(document);
    }
    Some(batch)
}
