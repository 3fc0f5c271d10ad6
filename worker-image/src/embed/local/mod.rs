//! BERT-family sentence-transformers models on the CPU, by `lexigram-bert`. Reads the model's files once; afterwards
//! no I/O.

use std::{path::Path, sync::Arc};

use futures::{FutureExt, future::BoxFuture};
use lexigram_bert::{Model, ModelError, Sentence};
use tokio::task::spawn_blocking;

use super::{EmbedError, Embedded, Embedder, Outcomes, TokenCounter};

/// Texts that are given at once: enough for every processor to find texts of similar length.
const BATCH_TEXTS: usize = 64;

/// A model that is loaded into memory.
pub struct LocalModel {
    model: Arc<Model>,
    truncate: bool,
}

impl LocalModel {
    /// Loads the model `name` out of its folder. With `truncate` a text that is too long is cut.
    ///
    /// # Errors
    /// If a file is missing or cannot be used.
    pub fn load(folder: &Path, name: &str, truncate: bool) -> Result<Self, EmbedError> {
        let name = name.to_owned();
        match Model::load(folder, &name) {
            Ok(model) => Ok(Self { model: Arc::new(model), truncate }),
            Err(ModelError::NotFound { folder, file }) => {
                Err(EmbedError::ModelNotFound { model: name, folder: folder.display().to_string(), file })
            }
            Err(ModelError::Unusable { file, problem }) => {
                Err(EmbedError::ModelUnusable { model: name, file, problem })
            }
            Err(error) => Err(computation(error)),
        }
    }
}

impl Embedder for LocalModel {
    fn embed(&self, texts: Vec<String>) -> BoxFuture<'_, Outcomes> {
        let (model, truncate) = (Arc::clone(&self.model), self.truncate);
        let embedding = spawn_blocking(move || embed(&model, &texts, truncate));
        async { embedding.await.unwrap_or_else(|error| Err(EmbedError::Computation(error.to_string()))) }.boxed()
    }

    fn batch_texts(&self) -> usize {
        BATCH_TEXTS
    }

    fn dimension(&self) -> usize {
        self.model.dimension()
    }

    fn max_tokens(&self) -> usize {
        self.model.max_tokens()
    }

    fn tokens(&self) -> Arc<dyn TokenCounter> {
        self.model.tokenizer()
    }

    fn fingerprint(&self) -> &str {
        self.model.fingerprint()
    }
}

fn embed(model: &Model, texts: &[String], truncate: bool) -> Outcomes {
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let sentences = model.embed(&texts, truncate).map_err(computation)?;
    let limit = model.max_tokens();
    let outcome = |Sentence { tokens, vector }| match vector {
        Some(vector) => {
            let tokens = i64::try_from(tokens.min(limit)).unwrap_or(i64::MAX);
            Ok(Embedded { vector, tokens, cached: false })
        }
        None => Err(EmbedError::TextTooLong { tokens, limit }),
    };
    Ok(sentences.into_iter().map(outcome).collect())
}

fn computation(error: ModelError) -> EmbedError {
    match error {
        ModelError::Tokenization(problem) => EmbedError::Tokenization(problem),
        ModelError::Computation(problem) => EmbedError::Computation(problem),
        other => EmbedError::Computation(other.to_string()),
    }
}
