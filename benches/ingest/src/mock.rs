//! An embedder that costs nothing: what is measured with it is everything else. No I/O.

use std::sync::Arc;

use futures::{FutureExt, future, future::BoxFuture};
use lexigram_worker::embed::{Embedded, Embedder, LocalModel, Outcomes, TokenCounter};

/// The same vector for every text. Tokens are counted as by the model whose place it takes.
pub struct MockEmbedder {
    model: LocalModel,
    fingerprint: String,
}

impl MockEmbedder {
    /// In the place of this model.
    pub fn new(model: LocalModel) -> Self {
        let fingerprint = format!("mock of {}", model.fingerprint());
        Self { model, fingerprint }
    }
}

impl Embedder for MockEmbedder {
    fn embed(&self, texts: Vec<String>) -> BoxFuture<'_, Outcomes> {
        let vector = vec![0.5; self.dimension()];
        let embedded = |_| Ok(Embedded { vector: vector.clone(), tokens: 0, cached: false });
        future::ready(Ok(texts.into_iter().map(embedded).collect())).boxed()
    }

    fn batch_texts(&self) -> usize {
        self.model.batch_texts()
    }

    fn dimension(&self) -> usize {
        self.model.dimension()
    }

    fn max_tokens(&self) -> usize {
        self.model.max_tokens()
    }

    fn tokens(&self) -> Arc<dyn TokenCounter> {
        self.model.tokens()
    }

    fn fingerprint(&self) -> &str {
        &self.fingerprint
    }
}
