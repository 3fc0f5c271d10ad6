//! The connection to a provider: how it is set up, and one exchange over it. Reads key, headers and certificates once;
//! sends HTTP requests.
//!
//! Keys and headers are credentials: they go to the one URL that was given, which is why redirects are not followed.

use std::{fs, path::Path, time::Duration};

use jiff::Timestamp;
use lexigram_api::{contract::EmbeddingProvider, embedding::OpenAISettings};
use reqwest::{
    Certificate, Proxy, Response, Url,
    header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue},
    redirect::Policy,
};

use super::{
    ProviderError,
    limits::used_up,
    pack::at_least_one,
    refusal::{Asked, Fault, fault},
};
use crate::http::{HeadersError, USER_AGENT, cause, read_headers};

/// How long connecting may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Most bytes of an answer that says what is wrong.
const COMPLAINT_BYTES: usize = 64 * 1024;
/// The shortest value that is kept out of messages: shorter ones are no secrets, and stand in any text.
const SECRET_CHARS: usize = 4;

/// Files that credentials are read from.
#[derive(Clone, Copy, Default)]
pub(super) struct Files<'a> {
    pub(super) api_key: Option<&'a str>,
    pub(super) headers: Option<&'a str>,
    pub(super) ca: Option<&'a str>,
}

impl<'a> Files<'a> {
    /// Those of a provider; none for one that is not OpenAI-compatible.
    pub(super) fn of(provider: &'a EmbeddingProvider) -> Self {
        match provider {
            EmbeddingProvider::OpenAI { api_key_file, headers_directory, ca_file, settings: _ } => {
                Self { api_key: api_key_file.as_deref(), headers: headers_directory.as_deref(), ca: ca_file.as_deref() }
            }
            EmbeddingProvider::Local { .. } => Self::default(),
        }
    }
}

/// A body, and what its headers say of limits.
pub(super) struct Reply {
    pub(super) body: Vec<u8>,
    /// How long the provider takes no more requests, if it says so.
    pub(super) wait: Option<Duration>,
}

/// A connection to a provider.
pub(super) struct Client {
    http: reqwest::Client,
    url: Url,
    headers: HeaderMap,
    /// Host, and port where it is not the usual one.
    host: String,
    model: String,
    secrets: Vec<String>,
    timeout: Duration,
}

impl Client {
    pub(super) fn open(settings: &OpenAISettings, files: Files<'_>) -> Result<Self, ProviderError> {
        let url = endpoint(&settings.url)?;
        let headers = headers(files)?;
        let timeout = Duration::from_secs(at_least_one(settings.request_timeout_seconds) as u64);
        let mut builder = reqwest::Client::builder()
            .user_agent(USER_AGENT)
            .connect_timeout(CONNECT_TIMEOUT.min(timeout))
            .timeout(timeout)
            .redirect(Policy::none());
        if let Some(proxy) = &settings.proxy_url {
            builder = builder.proxy(proxy_of(proxy)?);
        }
        if let Some(file) = files.ca {
            builder = builder.tls_certs_merge(certificates(Path::new(file))?);
        }
        let http =
            builder.build().map_err(|error| setting("url", format!("cannot be requested ({})", cause(&error))))?;
        Ok(Self {
            http,
            host: host(&url),
            url,
            secrets: secrets(&headers),
            headers,
            model: settings.model.clone(),
            timeout,
        })
    }

    /// The server, without credentials and path.
    pub(super) fn host(&self) -> &str {
        &self.host
    }

    /// Sends one request, and reads no more than `limit` bytes of its answer.
    pub(super) async fn post(&self, body: Vec<u8>, limit: usize) -> Result<Reply, Fault> {
        let request = self.http.post(self.url.clone()).headers(self.headers.clone()).body(body);
        let response = request.send().await.map_err(|error| self.failed(&error))?;
        let (status, headers) = (response.status(), response.headers().clone());
        if status.is_success() {
            let body = self.read(response, limit).await?.ok_or_else(|| {
                Fault::Passing(ProviderError::AnswerInvalid(format!("it has more than {limit} bytes")))
            })?;
            return Ok(Reply { body, wait: used_up(&headers) });
        }
        // what is wrong is told by the status already
        let body = self.read(response, COMPLAINT_BYTES).await.ok().flatten().unwrap_or_default();
        let asked = Asked { host: &self.host, model: &self.model, secrets: &self.secrets };
        Err(fault(status.as_u16(), &headers, &body, Timestamp::now(), asked))
    }

    /// The body of an answer; nothing if it has more bytes than it may.
    async fn read(&self, mut response: Response, limit: usize) -> Result<Option<Vec<u8>>, Fault> {
        let mut body = Vec::new();
        while let Some(part) = response.chunk().await.map_err(|error| self.failed(&error))? {
            if body.len() + part.len() > limit {
                return Ok(None);
            }
            body.extend_from_slice(&part);
        }
        Ok(Some(body))
    }

    fn failed(&self, error: &reqwest::Error) -> Fault {
        if error.is_timeout() {
            let limit = if error.is_connect() { CONNECT_TIMEOUT.min(self.timeout) } else { self.timeout };
            return Fault::Passing(ProviderError::Timeout { seconds: limit.as_secs() });
        }
        let (host, problem) = (self.host.clone(), cause(error));
        // rustls' own words; its error does not come through the layers between
        match problem.contains("invalid peer certificate") {
            true => Fault::Final(ProviderError::Certificate { host, problem }),
            false => Fault::Passing(ProviderError::Unreachable { host, problem }),
        }
    }
}

fn setting(field: &'static str, problem: String) -> ProviderError {
    ProviderError::Setting { field, problem }
}

/// `/embeddings` below a base URL, whose query stays: Azure has its API version there.
fn endpoint(base: &str) -> Result<Url, ProviderError> {
    let invalid =
        |problem: &str| setting("url", format!("{problem}; give a whole one such as https://api.openai.com/v1"));
    let mut url = Url::parse(base).map_err(|error| invalid(&format!("is no URL ({error})")))?;
    if !matches!(url.scheme(), "http" | "https") || url.host().is_none() {
        return Err(invalid("does not begin with https:// or http://"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        let problem =
            "holds a user or password, which everybody can read there; use apiKeySecretRef or headersSecretRef";
        return Err(setting("url", problem.to_owned()));
    }
    let path = format!("{}/embeddings", url.path().trim_end_matches('/'));
    url.set_path(&path);
    url.set_fragment(None);
    Ok(url)
}

fn host(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

/// The proxy for every request. Its URL may hold a password, so that no message repeats it.
fn proxy_of(url: &str) -> Result<Proxy, ProviderError> {
    let invalid = || setting("proxyUrl", "is no URL of a proxy; give one such as http://proxy.example:3128".to_owned());
    let url = Url::parse(url).ok().filter(|url| matches!(url.scheme(), "http" | "https")).ok_or_else(invalid)?;
    Proxy::all(url).map_err(|_| invalid())
}

fn certificates(file: &Path) -> Result<Vec<Certificate>, ProviderError> {
    let invalid = |problem: String| {
        setting("caBundleConfigMapRef", format!("{} {problem}; it must hold certificates in PEM", file.display()))
    };
    let pem = fs::read(file).map_err(|error| invalid(format!("cannot be read ({error})")))?;
    match Certificate::from_pem_bundle(&pem) {
        Ok(certificates) if certificates.is_empty() => Err(invalid("holds no certificate".to_owned())),
        Ok(certificates) => Ok(certificates),
        Err(error) => Err(invalid(format!("cannot be understood ({})", cause(&error)))),
    }
}

/// What every request is sent with. A header of the Secret takes the place of one of our own.
fn headers(files: Files<'_>) -> Result<HeaderMap, ProviderError> {
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if let Some(file) = files.api_key {
        headers.insert(AUTHORIZATION, bearer(Path::new(file))?);
    }
    if let Some(directory) = files.headers {
        let read = read_headers(Path::new(directory)).map_err(|error| match error {
            HeadersError::Unreadable { path, problem } => {
                setting("headersSecretRef", format!("{path} cannot be read ({problem})"))
            }
            HeadersError::Invalid { header } => setting(
                "headersSecretRef",
                format!("the Secret holds '{header}', which is no valid header or has no valid value"),
            ),
        })?;
        for (name, value) in &read {
            headers.insert(name.clone(), value.clone());
        }
    }
    Ok(headers)
}

fn bearer(file: &Path) -> Result<HeaderValue, ProviderError> {
    let invalid = |problem: String| setting("apiKeySecretRef", format!("the key in {} {problem}", file.display()));
    let key = fs::read_to_string(file).map_err(|error| invalid(format!("cannot be read ({error})")))?;
    if key.trim().is_empty() {
        return Err(invalid("is empty; put it into the Secret".to_owned()));
    }
    let mut value = HeaderValue::from_str(&format!("Bearer {}", key.trim()))
        .map_err(|_| invalid("holds characters that a header cannot have; check the Secret".to_owned()))?;
    value.set_sensitive(true);
    Ok(value)
}

/// Every word of the headers that are credentials.
fn secrets(headers: &HeaderMap) -> Vec<String> {
    let values = headers.values().filter(|value| value.is_sensitive()).filter_map(|value| value.to_str().ok());
    let is_secret = |word: &&str| word.len() >= SECRET_CHARS && !["Bearer", "Basic"].contains(word);
    values.flat_map(str::split_whitespace).filter(is_secret).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("https://api.openai.com/v1", "https://api.openai.com/v1/embeddings", "api.openai.com")]
    #[case("http://tei:8080/", "http://tei:8080/embeddings", "tei:8080")]
    #[case("https://[::1]:1", "https://[::1]:1/embeddings", "[::1]:1")]
    #[case(
        "https://x.openai.azure.com/openai/deployments/y?api-version=2024-10-21#z",
        "https://x.openai.azure.com/openai/deployments/y/embeddings?api-version=2024-10-21",
        "x.openai.azure.com"
    )]
    fn the_endpoint_is_below_the_base(#[case] base: &str, #[case] expected: &str, #[case] expected_host: &str) {
        let url = endpoint(base).unwrap();
        assert_eq!((url.as_str(), host(&url).as_str()), (expected, expected_host));
    }

    #[rstest]
    #[case::no_url("api.openai.com/v1", "spec.embedding.openAI.url: is no URL")]
    #[case::other_scheme("ftp://api.example", "spec.embedding.openAI.url: does not begin with https://")]
    #[case::password("https://me:s3cret@api.example", "spec.embedding.openAI.url: holds a user or password")]
    fn a_base_that_is_none_is_refused(#[case] base: &str, #[case] message: &str) {
        let error = endpoint(base).unwrap_err().to_string();
        assert!(error.starts_with(message) && !error.contains("s3cret"), "{error}");
    }

    #[rstest]
    #[case("proxy.example:3128")]
    #[case("socks5://me:s3cret@proxy.example")]
    fn a_proxy_that_is_none_is_refused(#[case] url: &str) {
        let error = proxy_of(url).unwrap_err().to_string();
        assert!(error.starts_with("spec.embedding.openAI.proxyUrl: ") && !error.contains("s3cret"), "{error}");
    }

    #[test]
    fn files_that_cannot_be_used_name_their_field() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str, text: &str| {
            fs::write(folder.path().join(name), text).unwrap();
            folder.path().join(name)
        };
        let (empty, odd) = (path("empty", " \n"), path("odd", "two\nlines"));
        for (error, message) in [
            (bearer(&empty).unwrap_err(), "apiKeySecretRef: the key in"),
            (bearer(&odd).unwrap_err(), "apiKeySecretRef: the key in"),
            (bearer(Path::new("/gone")).unwrap_err(), "apiKeySecretRef: the key in /gone cannot be read"),
            (certificates(&odd).unwrap_err(), "caBundleConfigMapRef: "),
            (certificates(Path::new("/gone")).unwrap_err(), "caBundleConfigMapRef: /gone cannot be read"),
        ] {
            let error = error.to_string();
            assert!(error.starts_with(&format!("spec.embedding.openAI.{message}")), "{error}");
        }
    }

    #[test]
    fn headers_of_the_secret_take_the_place_of_the_key() {
        let folder = tempfile::tempdir().unwrap();
        let key = folder.path().join("key");
        let directory = folder.path().join("headers");
        fs::create_dir(&directory).unwrap();
        fs::write(&key, "sk-first-key\n").unwrap();
        fs::write(directory.join("authorization"), "Bearer sk-second-key\n").unwrap();
        fs::write(directory.join("api-key"), "azure-key\n").unwrap();
        let files = Files { api_key: key.to_str(), headers: directory.to_str(), ca: None };
        let headers = headers(files).unwrap();
        assert_eq!(headers[AUTHORIZATION], "Bearer sk-second-key");
        assert_eq!(headers["api-key"], "azure-key");
        let mut secrets = secrets(&headers);
        secrets.sort_unstable();
        assert_eq!(secrets, ["azure-key", "sk-second-key"]);
        assert!(!format!("{headers:?}").contains("azure-key"));
    }
}
