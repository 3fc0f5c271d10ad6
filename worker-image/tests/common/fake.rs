//! An embedder that needs no model.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

use futures::{
    FutureExt,
    future::{self, BoxFuture},
};
use lexigram_worker::embed::{EmbedError, Embedded, Embedder, Outcomes, ProviderError, TokenCounter};
use tokenizers::{Tokenizer, models::wordlevel::WordLevel, pre_tokenizers::whitespace::Whitespace};

/// Numbers in a vector.
pub const DIMENSION: usize = 4;

/// Vectors that depend on nothing but the text's length. A text that holds the word "poison" has none.
pub struct FakeEmbedder {
    tokenizer: Arc<Tokenizer>,
    fingerprint: &'static str,
    /// Texts that were embedded.
    pub embedded: AtomicUsize,
    /// While true, poison is good.
    pub antidote: AtomicBool,
    /// While true, every call fails as a whole.
    pub down: AtomicBool,
    /// While true, every call fails as one to a server that is not there.
    pub outage: AtomicBool,
    /// How many texts are best given at once.
    pub batch_texts: AtomicUsize,
    /// Texts of each call.
    pub calls: Mutex<Vec<Vec<String>>>,
    /// Called before each call.
    pub before: Mutex<Option<Box<dyn FnMut() + Send>>>,
}

impl FakeEmbedder {
    pub fn new() -> Arc<Self> {
        Self::of_model("fake@1")
    }

    pub fn of_model(fingerprint: &'static str) -> Arc<Self> {
        let words = WordLevel::builder().vocab([("?".to_owned(), 0)].into_iter().collect()).unk_token("?".to_owned());
        let mut tokenizer = Tokenizer::new(words.build().unwrap());
        tokenizer.with_pre_tokenizer(Some(Whitespace {}));
        Arc::new(Self {
            tokenizer: Arc::new(tokenizer),
            fingerprint,
            embedded: AtomicUsize::new(0),
            antidote: AtomicBool::new(false),
            down: AtomicBool::new(false),
            outage: AtomicBool::new(false),
            batch_texts: AtomicUsize::new(64),
            calls: Mutex::default(),
            before: Mutex::new(None),
        })
    }

    /// Texts that were embedded since the last time.
    pub fn take_embedded(&self) -> usize {
        self.embedded.swap(0, Ordering::Relaxed)
    }
}

impl Embedder for FakeEmbedder {
    fn embed(&self, texts: Vec<String>) -> BoxFuture<'_, Outcomes> {
        if let Some(before) = &mut *self.before.lock().unwrap() {
            before();
        }
        self.calls.lock().unwrap().push(texts.clone());
        if self.outage.load(Ordering::Relaxed) {
            let error = ProviderError::Unavailable("HTTP 503".to_owned());
            return future::ready(Err(error.into())).boxed();
        }
        if self.down.load(Ordering::Relaxed) {
            return future::ready(Err(EmbedError::Computation("the provider is down".to_owned()))).boxed();
        }
        self.embedded.fetch_add(texts.len(), Ordering::Relaxed);
        let poisonous = !self.antidote.load(Ordering::Relaxed);
        let outcome = |text: String| match poisonous && text.contains("poison") {
            true => Err(EmbedError::Computation("a number is not finite".to_owned())),
            false => {
                let length = f32::from(u16::try_from(text.len()).unwrap());
                Ok(Embedded { vector: vec![1.0, length, 0.0, -0.5], tokens: 1, cached: false })
            }
        };
        future::ready(Ok(texts.into_iter().map(outcome).collect())).boxed()
    }

    fn batch_texts(&self) -> usize {
        self.batch_texts.load(Ordering::Relaxed)
    }

    fn dimension(&self) -> usize {
        DIMENSION
    }

    fn max_tokens(&self) -> usize {
        16
    }

    fn tokens(&self) -> Arc<dyn TokenCounter> {
        Arc::clone(&self.tokenizer) as Arc<dyn TokenCounter>
    }

    fn fingerprint(&self) -> &str {
        self.fingerprint
    }
}
