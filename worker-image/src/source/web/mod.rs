//! Documents of web servers: single ones by URL. A document's name is its URL. Sends HTTP requests.

mod answer;
mod client;
mod download;
#[cfg(test)]
mod tests;

use futures::{
    FutureExt, StreamExt,
    future::BoxFuture,
    stream::{self, BoxStream},
};
use lexigram_api::contract::NetworkAccess;
use reqwest::Method;

use super::{Fetched, Listed, Source, SourceError, names::NameFilter};
use client::{Client, parse};

pub(super) use client::{connection, read, read_some};
pub(crate) use download::Download;

/// Documents whose versions are asked for at once.
const CONCURRENCY: usize = 4;

/// A list of URLs.
pub(super) struct Web {
    urls: Vec<String>,
    client: Client,
}

impl Web {
    pub(super) fn open(
        mut urls: Vec<String>,
        headers_directory: Option<&str>,
        access: &NetworkAccess,
        filter: &NameFilter,
    ) -> Result<Self, SourceError> {
        urls.retain(|url| filter.accepts(url));
        Ok(Self { urls, client: Client::open(access, headers_directory)? })
    }

    /// A document with its version, if the server tells that without sending the document. What is wrong with the
    /// document shows when it is fetched.
    async fn look(&self, url: &str) -> Listed {
        let head = async { self.client.request(&Method::HEAD, &parse(url)?, true).await };
        let version = head.await.ok().and_then(|answer| answer::version(answer.response.headers()));
        Listed { name: url.to_owned(), version }
    }
}

impl Source for Web {
    fn list(&self) -> BoxStream<'_, Result<Listed, SourceError>> {
        stream::iter(&self.urls).map(|url| self.look(url)).buffered(CONCURRENCY).map(Ok).boxed()
    }

    fn fetch<'a>(&'a self, name: &'a str, limit: u64) -> BoxFuture<'a, Result<Fetched, SourceError>> {
        async move {
            match self.urls.iter().any(|url| url == name) {
                true => self.client.download(&parse(name)?, limit).await,
                false => Err(SourceError::Gone { detail: "no longer in spec.source.http.urls".to_owned() }),
            }
        }
        .boxed()
    }
}
