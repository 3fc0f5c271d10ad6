//! Why a model cannot be loaded or cannot compute. No I/O.

use std::path::PathBuf;

use thiserror::Error;

/// Why a model cannot be loaded, or texts cannot be embedded.
#[derive(Debug, Error)]
pub enum ModelError {
    /// A file that every model has is not there.
    #[error("file {file} is missing in {}", folder.display())]
    NotFound {
        /// The model's folder.
        folder: PathBuf,
        /// The file, relative to the folder.
        file: String,
    },
    /// A file does not say what it should, or asks for what is not supported.
    #[error("file {file} cannot be used: {problem}")]
    Unusable {
        /// The file, relative to the model's folder.
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
