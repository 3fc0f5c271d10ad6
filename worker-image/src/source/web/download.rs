//! A download that is taken part by part, of any length. Sends an HTTP request.

use std::time::Duration;

use futures::{StreamExt, TryStreamExt, stream::BoxStream};
use lexigram_api::contract::NetworkAccess;
use reqwest::Method;

use super::client::{Client, connection, parse};
use crate::source::SourceError;

/// How long a server may say nothing within a download that has no limit as a whole.
const READ_TIMEOUT: Duration = Duration::from_secs(60);

/// A download that has begun.
pub(crate) struct Download {
    body: BoxStream<'static, reqwest::Result<Vec<u8>>>,
}

impl Download {
    /// Asks for a document and waits for the beginning of the answer.
    pub(crate) async fn start(
        url: &str,
        headers_directory: Option<&str>,
        access: &NetworkAccess,
    ) -> Result<Self, SourceError> {
        let client = Client::with_limits(access, headers_directory, |client| client.read_timeout(READ_TIMEOUT))?;
        let answer = client.request(&Method::GET, &parse(url)?, true).await?;
        Ok(Self { body: answer.response.bytes_stream().map_ok(Vec::from).boxed() })
    }

    /// The next part; none at the end.
    pub(crate) async fn next(&mut self) -> Result<Option<Vec<u8>>, SourceError> {
        self.body.next().await.transpose().map_err(|error| connection(&error))
    }
}
