//! Requests to web servers: redirects followed, patient with servers that ask to slow down. Sends HTTP requests, writes
//! what it is sent into temporary files; reads header files once.
//!
//! Headers hold credentials: they go to the host of a document's own URL and never follow a redirect to another one.

use std::{io::Write, path::Path, time::Duration};

use futures::StreamExt;
use jiff::Timestamp;
use lexigram_api::contract::NetworkAccess;
use reqwest::{
    Client as HttpClient, ClientBuilder, Method, Response, Url,
    header::{CONTENT_TYPE, HeaderMap},
};

use super::answer::{may_see_headers, redirection, refusal};
use crate::{
    content::ContentWriter,
    http::{HeadersError, cause, read_headers},
    source::{
        Fetched, SourceError,
        egress::{CONNECT_TIMEOUT, Egress, unusable},
    },
};

/// How long a whole download may take.
const FETCH_TIMEOUT: Duration = Duration::from_secs(300);
/// Redirects that are followed for one document.
const MAX_REDIRECTS: usize = 5;
/// How often a server that asks to slow down is asked again; after that the document waits in the ledger.
const MAX_RETRIES: u32 = 3;
/// The longest wait that is worth it before asking again.
const MAX_RETRY_WAIT: Duration = Duration::from_secs(30);

/// An answer, and where it came from in the end.
pub(super) struct Answer {
    pub(super) url: Url,
    pub(super) response: Response,
}

/// A client for the servers of one source.
pub(super) struct Client {
    http: HttpClient,
    headers: HeaderMap,
    egress: Egress,
}

impl Client {
    pub(super) fn open(access: &NetworkAccess, headers_directory: Option<&str>) -> Result<Self, SourceError> {
        Self::with_limits(access, headers_directory, |client| client.timeout(FETCH_TIMEOUT))
    }

    pub(super) fn with_limits(
        access: &NetworkAccess,
        headers_directory: Option<&str>,
        limits: impl FnOnce(ClientBuilder) -> ClientBuilder,
    ) -> Result<Self, SourceError> {
        let egress = Egress::new("spec.source.http", access);
        let headers = headers_directory.map(Path::new).map(read_headers).transpose()?.unwrap_or_default();
        let http = limits(egress.client(access)?).build().map_err(|error| unusable(&error))?;
        Ok(Self { http, headers, egress })
    }

    /// The answer to a request. Asks again when the server asks to slow down and names a time that is worth waiting
    /// for. `configured` says whether the spec itself has the URL.
    pub(super) async fn request(&self, method: &Method, url: &Url, configured: bool) -> Result<Answer, SourceError> {
        for _ in 0..MAX_RETRIES {
            match self.request_once(method, url, configured).await {
                Err(SourceError::SlowDown { retry_after: Some(wait), .. }) if wait <= MAX_RETRY_WAIT => {
                    tokio::time::sleep(wait).await;
                }
                result => return result,
            }
        }
        self.request_once(method, url, configured).await
    }

    /// The answer to a request, which is sent once.
    pub(super) async fn request_once(
        &self,
        method: &Method,
        own: &Url,
        configured: bool,
    ) -> Result<Answer, SourceError> {
        let mut target = own.clone();
        for hop in 0..=MAX_REDIRECTS {
            let configured = configured && hop == 0;
            self.egress.check(&target, configured)?;
            let mut request = self.http.request(method.clone(), target.clone());
            if may_see_headers(own, &target) {
                request = request.headers(self.headers.clone());
            }
            let refused =
                |error| self.egress.refusal(&error, &target, configured).unwrap_or_else(|| connection(&error));
            let response = request.send().await.map_err(refused)?;
            match redirection(&target, response.status(), response.headers()) {
                Some(next) => target = next,
                None => {
                    return match refusal(response.status(), response.headers(), Timestamp::now()) {
                        Some(error) => Err(error),
                        None => Ok(Answer { url: target, response }),
                    };
                }
            }
        }
        Err(SourceError::Redirects { limit: MAX_REDIRECTS })
    }
}

/// The URL that a text stands for.
pub(super) fn parse(url: &str) -> Result<Url, SourceError> {
    Url::parse(url).map_err(|error| SourceError::Url { problem: error.to_string() })
}

/// The document in an answer, of `limit` bytes at the most.
pub(in crate::source) async fn take_in(response: Response, limit: u64) -> Result<Fetched, SourceError> {
    let media_type = response.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let mut content = ContentWriter::new();
    copy(response, limit, &mut content).await?;
    Ok(Fetched { content: content.finish(), media_type })
}

/// The whole body in memory, of `limit` bytes at the most.
pub(in crate::source) async fn read(response: Response, limit: u64) -> Result<Vec<u8>, SourceError> {
    let mut content = Vec::new();
    copy(response, limit, &mut content).await?;
    Ok(content)
}

/// Writes a body, part by part; one of more than `limit` bytes is cut off.
async fn copy(response: Response, limit: u64, to: &mut impl Write) -> Result<(), SourceError> {
    if response.content_length().is_some_and(|length| length > limit) {
        return Err(SourceError::TooLarge { limit });
    }
    let mut left = limit;
    let mut body = response.bytes_stream();
    while let Some(part) = body.next().await {
        let part = part.map_err(|error| connection(&error))?;
        let size = u64::try_from(part.len()).unwrap_or(u64::MAX);
        left = left.checked_sub(size).ok_or(SourceError::TooLarge { limit })?;
        // short writes into the page cache, between two parts from the network
        to.write_all(&part).map_err(SourceError::scratch)?;
    }
    Ok(())
}

/// The beginning of a body, `most` bytes at the most.
pub(in crate::source) async fn read_some(response: Response, most: usize) -> Result<Vec<u8>, SourceError> {
    let mut content = Vec::new();
    let mut body = response.bytes_stream();
    while let Some(part) = body.next().await {
        content.extend_from_slice(&part.map_err(|error| connection(&error))?);
        if content.len() >= most {
            content.truncate(most);
            break;
        }
    }
    Ok(content)
}

/// Why a request failed.
pub(in crate::source) fn connection(error: &reqwest::Error) -> SourceError {
    if error.is_timeout() {
        let limit = if error.is_connect() { CONNECT_TIMEOUT } else { FETCH_TIMEOUT };
        return SourceError::Timeout { seconds: limit.as_secs() };
    }
    if error.is_builder() {
        return SourceError::Url { problem: cause(error) };
    }
    SourceError::Connection(cause(error))
}

impl From<HeadersError> for SourceError {
    fn from(error: HeadersError) -> Self {
        match error {
            HeadersError::Unreadable { path, problem } => Self::Unreadable { path, problem },
            HeadersError::Invalid { header } => Self::Header { header },
        }
    }
}
