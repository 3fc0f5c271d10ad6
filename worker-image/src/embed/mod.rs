//! Texts in, vectors out: the trait that embedding providers share, and the choice among them.

mod cached;
mod local;
mod openai;
mod tokens;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use futures::future::BoxFuture;
use jiff::Timestamp;
use lexigram_api::{
    contract::{Embedding, EmbeddingProvider, ProviderRequests},
    failure::FailureCategory,
};
use thiserror::Error;
use tokio::task::spawn_blocking;

pub use cached::CachedEmbedder;
pub use local::LocalModel;
pub(crate) use openai::share;
pub use openai::{OpenAI, Patience, ProviderError, SERVER};
pub use tokens::TokenCounter;

use crate::{failure::Classified, report::Tracker};

/// Opens the provider that a work spec asks for; `models` is the folder with one folder a local model. A provider that
/// tells to slow down at once is waited for, which shows in the `tracker`.
///
/// # Errors
/// If the provider cannot be used as it is set up.
pub async fn open(embedding: &Embedding, models: &Path, tracker: &Tracker) -> Result<Arc<dyn Embedder>, EmbedError> {
    match &embedding.provider {
        EmbeddingProvider::Local { model, directory } => {
            let folder = directory.as_ref().map_or_else(|| models.join(model), PathBuf::from);
            let (model, truncate) = (model.clone(), embedding.truncate);
            let loading = spawn_blocking(move || LocalModel::load(&folder, &model, truncate));
            Ok(Arc::new(loading.await.unwrap_or_else(|error| Err(EmbedError::Computation(error.to_string())))?))
        }
        EmbeddingProvider::OpenAI { settings, .. } => {
            Ok(Arc::new(OpenAI::open(embedding, settings, Patience::default(), tracker).await?))
        }
    }
}

/// What became of each text, in the order of the texts; or why the provider takes none of them.
pub type Outcomes = Result<Vec<Result<Embedded, EmbedError>>, EmbedError>;

/// The vector of a text.
#[derive(Clone, Debug, PartialEq)]
pub struct Embedded {
    /// [`Embedder::dimension`] finite numbers.
    pub vector: Vec<f32>,
    /// Tokens that the provider has worked through for it; 0 if the cache held it.
    pub tokens: i64,
    /// Whether the cache held it.
    pub cached: bool,
}

/// Turns texts into vectors.
pub trait Embedder: Send + Sync {
    /// One outcome a text, in order. An error of the whole call says that no text was embedded; where it
    /// [ends the run](EmbedError::ends_run), the next call would not do better. Waiting for a provider that has told to
    /// slow down, and trying again what may pass, is done within. A text with too many tokens is cut if the work spec
    /// says so, and has an error of its own otherwise. Cancelled by dropping.
    fn embed(&self, texts: Vec<String>) -> BoxFuture<'_, Outcomes>;
    /// How many texts are best given at once: fewer leave the provider idle, more are worked through in turn.
    fn batch_texts(&self) -> usize;
    /// Numbers in a vector.
    fn dimension(&self) -> usize;
    /// Most tokens of a text that the model sees, those that it adds included.
    fn max_tokens(&self) -> usize;
    /// How the model counts tokens.
    fn tokens(&self) -> Arc<dyn TokenCounter>;
    /// Equal for two embedders only if they give equal vectors, for instance `all-MiniLM-L6-v2@53aa5117…/mean/normalized/256`.
    fn fingerprint(&self) -> &str;
    /// When the provider is asked again, while it has told to slow down.
    fn rate_limited_until(&self) -> Option<Timestamp> {
        None
    }
    /// How the server has been asked so far; nothing for a model of its own.
    fn requests(&self) -> Option<ProviderRequests> {
        None
    }
    /// Both of these.
    fn asked(&self) -> Asked {
        Asked { rate_limited_until: self.rate_limited_until(), requests: self.requests() }
    }
}

/// How an embedding provider has been asked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Asked {
    /// When it is asked again, while it has told to slow down.
    pub rate_limited_until: Option<Timestamp>,
    /// Its requests so far, if it is a server.
    pub requests: Option<ProviderRequests>,
}

/// Why texts could not be embedded.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum EmbedError {
    /// There is no such model.
    #[error(
        "embedding.embedded.model: no model '{model}' in {folder} (the file {file} is missing); use a model that the worker image holds, or run `just model` and set LEXIGRAM_MODELS when working by hand"
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
    /// A store was filled by a server, and nothing says where it is.
    #[error("the vectors were made by {model}: give the server's URL with --embedding-url")]
    ServerNeeded {
        /// Fingerprint of the model.
        model: String,
    },
    /// A text has more tokens than the model takes.
    #[error(
        "the text has {tokens} tokens, and the model takes {limit}: shorten it, or set spec.embedding.truncate to true"
    )]
    TextTooLong {
        /// Tokens of the text.
        tokens: usize,
        /// Most that the model takes.
        limit: usize,
    },
    /// A text could not be turned into tokens.
    #[error("the text cannot be turned into tokens: {0}")]
    Tokenization(String),
    /// The computation failed.
    #[error("the embedding model failed: {0}")]
    Computation(String),
    /// A provider on the network gave no vector.
    #[error(transparent)]
    Provider(#[from] ProviderError),
}

impl EmbedError {
    /// Whether no other text would do better, so that the run ends at once instead of failing text by text.
    #[must_use]
    pub fn ends_run(&self) -> bool {
        matches!(self.category(), FailureCategory::Authentication | FailureCategory::Configuration)
    }
}

impl Classified for EmbedError {
    fn category(&self) -> FailureCategory {
        match self {
            Self::ModelNotFound { .. } | Self::ModelUnusable { .. } | Self::ServerNeeded { .. } => {
                FailureCategory::Configuration
            }
            Self::TextTooLong { .. } | Self::Tokenization(_) => FailureCategory::InvalidInput,
            Self::Computation(_) => FailureCategory::Unknown,
            Self::Provider(error) => error.category(),
        }
    }

    fn reason(&self) -> &'static str {
        match self {
            Self::ModelNotFound { .. } => "ModelNotFound",
            Self::ModelUnusable { .. } => "ModelUnusable",
            Self::ServerNeeded { .. } => "EmbeddingServerNeeded",
            Self::TextTooLong { .. } => "TextTooLong",
            Self::Tokenization(_) => "TokenizationFailed",
            Self::Computation(_) => "EmbeddingFailed",
            Self::Provider(error) => error.reason(),
        }
    }
}
