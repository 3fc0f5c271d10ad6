//! What can go wrong with cutting text. No I/O.

use lexigram_api::failure::FailureCategory;
use thiserror::Error;

use crate::failure::Classified;

/// Why text could not be cut.
#[derive(Debug, Error)]
pub enum ChunkError {
    /// Each chunk would repeat all of the one before.
    #[error("spec.chunking.overlapTokens: {overlap} must be less than the {max_tokens} tokens that a chunk may have")]
    Overlap {
        /// Overlap in tokens.
        overlap: usize,
        /// Most tokens of a chunk, the model's limit included.
        max_tokens: usize,
    },
    /// The tokenizer cannot read the text.
    #[error("the text cannot be turned into tokens: {0}")]
    Tokenization(String),
    /// The grammar of a programming language does not fit the program.
    #[error("source code cannot be cut along its grammar: {0}")]
    Grammar(String),
}

impl Classified for ChunkError {
    fn category(&self) -> FailureCategory {
        match self {
            Self::Overlap { .. } => FailureCategory::Configuration,
            Self::Tokenization(_) => FailureCategory::InvalidInput,
            Self::Grammar(_) => FailureCategory::Unknown,
        }
    }

    fn reason(&self) -> &'static str {
        match self {
            Self::Overlap { .. } => "InvalidChunking",
            Self::Tokenization(_) => "TokenizationFailed",
            Self::Grammar(_) => "GrammarUnusable",
        }
    }
}
