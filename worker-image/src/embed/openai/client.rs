//! The connection to a provider, and one exchange over it. Sends HTTP requests.
//!
//! Keys and headers are credentials: they go to the one URL that was given, which is why redirects are not followed.

use std::{path::Path, time::Duration};

use jiff::Timestamp;
use lexigram_api::embedding::OpenAISettings;
use reqwest::{Response, Url, header::HeaderMap, redirect::Policy};

use super::{
    ProviderError,
    limits::used_up,
    pack::at_least_one,
    refusal::{Asked, Fault, fault},
    setup::{Files, certificates, endpoint, headers, host, proxy, secrets, setting},
};
use crate::http::{USER_AGENT, cause};

/// How long connecting may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Most bytes of an answer that says what is wrong.
const COMPLAINT_BYTES: usize = 64 * 1024;
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
        if let Some(url) = &settings.proxy_url {
            builder = builder.proxy(proxy(url)?);
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
