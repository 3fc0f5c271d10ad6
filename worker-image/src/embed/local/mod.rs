//! BERT-family sentence-transformers models on the CPU, by `lexigram-bert`. Reads the model's files once; afterwards
//! no I/O.

use std::{path::Path, sync::Arc};

use lexigram_bert::{Model, ModelError};
use tokenizers::Tokenizer;

use super::{EmbedError, Embedder};

/// A model that is loaded into memory.
pub struct LocalModel(Model);

impl LocalModel {
    /// Loads the model `name` out of the folder `models`.
    ///
    /// # Errors
    /// If a file is missing or cannot be used.
    pub fn load(models: &Path, name: &str) -> Result<Self, EmbedError> {
        let model = name.to_owned();
        Model::load(&models.join(name)).map(Self).map_err(|error| match error {
            ModelError::NotFound { file, .. } => {
                EmbedError::ModelNotFound { model, folder: models.display().to_string(), file }
            }
            ModelError::Unusable { file, problem } => EmbedError::ModelUnusable { model, file, problem },
            ModelError::Tokenization(problem) => EmbedError::Tokenization(problem),
            ModelError::Computation(problem) => EmbedError::Computation(problem),
        })
    }
}

impl Embedder for LocalModel {
    fn embed(&self, texts: &[String]) -> Result<Vec<Vec<f32>>, EmbedError> {
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        self.0.embed(&texts).map_err(|error| match error {
            ModelError::Tokenization(problem) => EmbedError::Tokenization(problem),
            ModelError::Computation(problem) => EmbedError::Computation(problem),
            other => EmbedError::Computation(other.to_string()),
        })
    }

    fn dimension(&self) -> usize {
        self.0.dimension()
    }

    fn max_tokens(&self) -> usize {
        self.0.max_tokens()
    }

    fn tokenizer(&self) -> Arc<Tokenizer> {
        self.0.tokenizer()
    }

    fn fingerprint(&self) -> &str {
        self.0.fingerprint()
    }
}
