//! Single documents by URL. Sends HTTP requests; reads header files once.

use std::{fs, path::Path, time::Duration};

use futures::{FutureExt, StreamExt, future::BoxFuture, stream::{self, BoxStream}};
use reqwest::{
    Client, StatusCode,
    header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER},
    redirect::Policy,
};

use super::{Fetched, Listed, Source, SourceError, names::NameFilter};

/// How long connecting may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a whole download may take.
const FETCH_TIMEOUT: Duration = Duration::from_secs(300);
/// Redirects that are followed for one document.
const MAX_REDIRECTS: usize = 5;

/// A list of URLs. A document's name is its URL.
pub(super) struct Http {
    urls: Vec<String>,
    client: Client,
}

impl Http {
    pub(super) fn open(
        mut urls: Vec<String>,
        headers_directory: Option<&str>,
        filter: NameFilter,
    ) -> Result<Self, SourceError> {
        urls.retain(|url| filter.accepts(url));
        let headers = headers_directory.map(Path::new).map(read_headers).transpose()?.unwrap_or_default();
        let client = Client::builder()
            .default_headers(headers)
            .user_agent(concat!("lexigram-worker/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(FETCH_TIMEOUT)
            .redirect(Policy::limited(MAX_REDIRECTS))
            .build()
            .map_err(|error| connection(&error))?;
        Ok(Self { urls, client })
    }

    async fn download(&self, url: &str, limit: u64) -> Result<Fetched, SourceError> {
        let response = self.client.get(url).send().await.map_err(|error| connection(&error))?;
        if let Some(error) = refusal(response.status(), response.headers().contains_key(RETRY_AFTER)) {
            return Err(error);
        }
        let media_type = response.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).map(str::to_owned);
        if response.content_length().is_some_and(|length| length > limit) {
            return Err(SourceError::TooLarge { limit });
        }
        let mut content = Vec::new();
        let mut body = response.bytes_stream();
        while let Some(part) = body.next().await {
            content.extend_from_slice(&part.map_err(|error| connection(&error))?);
            if u64::try_from(content.len()).unwrap_or(u64::MAX) > limit {
                return Err(SourceError::TooLarge { limit });
            }
        }
        Ok(Fetched { content, media_type })
    }
}

impl Source for Http {
    fn list(&self) -> BoxStream<'_, Result<Listed, SourceError>> {
        stream::iter(&self.urls).map(|url| Ok(Listed { name: url.clone(), version: None })).boxed()
    }

    fn fetch<'a>(&'a self, name: &'a str, limit: u64) -> BoxFuture<'a, Result<Fetched, SourceError>> {
        self.download(name, limit).boxed()
    }
}

/// What is wrong with an answer of that status; nothing if it carries a document.
fn refusal(status: StatusCode, says_when_to_retry: bool) -> Option<SourceError> {
    let code = status.as_u16();
    match code {
        200..=299 => None,
        401 | 403 => Some(SourceError::Refused { status: code }),
        404 | 410 => Some(SourceError::Gone { detail: format!("HTTP {code}") }),
        429 => Some(SourceError::SlowDown { status: code }),
        503 if says_when_to_retry => Some(SourceError::SlowDown { status: code }),
        408 | 425 | 500..=599 => Some(SourceError::ServerError { status: code }),
        _ => Some(SourceError::Rejected { status: code }),
    }
}

fn connection(error: &reqwest::Error) -> SourceError {
    if error.is_timeout() {
        return SourceError::Timeout { seconds: FETCH_TIMEOUT.as_secs() };
    }
    // the innermost cause says what happened, and unlike the outer ones never repeats the URL, which may hold a token
    let mut cause: &dyn std::error::Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    SourceError::Connection(cause.to_string())
}

/// One file a header, named as the header: a mounted Secret.
fn read_headers(directory: &Path) -> Result<HeaderMap, SourceError> {
    let unreadable = |error: std::io::Error| SourceError::Unreadable {
        path: directory.display().to_string(),
        problem: error.to_string(),
    };
    let mut headers = HeaderMap::new();
    for entry in fs::read_dir(directory).map_err(unreadable)? {
        let entry = entry.map_err(unreadable)?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with("..") {
            continue; // the folders behind the links of a mounted Secret
        }
        let value = fs::read_to_string(entry.path()).map_err(unreadable)?;
        let invalid = || SourceError::Header { header: name.clone() };
        let key = HeaderName::from_bytes(name.as_bytes()).map_err(|_| invalid())?;
        let mut value = HeaderValue::from_str(value.trim_end()).map_err(|_| invalid())?;
        value.set_sensitive(true);
        headers.insert(key, value);
    }
    Ok(headers)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use wiremock::{
        Mock, MockServer, ResponseTemplate,
        matchers::{header, path},
    };

    use super::*;
    use crate::failure::Classified;

    fn source(urls: Vec<String>, headers: Option<&str>) -> Http {
        crate::install_tls_provider();
        Http::open(urls, headers, NameFilter::new(&[], &[]).unwrap()).unwrap()
    }

    #[rstest]
    #[case(401, false, "SourceAccessDenied")]
    #[case(404, false, "SourceGone")]
    #[case(429, false, "SourceRateLimited")]
    #[case(503, true, "SourceRateLimited")]
    #[case(503, false, "SourceServerError")]
    #[case(418, false, "SourceRejected")]
    fn each_status_has_its_reason(#[case] status: u16, #[case] retry_after: bool, #[case] reason: &str) {
        let error = refusal(StatusCode::from_u16(status).unwrap(), retry_after).unwrap();
        assert_eq!(error.reason(), reason);
    }

    #[tokio::test]
    async fn a_document_is_fetched_with_the_headers_of_the_secret() {
        let server = MockServer::start().await;
        Mock::given(path("/a.html"))
            .and(header("authorization", "Bearer s3cret"))
            .respond_with(ResponseTemplate::new(200).set_body_raw("<p>hello</p>", "text/html; charset=utf-8"))
            .expect(2)
            .mount(&server)
            .await;
        let secret = tempfile::tempdir().unwrap();
        fs::write(secret.path().join("Authorization"), "Bearer s3cret\n").unwrap();
        let url = format!("{}/a.html", server.uri());
        let source = source(vec![url.clone()], secret.path().to_str());
        let fetched = source.fetch(&url, 1000).await.unwrap();
        assert_eq!(fetched.content, b"<p>hello</p>");
        assert_eq!(fetched.media_type.as_deref(), Some("text/html; charset=utf-8"));
        assert!(matches!(source.fetch(&url, 5).await, Err(SourceError::TooLarge { limit: 5 })));
    }

    #[tokio::test]
    async fn a_dead_server_is_a_passing_failure_and_the_url_stays_out_of_the_message() {
        let url = "http://127.0.0.1:1/?token=s3cret".to_owned();
        let error = source(vec![url.clone()], None).fetch(&url, 10).await.unwrap_err();
        assert_eq!(error.reason(), "SourceUnreachable");
        assert!(!error.to_string().contains("s3cret"), "{error}");
    }
}
