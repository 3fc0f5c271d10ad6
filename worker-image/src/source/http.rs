//! Single documents by URL. Sends HTTP requests; reads header files once.
//!
//! Headers hold credentials: they go to the host of a document's own URL and never follow a redirect to another one.

use std::{path::Path, time::Duration};

use futures::{
    FutureExt, StreamExt, TryStreamExt,
    future::{BoxFuture, ready},
    stream::{self, BoxStream},
};
use jiff::Timestamp;
use reqwest::{
    Client, ClientBuilder, Response, StatusCode, Url,
    header::{CONTENT_TYPE, HeaderMap, LOCATION, RETRY_AFTER},
    redirect::Policy,
};

use super::{Fetched, Listed, Source, SourceError, names::NameFilter};
use crate::http::{HeadersError, USER_AGENT, cause, read_headers, retry_after};

/// How long connecting may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a whole download may take.
const FETCH_TIMEOUT: Duration = Duration::from_secs(300);
/// How long a server may say nothing within a download that has no limit as a whole.
const READ_TIMEOUT: Duration = Duration::from_secs(60);
/// Redirects that are followed for one document.
const MAX_REDIRECTS: usize = 5;
/// How often a server that asks to slow down is asked again; after that the document waits in the ledger.
const MAX_RETRIES: u32 = 3;
/// The longest wait that is worth it before asking again.
const MAX_RETRY_WAIT: Duration = Duration::from_secs(30);

/// A list of URLs. A document's name is its URL.
pub(super) struct Http {
    urls: Vec<String>,
    headers: HeaderMap,
    client: Client,
}

impl Http {
    pub(super) fn open(
        mut urls: Vec<String>,
        headers_directory: Option<&str>,
        filter: NameFilter,
    ) -> Result<Self, SourceError> {
        urls.retain(|url| filter.accepts(url));
        Self::with_client(urls, headers_directory, Client::builder().timeout(FETCH_TIMEOUT))
    }

    fn with_client(
        urls: Vec<String>,
        headers_directory: Option<&str>,
        client: ClientBuilder,
    ) -> Result<Self, SourceError> {
        let headers = headers_directory.map(Path::new).map(read_headers).transpose()?.unwrap_or_default();
        let client = client
            .user_agent(USER_AGENT)
            .connect_timeout(CONNECT_TIMEOUT)
            .redirect(Policy::none())
            .build()
            .map_err(|error| connection(&error))?;
        Ok(Self { urls, headers, client })
    }

    async fn download(&self, url: &str, limit: u64) -> Result<Fetched, SourceError> {
        let response = self.patiently_request(url).await?;
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

    /// Asks again when the server asks to slow down and names a time that is worth waiting for.
    async fn patiently_request(&self, url: &str) -> Result<Response, SourceError> {
        for _ in 0..MAX_RETRIES {
            match self.request(url).await {
                Err(SourceError::SlowDown { retry_after: Some(wait), .. }) if wait <= MAX_RETRY_WAIT => {
                    tokio::time::sleep(wait).await;
                }
                result => return result,
            }
        }
        self.request(url).await
    }

    /// The answer that carries the document, redirects followed.
    async fn request(&self, url: &str) -> Result<Response, SourceError> {
        let own = Url::parse(url).map_err(|error| SourceError::Url { problem: error.to_string() })?;
        let mut target = own.clone();
        for _ in 0..=MAX_REDIRECTS {
            let mut request = self.client.get(target.clone());
            if may_see_headers(&own, &target) {
                request = request.headers(self.headers.clone());
            }
            let response = request.send().await.map_err(|error| connection(&error))?;
            match redirection(&target, &response) {
                Some(next) => target = next,
                None => {
                    let retry_after = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok());
                    return match refusal(response.status(), retry_after, Timestamp::now()) {
                        Some(error) => Err(error),
                        None => Ok(response),
                    };
                }
            }
        }
        Err(SourceError::Redirects { limit: MAX_REDIRECTS })
    }
}

/// A download that is taken part by part, of any length.
pub(crate) struct Download {
    body: BoxStream<'static, reqwest::Result<Vec<u8>>>,
}

impl Download {
    /// Asks for a document and waits for the beginning of the answer.
    pub(crate) async fn start(url: &str, headers_directory: Option<&str>) -> Result<Self, SourceError> {
        let client = Client::builder().read_timeout(READ_TIMEOUT);
        let response = Http::with_client(Vec::new(), headers_directory, client)?.patiently_request(url).await?;
        Ok(Self { body: response.bytes_stream().map_ok(Vec::from).boxed() })
    }

    /// The next part; none at the end.
    pub(crate) async fn next(&mut self) -> Result<Option<Vec<u8>>, SourceError> {
        self.body.next().await.transpose().map_err(|error| connection(&error))
    }
}

impl Source for Http {
    fn list(&self) -> BoxStream<'_, Result<Listed, SourceError>> {
        stream::iter(&self.urls).map(|url| Ok(Listed { name: url.clone(), version: None })).boxed()
    }

    fn fetch<'a>(&'a self, name: &'a str, limit: u64) -> BoxFuture<'a, Result<Fetched, SourceError>> {
        match self.urls.iter().any(|url| url == name) {
            true => self.download(name, limit).boxed(),
            false => ready(Err(SourceError::Gone { detail: "no longer in spec.source.http.urls".to_owned() })).boxed(),
        }
    }
}

/// Whether it is the same host and port, and no less protected.
fn may_see_headers(own: &Url, target: &Url) -> bool {
    let as_protected = target.scheme() == own.scheme() || target.scheme() == "https";
    own.host() == target.host() && own.port() == target.port() && as_protected
}

/// Where an answer redirects to.
fn redirection(from: &Url, response: &Response) -> Option<Url> {
    if !matches!(response.status().as_u16(), 301 | 302 | 303 | 307 | 308) {
        return None;
    }
    from.join(response.headers().get(LOCATION)?.to_str().ok()?).ok()
}

/// What is wrong with an answer of that status; nothing if it carries a document.
fn refusal(status: StatusCode, wait: Option<&str>, now: Timestamp) -> Option<SourceError> {
    let code = status.as_u16();
    let slow_down =
        || Some(SourceError::SlowDown { status: code, retry_after: wait.and_then(|value| retry_after(value, now)) });
    match code {
        200..=299 => None,
        401 | 403 => Some(SourceError::Refused { status: code }),
        404 | 410 => Some(SourceError::Gone { detail: format!("HTTP {code}") }),
        429 => slow_down(),
        503 if wait.is_some() => slow_down(),
        408 | 425 | 500..=599 => Some(SourceError::ServerError { status: code }),
        _ => Some(SourceError::Rejected { status: code }),
    }
}

fn connection(error: &reqwest::Error) -> SourceError {
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

#[cfg(test)]
mod tests {
    use std::fs;

    use rstest::rstest;
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpListener,
    };
    use wiremock::{
        Mock, MockServer, ResponseTemplate,
        matchers::{any, header, path},
    };

    use super::*;
    use crate::failure::Classified;

    const NOW: &str = "2026-11-24T10:00:00Z";

    fn source(urls: Vec<String>, headers: Option<&str>) -> Http {
        crate::install_tls_provider();
        Http::open(urls, headers, NameFilter::new(&[], &[]).unwrap()).unwrap()
    }

    fn secret() -> tempfile::TempDir {
        let secret = tempfile::tempdir().unwrap();
        fs::write(secret.path().join("X-Api-Key"), "s3cret\n").unwrap();
        secret
    }

    #[rstest]
    #[case(401, None, "SourceAccessDenied")]
    #[case(404, None, "SourceGone")]
    #[case(410, None, "SourceGone")]
    #[case(429, None, "SourceRateLimited")]
    #[case(503, Some("1"), "SourceRateLimited")]
    #[case(503, None, "SourceServerError")]
    #[case(418, None, "SourceRejected")]
    fn each_status_has_its_reason(#[case] status: u16, #[case] retry_after: Option<&str>, #[case] reason: &str) {
        let error = refusal(StatusCode::from_u16(status).unwrap(), retry_after, NOW.parse().unwrap()).unwrap();
        assert_eq!(error.reason(), reason);
    }

    #[rstest]
    #[case("https://a.example/x", "https://a.example/y", true)]
    #[case("http://a.example/x", "https://a.example/x", true)]
    #[case("https://a.example/x", "http://a.example/x", false)]
    #[case("https://a.example/x", "https://b.example/x", false)]
    #[case("https://a.example/x", "https://a.example:8443/x", false)]
    fn headers_stay_with_the_host(#[case] own: &str, #[case] target: &str, #[case] expected: bool) {
        assert_eq!(may_see_headers(&own.parse().unwrap(), &target.parse().unwrap()), expected);
    }

    #[tokio::test]
    async fn a_document_is_fetched_with_the_headers_of_the_secret() {
        let server = MockServer::start().await;
        Mock::given(path("/a.html"))
            .and(header("x-api-key", "s3cret"))
            .respond_with(ResponseTemplate::new(200).set_body_raw("<p>hello</p>", "text/html; charset=utf-8"))
            .expect(2)
            .mount(&server)
            .await;
        let secret = secret();
        let url = format!("{}/a.html", server.uri());
        let source = source(vec![url.clone()], secret.path().to_str());
        let fetched = source.fetch(&url, 1000).await.unwrap();
        assert_eq!(fetched.content, b"<p>hello</p>");
        assert_eq!(fetched.media_type.as_deref(), Some("text/html; charset=utf-8"));
        assert!(matches!(source.fetch(&url, 5).await, Err(SourceError::TooLarge { limit: 5 })));
    }

    #[tokio::test]
    async fn a_redirect_to_another_host_does_not_get_the_headers() {
        let (first, second) = (MockServer::start().await, MockServer::start().await);
        let moved = ResponseTemplate::new(302).insert_header("Location", format!("{}/b", second.uri()));
        Mock::given(header("x-api-key", "s3cret")).respond_with(moved).expect(1).mount(&first).await;
        Mock::given(any()).respond_with(ResponseTemplate::new(200).set_body_string("moved")).mount(&second).await;
        let secret = secret();
        let url = format!("{}/a", first.uri());
        let source = source(vec![url.clone()], secret.path().to_str());
        assert_eq!(source.fetch(&url, 100).await.unwrap().content, b"moved");
        let requests = second.received_requests().await.unwrap();
        assert!(requests.iter().all(|request| !request.headers.contains_key("x-api-key")), "{requests:?}");
    }

    #[tokio::test]
    async fn redirects_in_a_circle_end() {
        let server = MockServer::start().await;
        let again = ResponseTemplate::new(301).insert_header("Location", "/again");
        Mock::given(any()).respond_with(again).expect(6).mount(&server).await;
        let error = source(vec![server.uri()], None).fetch(&server.uri(), 100).await.unwrap_err();
        assert_eq!(error.reason(), "TooManyRedirects");
    }

    #[tokio::test]
    async fn a_server_that_asks_to_slow_down_is_asked_again() {
        let server = MockServer::start().await;
        let slow_down = ResponseTemplate::new(429).insert_header("Retry-After", "0");
        Mock::given(any()).respond_with(slow_down.clone()).up_to_n_times(2).mount(&server).await;
        Mock::given(any()).respond_with(ResponseTemplate::new(200).set_body_string("at last")).mount(&server).await;
        let source = source(vec![server.uri()], None);
        assert_eq!(source.fetch(&server.uri(), 100).await.unwrap().content, b"at last");

        server.reset().await;
        Mock::given(any()).respond_with(slow_down).expect(4).mount(&server).await;
        assert_eq!(source.fetch(&server.uri(), 100).await.unwrap_err().reason(), "SourceRateLimited");

        server.reset().await;
        let much_later = ResponseTemplate::new(429).insert_header("Retry-After", "86400");
        Mock::given(any()).respond_with(much_later).expect(1).mount(&server).await;
        assert_eq!(source.fetch(&server.uri(), 100).await.unwrap_err().reason(), "SourceRateLimited");
    }

    #[tokio::test]
    async fn an_answer_that_breaks_off_is_a_passing_failure() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let server = tokio::spawn(async move {
            let (mut connection, _) = listener.accept().await.unwrap();
            let _request = connection.read(&mut [0; 4096]).await.unwrap();
            connection.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf of").await.unwrap();
        });
        let error = source(vec![url.clone()], None).fetch(&url, 1000).await.unwrap_err();
        server.await.unwrap();
        assert_eq!(error.reason(), "SourceUnreachable", "{error}");
    }

    #[tokio::test]
    async fn a_dead_server_is_a_passing_failure_and_the_url_stays_out_of_the_message() {
        let url = "http://127.0.0.1:1/?token=s3cret".to_owned();
        let error = source(vec![url.clone()], None).fetch(&url, 10).await.unwrap_err();
        assert_eq!(error.reason(), "SourceUnreachable");
        assert!(!error.to_string().contains("s3cret"), "{error}");
    }

    #[rstest]
    #[case("handbook.html")]
    #[case("ftp://a.example/x")]
    #[tokio::test]
    async fn a_url_that_cannot_be_requested_names_the_field(#[case] url: &str) {
        let error = source(vec![url.to_owned()], None).fetch(url, 10).await.unwrap_err().to_string();
        assert!(error.starts_with("spec.source.http.urls: the URL cannot be requested"), "{error}");
    }
}
