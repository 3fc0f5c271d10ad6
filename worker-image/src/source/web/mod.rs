//! Documents of web servers: those of a list, or those that are found on a site. A document's name is its URL. Sends
//! HTTP requests.

mod answer;
mod client;
mod download;
mod links;
mod robots;
mod scope;
mod site;
mod sitemap;
#[cfg(test)]
mod tests;

use futures::{
    FutureExt, StreamExt,
    future::BoxFuture,
    stream::{self, BoxStream},
};
use lexigram_api::{contract::NetworkAccess, source::Crawl};
use reqwest::Method;
use tokio::sync::mpsc;

use super::{Fetched, Listed, Source, SourceError, names::NameFilter, received};
use client::{Client, parse};
use site::Site;

pub(super) use answer::{redirection, refusal};
pub(super) use client::{connection, read, read_some, take_in};
pub(crate) use download::Download;

/// Documents whose versions are asked for at once.
const CONCURRENCY: usize = 4;

/// Found documents that wait for the ledger at the most.
const LISTING_BUFFER: usize = 64;

/// Documents of web servers.
pub(super) struct Web {
    client: Client,
    filter: NameFilter,
    documents: Documents,
}

enum Documents {
    /// These, and no others.
    List(Vec<String>),
    /// What is found on a site.
    Site(Site),
}

impl Web {
    pub(super) fn open(
        urls: &[String],
        crawl: Option<&Crawl>,
        headers_directory: Option<&str>,
        access: &NetworkAccess,
        filter: NameFilter,
    ) -> Result<Self, SourceError> {
        let documents = match crawl {
            Some(crawl) => Documents::Site(Site::new(urls, crawl)?),
            None => Documents::List(urls.iter().filter(|url| filter.accepts(url)).cloned().collect()),
        };
        Ok(Self { client: Client::open(access, headers_directory)?, filter, documents })
    }

    /// The content of a document, if it still is one of these.
    async fn fetch_known(&self, name: &str, limit: u64) -> Result<Fetched, SourceError> {
        let gone = |detail: &str| SourceError::Gone { detail: detail.to_owned() };
        match &self.documents {
            Documents::List(urls) if urls.iter().any(|url| url == name) => {
                let answer = self.client.request(&Method::GET, &parse(name)?, true).await?;
                take_in(answer.response, limit).await
            }
            Documents::List(_) => Err(gone("no longer in spec.source.http.urls")),
            Documents::Site(site) => {
                let url = parse(name)?;
                if !site.contains(&url) || !self.filter.accepts(name) {
                    return Err(gone("no longer of the site of spec.source.http.urls, or left out"));
                }
                let answer = self.client.request(&Method::GET, &url, false).await?;
                match site.contains(&answer.url) {
                    true => take_in(answer.response, limit).await,
                    false => Err(gone("it has moved to another site")),
                }
            }
        }
    }
}

/// A document with its version, if the server tells that without sending the document. What is wrong with the document
/// shows when it is fetched.
async fn look(client: &Client, name: String) -> Listed {
    // once: a server that is short of time need not be asked for this
    let head = async { client.request_once(&Method::HEAD, &parse(&name)?, false).await };
    let version = head.await.ok().and_then(|answer| answer::version(answer.response.headers()));
    Listed { name, version }
}

impl Source for Web {
    fn list(&self) -> BoxStream<'_, Result<Listed, SourceError>> {
        match &self.documents {
            Documents::List(urls) => {
                let looks = stream::iter(urls).map(|url| look(&self.client, url.clone()));
                looks.buffered(CONCURRENCY).map(Ok).boxed()
            }
            Documents::Site(site) => {
                let (sender, receiver) = mpsc::channel(LISTING_BUFFER);
                let find = async move { site.find(&self.client, &self.filter, &sender).await };
                // one drives the other
                stream::select(received(receiver), find.into_stream().filter_map(async |()| None)).boxed()
            }
        }
    }

    fn fetch<'a>(&'a self, name: &'a str, limit: u64) -> BoxFuture<'a, Result<Fetched, SourceError>> {
        self.fetch_known(name, limit).boxed()
    }
}
