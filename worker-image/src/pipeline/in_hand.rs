//! How much the pipeline has in hand at once: a number of documents, and of bytes, on disk and in memory. No I/O.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::{
    parse::About,
    run::Failure,
    store::{DocumentWrite, WorkItem},
};

/// Contents that wait for a parser, in KiB: on disk, but for the small ones. As much again may be on its way as is fetched
/// at once, and all of that has to fit into the scratch volume of a pod.
const SCRATCH_KIB: u32 = 512 * 1024;
/// Texts that wait between two stages, in KiB.
const MEMORY_KIB: u32 = 64 * 1024;

/// Bounds of what is between `claim` and `write`.
#[derive(Debug)]
pub(super) struct InHand {
    documents: Arc<Semaphore>,
    scratch: Arc<Semaphore>,
    memory: Arc<Semaphore>,
}

impl Default for InHand {
    fn default() -> Self {
        let kibibytes = |number| Arc::new(Semaphore::new(usize::try_from(number).unwrap_or(usize::MAX)));
        Self {
            documents: Arc::new(Semaphore::new(Self::MOST_DOCUMENTS)),
            scratch: kibibytes(SCRATCH_KIB),
            memory: kibibytes(MEMORY_KIB),
        }
    }
}

impl InHand {
    /// Documents at the most.
    pub(super) const MOST_DOCUMENTS: usize = 32;

    /// Waits for room for one document. None only if the semaphore was closed, which nobody does.
    pub(super) async fn one(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.documents).acquire_owned().await.ok()
    }

    /// Waits until no other document is in hand, and keeps it so.
    pub(super) async fn all_but_one(&self) -> Option<OwnedSemaphorePermit> {
        let rest = u32::try_from(Self::MOST_DOCUMENTS - 1).ok()?;
        Arc::clone(&self.documents).acquire_many_owned(rest).await.ok()
    }

    /// Waits for room for a content of `bytes`. What is larger than all the room there is gets all of it.
    pub(super) async fn scratch(&self, bytes: u64) -> Option<OwnedSemaphorePermit> {
        room(&self.scratch, SCRATCH_KIB, bytes).await
    }

    /// Waits for room for a text of `bytes`. What is larger than all the room there is gets all of it.
    pub(super) async fn memory(&self, bytes: usize) -> Option<OwnedSemaphorePermit> {
        room(&self.memory, MEMORY_KIB, u64::try_from(bytes).unwrap_or(u64::MAX)).await
    }
}

async fn room(of: &Arc<Semaphore>, most: u32, bytes: u64) -> Option<OwnedSemaphorePermit> {
    let kibibytes = u32::try_from(bytes / 1024 + 1).unwrap_or(u32::MAX).min(most);
    Arc::clone(of).acquire_many_owned(kibibytes).await.ok()
}

/// A document on its way, with what a stage has made of it.
#[derive(Debug)]
pub(super) struct Document<T> {
    pub(super) ticket: Ticket,
    pub(super) content: T,
}

impl<T> Document<T> {
    /// The document at its end.
    pub(super) fn settle(self, settled: Settled) -> Document<Settled> {
        self.with(settled)
    }

    /// The same document after the next stage.
    pub(super) fn with<U>(self, content: U) -> Document<U> {
        Document { ticket: self.ticket, content }
    }
}

/// A document's place in the pipeline; dropping it makes room for another.
#[derive(Debug)]
pub(super) struct Ticket {
    pub(super) item: WorkItem,
    /// Bytes that were fetched; 0 before that.
    pub(super) bytes: i64,
    /// Content hash and pipeline; empty before the content is known.
    pub(super) revision: String,
    /// What the parser says of it; nothing before it is parsed.
    pub(super) about: About,
    /// What its content takes on disk, or its text in memory.
    pub(super) room: Option<OwnedSemaphorePermit>,
    pub(super) _place: OwnedSemaphorePermit,
}

/// How a document ended.
#[derive(Debug)]
pub(super) enum Settled {
    /// Its stored chunks are those of this revision.
    Unchanged,
    /// It has vectors.
    Embedded(Box<DocumentWrite>),
    /// It could not be ingested.
    Failed(Failure),
}
