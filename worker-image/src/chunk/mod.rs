//! Text in, chunks out: cut so that each fits the embedding model. No I/O.

mod error;
mod grammar;
mod headings;
mod splitter;
#[cfg(test)]
mod testing;
mod tokens;

use std::{ops::Range, sync::Arc};

pub use error::ChunkError;
use lexigram_api::document::{Chunking, ChunkingStrategy};

use crate::{
    embed::TokenCounter,
    parse::{Markup, Parsed},
};
use splitter::Splitter;

/// Part of every document's revision: changes whenever the same text is cut in another way.
pub const CHUNKER_VERSION: &str = "chunk-1";

/// A piece of a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chunk {
    /// Position within the document, from 0.
    pub ordinal: i32,
    /// The text: the document's text at [`bytes`](Self::bytes).
    pub text: String,
    /// Headings that the chunk stands under, outermost first.
    pub headings: Vec<String>,
    /// Page on which the chunk begins, from 1; none where the format has no pages.
    pub page: Option<i32>,
    /// Where the chunk stands in the document's text, in bytes.
    pub bytes: Range<usize>,
    /// Tokens of the text, without those that the model adds.
    pub tokens: i32,
}

/// Cuts documents.
pub trait Chunker: Send + Sync {
    /// The document's chunks in order. Together they hold all of its text but white space between them; neighbours
    /// may overlap.
    ///
    /// # Errors
    /// If the tokenizer cannot read the text.
    fn chunk(&self, parsed: &Parsed) -> Result<Vec<Chunk>, ChunkError>;
}

/// The chunker for these settings and a model that reads up to `model_max_tokens` tokens.
///
/// # Errors
/// If the overlap does not leave room for anything new.
pub fn open(
    chunking: &Chunking,
    tokens: Arc<dyn TokenCounter>,
    model_max_tokens: usize,
) -> Result<Box<dyn Chunker>, ChunkError> {
    let asked = usize::try_from(chunking.max_tokens).unwrap_or(0);
    // the model sees the tokens that it adds besides each text's own
    let max_tokens = asked.min(model_max_tokens.saturating_sub(tokens.added()));
    let overlap = usize::try_from(chunking.overlap_tokens).unwrap_or(0);
    Ok(Box::new(StrategyChunker { strategy: chunking.strategy, splitter: Splitter::new(tokens, max_tokens, overlap)? }))
}

/// Chooses the way of cutting for each document.
struct StrategyChunker {
    strategy: ChunkingStrategy,
    splitter: Splitter,
}

impl Chunker for StrategyChunker {
    fn chunk(&self, parsed: &Parsed) -> Result<Vec<Chunk>, ChunkError> {
        let markup = match self.strategy {
            ChunkingStrategy::Auto => parsed.markup,
            ChunkingStrategy::Markdown => Markup::Markdown,
            ChunkingStrategy::Plain => Markup::Plain,
        };
        self.splitter.chunk(parsed, markup)
    }
}
