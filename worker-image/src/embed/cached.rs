//! An embedder that remembers: texts whose vector a cache holds are not embedded, equal texts are embedded once. Reads
//! and writes the cache.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use futures::{FutureExt, future::BoxFuture};
use jiff::Timestamp;
use lexigram_api::contract::ProviderRequests;

use super::{EmbedError, Embedded, Embedder, Outcomes, TokenCounter};
use crate::store::{CacheKey, EmbeddingCache, StoreError};

/// An embedder with a cache before it. A cache that fails is not asked again, and fails nothing else.
pub struct CachedEmbedder {
    inner: Arc<dyn Embedder>,
    cache: Option<Box<dyn EmbeddingCache>>,
    truncate: bool,
    broken: AtomicBool,
}

impl CachedEmbedder {
    /// Puts a cache before an embedder; without one, only equal texts of a call are embedded once. `truncate` says
    /// whether the embedder cuts texts that are too long: their vectors are kept apart.
    #[must_use]
    pub fn new(inner: Arc<dyn Embedder>, cache: Option<Box<dyn EmbeddingCache>>, truncate: bool) -> Self {
        Self { inner, cache, truncate, broken: AtomicBool::new(false) }
    }

    fn cache(&self) -> Option<&dyn EmbeddingCache> {
        self.cache.as_deref().filter(|_| !self.broken.load(Ordering::Relaxed))
    }

    fn give_up(&self, error: &StoreError) {
        tracing::warn!("the embedding cache is not used any longer: {error}");
        self.broken.store(true, Ordering::Relaxed);
    }

    async fn known(&self, keys: &[CacheKey]) -> HashMap<CacheKey, Vec<f32>> {
        let Some(cache) = self.cache() else { return HashMap::new() };
        match cache.get(keys.to_vec()).await {
            Err(error) => {
                self.give_up(&error);
                HashMap::new()
            }
            Ok(found) => {
                let of_model = |vector: &Vec<f32>| vector.len() == self.inner.dimension();
                let found = keys.iter().zip(found);
                found.filter_map(|(&key, vector)| Some((key, vector.filter(of_model)?))).collect()
            }
        }
    }

    async fn remember(&self, embedded: &HashMap<CacheKey, Result<Embedded, EmbedError>>) {
        let Some(cache) = self.cache() else { return };
        let entries: Vec<_> =
            embedded.iter().filter_map(|(&key, outcome)| Some((key, outcome.as_ref().ok()?.vector.clone()))).collect();
        if entries.is_empty() {
            return;
        }
        if let Err(error) = cache.put(self.inner.fingerprint(), entries).await {
            self.give_up(&error);
        }
    }

    async fn embed_unknown(&self, texts: Vec<String>) -> Outcomes {
        let keys: Vec<CacheKey> =
            texts.iter().map(|text| CacheKey::new(self.inner.fingerprint(), self.truncate, text)).collect();
        let known = self.known(&keys).await;
        let (mut asked, mut unknown) = (Vec::new(), Vec::new());
        let mut seen: std::collections::HashSet<CacheKey> = known.keys().copied().collect();
        for (&key, text) in keys.iter().zip(texts) {
            if seen.insert(key) {
                asked.push(key);
                unknown.push(text);
            }
        }
        let mut embedded: HashMap<CacheKey, Result<Embedded, EmbedError>> = HashMap::new();
        if !unknown.is_empty() {
            embedded.extend(asked.iter().copied().zip(self.inner.embed(unknown).await?));
            self.remember(&embedded).await;
        }
        let mut paid = std::collections::HashSet::new();
        let outcome = |key: &CacheKey| {
            let remembered = |vector: &Vec<f32>| Embedded { vector: vector.clone(), tokens: 0, cached: true };
            if let Some(vector) = known.get(key) {
                return Ok(remembered(vector));
            }
            match embedded.get(key) {
                Some(Ok(first)) if paid.insert(*key) => Ok(first.clone()),
                Some(Ok(again)) => Ok(remembered(&again.vector)),
                Some(Err(error)) => Err(error.clone()),
                None => Err(EmbedError::Computation("the provider gave too few vectors".to_owned())),
            }
        };
        Ok(keys.iter().map(outcome).collect())
    }
}

impl Embedder for CachedEmbedder {
    fn embed(&self, texts: Vec<String>) -> BoxFuture<'_, Outcomes> {
        self.embed_unknown(texts).boxed()
    }

    fn batch_texts(&self) -> usize {
        self.inner.batch_texts()
    }

    fn dimension(&self) -> usize {
        self.inner.dimension()
    }

    fn max_tokens(&self) -> usize {
        self.inner.max_tokens()
    }

    fn tokens(&self) -> Arc<dyn TokenCounter> {
        self.inner.tokens()
    }

    fn fingerprint(&self) -> &str {
        self.inner.fingerprint()
    }

    fn rate_limited_until(&self) -> Option<Timestamp> {
        self.inner.rate_limited_until()
    }

    fn requests(&self) -> Option<ProviderRequests> {
        self.inner.requests()
    }
}
