//! What a connection is set up with: endpoint, proxy, certificates, credentials. Reads their files.

use std::{fs, path::Path};

use lexigram_api::contract::EmbeddingProvider;
use reqwest::{
    Certificate, Proxy, Url,
    header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue},
};

use super::ProviderError;
use crate::http::{HeadersError, read_certificates, read_headers};

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

/// A setting that cannot be used, and why.
pub(super) fn setting(field: &'static str, problem: String) -> ProviderError {
    ProviderError::Setting { field, problem }
}

/// `/embeddings` below a base URL, whose query stays: Azure has its API version there.
pub(super) fn endpoint(base: &str) -> Result<Url, ProviderError> {
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

/// Host, and port where it is not the usual one.
pub(super) fn host(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

/// The proxy for every request. Its URL may hold a password, so that no message repeats it.
pub(super) fn proxy(url: &str) -> Result<Proxy, ProviderError> {
    let invalid = || setting("proxyUrl", "is no URL of a proxy; give one such as http://proxy.example:3128".to_owned());
    let url = Url::parse(url).ok().filter(|url| matches!(url.scheme(), "http" | "https")).ok_or_else(invalid)?;
    Proxy::all(url).map_err(|_| invalid())
}

pub(super) fn certificates(file: &Path) -> Result<Vec<Certificate>, ProviderError> {
    read_certificates(file).map_err(|problem| setting("caBundleConfigMapRef", problem))
}

/// What every request is sent with. A header of the Secret takes the place of one of our own.
pub(super) fn headers(files: Files<'_>) -> Result<HeaderMap, ProviderError> {
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
pub(super) fn secrets(headers: &HeaderMap) -> Vec<String> {
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
        let error = proxy(url).unwrap_err().to_string();
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
