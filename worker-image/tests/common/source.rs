//! A source that is a fake: documents as they are told to be.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
};

use futures::{
    FutureExt, StreamExt,
    future::{self, BoxFuture},
    stream::BoxStream,
};
use lexigram_worker::source::{Fetched, Listed, Source, SourceError};

/// What fetching a document comes to.
#[derive(Clone, Copy, Debug)]
pub enum Answer {
    /// It holds this text.
    Text(&'static str),
    /// The server cannot answer.
    Unavailable,
    /// The server does not answer in time.
    Timeout,
}

/// Documents, and how often one was fetched. Clones are the same source.
#[derive(Clone, Default)]
pub struct FakeSource {
    pub documents: Arc<Mutex<BTreeMap<String, Answer>>>,
    pub fetched: Arc<Mutex<Vec<String>>>,
    /// While true, a listing breaks off after its first document.
    pub listing_breaks: Arc<AtomicBool>,
}

impl FakeSource {
    pub fn set(&self, name: &str, answer: Answer) {
        self.documents.lock().unwrap().insert(name.to_owned(), answer);
    }

    pub fn remove(&self, name: &str) {
        self.documents.lock().unwrap().remove(name);
    }

    /// Names in the order in which they were fetched since the last time.
    pub fn take_fetched(&self) -> Vec<String> {
        std::mem::take(&mut self.fetched.lock().unwrap())
    }
}

impl Source for FakeSource {
    fn list(&self) -> BoxStream<'_, Result<Listed, SourceError>> {
        let names: Vec<String> = self.documents.lock().unwrap().keys().cloned().collect();
        let mut listed: Vec<_> = names.into_iter().map(|name| Ok(Listed { name, version: None })).collect();
        if self.listing_breaks.load(Ordering::Relaxed) {
            listed.truncate(1);
            listed.push(Err(SourceError::Connection("reset by peer".to_owned())));
        }
        futures::stream::iter(listed).boxed()
    }

    fn fetch<'a>(&'a self, name: &'a str, _limit: u64) -> BoxFuture<'a, Result<Fetched, SourceError>> {
        self.fetched.lock().unwrap().push(name.to_owned());
        let fetched = match self.documents.lock().unwrap().get(name) {
            Some(Answer::Text(text)) => Ok(Fetched { content: text.as_bytes().to_vec().into(), media_type: None }),
            Some(Answer::Unavailable) => Err(SourceError::ServerError { status: 503 }),
            Some(Answer::Timeout) => Err(SourceError::Timeout { seconds: 30 }),
            None => Err(SourceError::Gone { detail: "HTTP 404".to_owned() }),
        };
        future::ready(fetched).boxed()
    }
}
