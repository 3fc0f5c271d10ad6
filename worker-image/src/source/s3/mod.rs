//! Objects of a bucket. A document's name is its key; its version is its entity tag, so that what has not changed is
//! not fetched again. Sends HTTP requests; reads files with credentials.

mod answer;
mod credentials;
mod identity;
mod server;
#[cfg(test)]
mod tests;

use futures::{
    FutureExt, StreamExt, TryStreamExt,
    future::BoxFuture,
    stream::{self, BoxStream},
};
use lexigram_api::{contract::NetworkAccess, source::S3Settings};
use rusty_s3::actions::{ListObjectsV2, ListObjectsV2Response, list_objects_v2::ListObjectsContent};

use super::{Fetched, Listed, Source, SourceError, names::NameFilter, patience::patiently};
use server::Server;

/// Most bytes of a page of the listing: 1000 keys of 1024 bytes, each byte escaped, and what surrounds them.
const PAGE_BYTES: u64 = 16 * 1024 * 1024;

/// The objects of a bucket below a prefix.
pub(super) struct Bucket {
    server: Server,
    prefix: String,
    filter: NameFilter,
}

/// The domain of AWS in a region.
fn domain(region: &str) -> &'static str {
    if region.starts_with("cn-") { "amazonaws.com.cn" } else { "amazonaws.com" }
}

/// Where a listing stands: at the page of a token, or at the first one.
type Place = Option<String>;

impl Bucket {
    pub(super) fn open(
        settings: &S3Settings,
        credentials_directory: Option<&str>,
        access: &NetworkAccess,
        filter: NameFilter,
    ) -> Result<Self, SourceError> {
        let server = Server::open(settings, credentials_directory, access)?;
        Ok(Self { server, prefix: settings.prefix.clone(), filter })
    }

    /// One page of the listing, and where the next one begins.
    async fn page(&self, place: Place) -> Result<(Vec<Listed>, Option<Place>), SourceError> {
        let page = patiently(|| self.ask_for_page(place.as_deref()).boxed()).await?;
        let listed = page.contents.into_iter().filter(|object| self.is_document(object)).map(listed).collect();
        if page.next_continuation_token.is_some() && page.next_continuation_token == place {
            return Err(SourceError::Rejected { answer: "the same page of its listing for ever".to_owned() });
        }
        Ok((listed, page.next_continuation_token.map(Some)))
    }

    async fn ask_for_page(&self, token: Option<&str>) -> Result<ListObjectsV2Response, SourceError> {
        let response = self.server.list(&self.prefix, token).await?;
        let body = super::web::read(response, PAGE_BYTES).await?;
        ListObjectsV2::parse_response(&String::from_utf8_lossy(&body))
            .map_err(|error| SourceError::Rejected { answer: format!("with no listing of a bucket ({error})") })
    }

    /// Whether it is wanted. An empty object whose key ends in `/` only makes a folder show.
    fn is_document(&self, object: &ListObjectsContent) -> bool {
        let folder = object.key.ends_with('/') && object.size == Some(0);
        !folder && self.filter.accepts(&object.key)
    }
}

fn listed(object: ListObjectsContent) -> Listed {
    let dated = || object.last_modified.map(|time| format!("{time} {}", object.size.unwrap_or(0)));
    Listed { name: object.key, version: object.etag.filter(|etag| !etag.is_empty()).or_else(dated) }
}

impl Source for Bucket {
    fn list(&self) -> BoxStream<'_, Result<Listed, SourceError>> {
        let pages = stream::try_unfold(Some(None), move |place| async move {
            match place {
                Some(place) => self.page(place).await.map(Some),
                None => Ok(None),
            }
        });
        pages.map_ok(|listed| stream::iter(listed.into_iter().map(Ok))).try_flatten().boxed()
    }

    fn fetch<'a>(&'a self, name: &'a str, limit: u64) -> BoxFuture<'a, Result<Fetched, SourceError>> {
        async move {
            if !name.starts_with(&self.prefix) || !self.filter.accepts(name) {
                let detail = "left out by spec.source.s3.prefix, spec.source.include or exclude".to_owned();
                return Err(SourceError::Gone { detail });
            }
            super::web::take_in(self.server.get(name).await?, limit).await
        }
        .boxed()
    }
}
