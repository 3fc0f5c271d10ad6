//! Texts in, vectors out: the trait that embedding providers share. No I/O here.

mod local;

use std::sync::Arc;

use lexigram_api::failure::FailureCategory;
use thiserror::Error;
use tokenizers::Tokenizer;

pub use local::LocalModel;

use crate::failure::Classified;

/// Turns texts into vectors.
pub trait Embedder: Send + Sync {
    /// One vector of [`dimension`](Self::dimension) finite numbers a text, in the order of the texts. Blocks the thread.
    ///
    /// # Errors
    /// If the model cannot compute; then no text has a vector.
    fn embed(&self, texts: &[String]) -> Result<Vec<Vec<f32>>, EmbedError>;
    /// Numbers in a vector.
    fn dimension(&self) -> usize;
    /// Most tokens of a text that the model sees, its special tokens included; what is longer is cut.
    fn max_tokens(&self) -> usize;
    /// The model's tokenizer, which neither cuts nor pads.
    fn tokenizer(&self) -> Arc<Tokenizer>;
    /// Equal for two embedders only if they give equal vectors, for instance `all-MiniLM-L6-v2@53aa5117…/mean/normalized/256`.
    fn fingerprint(&self) -> &str;
}

/// Why texts could not be embedded.
#[derive(Debug, Error)]
pub enum EmbedError {
    /// There is no such model.
    #[error(
        "embedding.embedded.model: no model '{model}' in {folder} (file {file} is missing); use a model that the worker image holds, or run `just model` and set LEXIGRAM_MODELS when working by hand"
    )]
    ModelNotFound {
        /// Name of the model.
        model: String,
        /// Folder that was searched.
        folder: String,
        /// The first file that is missing.
        file: String,
    },
    /// A file of the model does not say what it should.
    #[error("embedding.embedded.model: file {file} of model '{model}' cannot be used: {problem}")]
    ModelUnusable {
        /// Name of the model.
        model: String,
        /// The file.
        file: String,
        /// What is wrong with it.
        problem: String,
    },
    /// A text could not be turned into tokens.
    #[error("the text cannot be turned into tokens: {0}")]
    Tokenization(String),
    /// The computation failed.
    #[error("the embedding model failed: {0}")]
    Computation(String),
}

impl Classified for EmbedError {
    fn category(&self) -> FailureCategory {
        match self {
            Self::ModelNotFound { .. } | Self::ModelUnusable { .. } => FailureCategory::Configuration,
            Self::Tokenization(_) => FailureCategory::InvalidInput,
            Self::Computation(_) => FailureCategory::Unknown,
        }
    }

    fn reason(&self) -> &'static str {
        match self {
            Self::ModelNotFound { .. } => "ModelNotFound",
            Self::ModelUnusable { .. } => "ModelUnusable",
            Self::Tokenization(_) => "TokenizationFailed",
            Self::Computation(_) => "EmbeddingFailed",
        }
    }
}
