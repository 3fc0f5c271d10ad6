//! Documents that stand in the work spec itself. No I/O.

use futures::{
    FutureExt, StreamExt,
    future::BoxFuture,
    stream::{self, BoxStream},
};
use lexigram_api::contract::InlineDocument;

use super::{Fetched, Listed, Source, SourceError, names::NameFilter};

/// The documents of a work spec.
pub(super) struct Inline {
    documents: Vec<InlineDocument>,
}

impl Inline {
    pub(super) fn new(mut documents: Vec<InlineDocument>, filter: NameFilter) -> Self {
        documents.retain(|document| filter.accepts(&document.name));
        Self { documents }
    }
}

impl Source for Inline {
    fn list(&self) -> BoxStream<'_, Result<Listed, SourceError>> {
        stream::iter(&self.documents).map(|document| Ok(Listed { name: document.name.clone(), version: None })).boxed()
    }

    fn fetch<'a>(&'a self, name: &'a str, limit: u64) -> BoxFuture<'a, Result<Fetched, SourceError>> {
        async move {
            let document = self
                .documents
                .iter()
                .find(|document| document.name == name)
                .ok_or_else(|| SourceError::Gone { detail: "no longer in spec.source.inline".to_owned() })?;
            let content = document.text.clone().into_bytes();
            if u64::try_from(content.len()).unwrap_or(u64::MAX) > limit {
                return Err(SourceError::TooLarge { limit });
            }
            Ok(Fetched { content: content.into(), media_type: None })
        }
        .boxed()
    }
}
