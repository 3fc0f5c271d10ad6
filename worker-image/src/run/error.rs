//! What ends a whole run. No I/O.

use lexigram_api::{contract::OpenCircuit, failure::FailureCategory};
use thiserror::Error;
use uuid::Uuid;

use super::judge::InvalidRule;
use crate::{
    batch::{InputError, OutputError},
    chunk::ChunkError,
    embed::EmbedError,
    failure::Classified,
    source::SourceError,
    store::{CIRCUIT_OPEN, StoreError},
};

/// Why a run did not come to its end.
#[derive(Debug, Error)]
pub enum RunFailure {
    /// The source cannot be opened, or none of it can be listed.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// Some of the source could not be listed. The rest has been ingested.
    #[error(
        "the source could be listed only in part ({listed} documents found, {failed} errors; the first: {first}); what was found has been ingested, nothing has been removed"
    )]
    ListingPartial {
        /// Documents that were found.
        listed: usize,
        /// Errors on the way.
        failed: usize,
        /// The first error.
        first: SourceError,
    },
    /// The settings for chunks do not fit together.
    #[error(transparent)]
    Chunk(#[from] ChunkError),
    /// The embedding model cannot be had.
    #[error(transparent)]
    Embed(#[from] EmbedError),
    /// The store refuses.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A stored text has no vector under the model that a collection is rebuilt for; the old vectors stay in use.
    #[error("the collection cannot be rebuilt for another model, and stays as it is; its chunk {chunk}: {error}")]
    NotCarriedOver {
        /// The chunk.
        chunk: Uuid,
        /// Why it cannot be embedded.
        error: Box<EmbedError>,
    },
    /// The input of a batch cannot be read.
    #[error(transparent)]
    Input(#[from] InputError),
    /// The files of a batch cannot be written.
    #[error(transparent)]
    Output(#[from] OutputError),
    /// The failure policy cannot be understood.
    #[error(transparent)]
    Rule(#[from] InvalidRule),
    /// Most attempts fail, and have done so for too long. It ends the work, and not as a failure: what is left is put
    /// off.
    #[error("{}", .0.message)]
    Circuit(OpenCircuit),
    /// The process was told to stop.
    #[error("the run was told to stop; a new worker goes on where it ended")]
    Interrupted,
    /// A part of this program ended that must not end.
    #[error("a part of the worker broke: {0}")]
    Broken(String),
}

impl Classified for RunFailure {
    fn category(&self) -> FailureCategory {
        match self {
            Self::Source(error) => error.category(),
            Self::Chunk(error) => error.category(),
            Self::Embed(error) => error.category(),
            Self::NotCarriedOver { error, .. } => error.category(),
            Self::Store(error) => error.category(),
            Self::Input(error) => error.category(),
            Self::Output(error) => error.category(),
            Self::Rule(error) => error.category(),
            // what will be as it is the next time must not be tried again
            Self::ListingPartial { first, .. } => match first.category() {
                category @ (FailureCategory::Authentication | FailureCategory::Configuration) => category,
                _ => FailureCategory::Transient,
            },
            Self::Circuit(_) | Self::Interrupted => FailureCategory::Transient,
            Self::Broken(_) => FailureCategory::Unknown,
        }
    }

    fn reason(&self) -> &'static str {
        match self {
            Self::Source(error) => error.reason(),
            Self::Chunk(error) => error.reason(),
            Self::Embed(error) => error.reason(),
            Self::NotCarriedOver { error, .. } => error.reason(),
            Self::Store(error) => error.reason(),
            Self::Input(error) => error.reason(),
            Self::Output(error) => error.reason(),
            Self::Rule(error) => error.reason(),
            Self::ListingPartial { .. } => "ListingPartial",
            Self::Circuit(_) => CIRCUIT_OPEN,
            Self::Interrupted => "Interrupted",
            Self::Broken(_) => "WorkerBroken",
        }
    }
}
