//! Vectors from a server with an OpenAI-compatible `POST /embeddings`. Sends HTTP requests through [`asker`].
//!
//! Texts are counted and cut ([`cl100k`]), packed into requests ([`pack`]) and asked for ([`asker`]): when a request may
//! go is up to [`budget`] and [`pause`], what follows from a refusal to [`refusal`]. A request whose texts are refused is
//! halved until the text that is to blame stands alone.

mod asker;
mod budget;
mod cl100k;
mod client;
mod error;
mod limits;
mod pack;
mod patience;
mod pause;
mod refusal;
mod setup;
mod wire;

use std::sync::Arc;

use futures::{
    FutureExt, TryStreamExt,
    future::BoxFuture,
    stream::{self, StreamExt},
};
use jiff::Timestamp;
use lexigram_api::{
    contract::{Embedding, ProviderRequests},
    embedding::OpenAISettings,
};
use tokio::task::spawn_blocking;

pub(crate) use budget::share;
pub use error::ProviderError;
pub use patience::Patience;

use super::{Asked, EmbedError, Embedded, Embedder, Outcomes, TokenCounter};
use crate::report::Tracker;
use asker::{ANSWER_BYTES, Asker, Refusal};
use cl100k::Cl100k;
use client::Client;
use pack::{Item, Limits, at_least_one, pack};
use setup::Files;

/// Most texts that are given at once, however many requests may be open.
const BATCH_TEXTS: usize = 4096;

/// How the fingerprint of every server's model begins; host, model and dimension follow.
pub const SERVER: &str = "openai:";

/// A provider that is asked over the network.
pub struct OpenAI {
    asker: Asker,
    tokens: Arc<Cl100k>,
    limits: Limits,
    batch_texts: usize,
    dimension: usize,
    max_tokens: usize,
    truncate: bool,
    fingerprint: String,
}

/// The outcomes of some texts, each with the text's position.
type Settled = Vec<(usize, Result<Embedded, EmbedError>)>;

impl OpenAI {
    /// Connects to the provider that a work spec asks for. Sends a request only if the dimension is not set; that it has
    /// to wait for the answer shows in the `tracker`.
    ///
    /// # Errors
    /// If a setting, a key or a certificate cannot be used, or the provider does not tell its dimension.
    pub async fn open(
        embedding: &Embedding,
        settings: &OpenAISettings,
        patience: Patience,
        tracker: &Tracker,
    ) -> Result<Self, EmbedError> {
        let client = Client::open(settings, Files::of(&embedding.provider))?;
        let asker = Asker::new(client, settings.clone(), embedding.shards, patience);
        let dimension = {
            let asked = || Asked { rate_limited_until: asker.paused_until(), requests: Some(asker.requests()) };
            tracker.watch(asked, asker.dimension()).await?
        };
        let tokens = spawn_blocking(Cl100k::load).await.map_err(broken)?;
        let limits = Limits::new(settings, dimension, ANSWER_BYTES);
        Ok(Self {
            fingerprint: format!("{SERVER}{}/{}/{dimension}", asker.host(), settings.model),
            batch_texts: limits
                .items
                .saturating_mul(at_least_one(settings.max_concurrent_requests))
                .min(BATCH_TEXTS.max(limits.items)),
            // a text that fills a request is as long as a text can be
            max_tokens: at_least_one(settings.max_tokens_per_text).min(limits.tokens),
            truncate: embedding.truncate,
            tokens: Arc::new(tokens),
            asker,
            limits,
            dimension,
        })
    }

    async fn embed_all(&self, texts: Vec<String>) -> Outcomes {
        let total = texts.len();
        let (tokens, limit, truncate) = (Arc::clone(&self.tokens), self.max_tokens, self.truncate);
        let (items, mut settled) =
            spawn_blocking(move || prepare(&tokens, texts, limit, truncate)).await.map_err(broken)?;
        let requests = pack(items, self.limits);
        // the requests that are open at once are counted by the asker, for all calls together
        let answered = stream::iter(requests).map(|request| self.settle(request)).buffer_unordered(usize::MAX);
        settled.extend(answered.try_collect::<Vec<Settled>>().await?.into_iter().flatten());
        settled.sort_unstable_by_key(|&(position, _)| position);
        debug_assert_eq!(settled.len(), total, "a text is lost");
        Ok(settled.into_iter().map(|(_, outcome)| outcome).collect())
    }

    /// The outcomes of one request's texts, in halves if the provider will not take them together.
    async fn settle(&self, request: Vec<Item>) -> Result<Settled, EmbedError> {
        let mut settled = Settled::with_capacity(request.len());
        let mut waiting = vec![request];
        while let Some(mut items) = waiting.pop() {
            let outcome = match self.asker.ask(&items).await {
                Ok(outcomes) => {
                    let outcomes = outcomes.into_iter().map(|outcome| outcome.map_err(EmbedError::from));
                    settled.extend(items.into_iter().map(|item| item.position).zip(outcomes));
                    continue;
                }
                Err(Refusal::Error(error)) => error,
                Err(Refusal::Split { message, too_long }) => match self.asker.prove().await {
                    Err(error) => error,
                    Ok(()) if items.len() > 1 => {
                        waiting.push(items.split_off(items.len() / 2));
                        waiting.push(items);
                        continue;
                    }
                    Ok(()) if too_long && self.truncate => match self.shortened(&items).await? {
                        Some(shorter) => {
                            waiting.push(shorter);
                            continue;
                        }
                        None => ProviderError::TextTooLong(message),
                    },
                    Ok(()) if too_long => ProviderError::TextTooLong(message),
                    Ok(()) => ProviderError::TextRefused(message),
                },
            };
            let error = EmbedError::from(outcome);
            if error.ends_run() {
                return Err(error);
            }
            settled.extend(items.into_iter().map(|item| (item.position, Err(error.clone()))));
        }
        Ok(settled)
    }

    /// The text with a quarter of its tokens cut off, since the provider counts more of them than we do; nothing where
    /// that leaves no text.
    async fn shortened(&self, items: &[Item]) -> Result<Option<Vec<Item>>, EmbedError> {
        let (tokens, items) = (Arc::clone(&self.tokens), items.to_vec());
        let shorten = move |item: Item| {
            let limit = item.tokens - item.tokens.div_ceil(4);
            let text = tokens.cut(&item.text, limit)?.to_owned();
            Ok((!text.trim().is_empty()).then_some(Item { text, tokens: limit, ..item }))
        };
        spawn_blocking(move || items.into_iter().map(shorten).collect()).await.map_err(broken)?
    }
}

impl Embedder for OpenAI {
    fn embed(&self, texts: Vec<String>) -> BoxFuture<'_, Outcomes> {
        self.embed_all(texts).boxed()
    }

    fn batch_texts(&self) -> usize {
        self.batch_texts
    }

    fn dimension(&self) -> usize {
        self.dimension
    }

    fn max_tokens(&self) -> usize {
        self.max_tokens
    }

    fn tokens(&self) -> Arc<dyn TokenCounter> {
        Arc::clone(&self.tokens) as Arc<dyn TokenCounter>
    }

    fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    fn rate_limited_until(&self) -> Option<Timestamp> {
        self.asker.paused_until()
    }

    fn requests(&self) -> Option<ProviderRequests> {
        Some(self.asker.requests())
    }
}

/// The texts that can be sent, and the outcomes of those that cannot.
fn prepare(tokens: &Cl100k, texts: Vec<String>, limit: usize, truncate: bool) -> (Vec<Item>, Settled) {
    let (mut items, mut settled) = (Vec::with_capacity(texts.len()), Settled::new());
    for (position, text) in texts.into_iter().enumerate() {
        match prepare_one(tokens, text, limit, truncate) {
            Ok((text, tokens)) => items.push(Item { position, text, tokens }),
            Err(error) => settled.push((position, Err(error))),
        }
    }
    (items, settled)
}

fn prepare_one(tokens: &Cl100k, text: String, limit: usize, truncate: bool) -> Result<(String, usize), EmbedError> {
    if text.trim().is_empty() {
        return Err(ProviderError::EmptyText.into());
    }
    match tokens.count(&text)? {
        count if count <= limit => Ok((text, count)),
        _ if truncate => Ok((tokens.cut(&text, limit)?.to_owned(), limit)),
        count => Err(EmbedError::TextTooLong { tokens: count, limit }),
    }
}

fn broken(error: tokio::task::JoinError) -> EmbedError {
    EmbedError::Computation(error.to_string())
}
