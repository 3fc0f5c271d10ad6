//! One delivery of a message. Reads the webhook's files, asks a server over HTTP.

use std::{fs, io, path::PathBuf, time::Duration};

use reqwest::{
    Client, StatusCode,
    header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue},
};
use thiserror::Error;

use super::cloud_event::CloudEvent;
use crate::tls::choose_cryptography;

/// Media type of a CloudEvent in structured JSON.
const STRUCTURED_JSON: &str = "application/cloudevents+json; charset=utf-8";
/// File with the URL, in the folder of the mounted Secret.
const URL: &str = "url";
/// File with the value of the header `Authorization`; it may be missing.
const AUTHORIZATION_FILE: &str = "authorization";

/// Where messages go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebhookSettings {
    /// Folder of the mounted Secret, with the file `url` and, where the receiver asks for it, `authorization`. Read at each
    /// delivery: a Secret that was changed needs no restart.
    pub folder: PathBuf,
    /// How long a receiver may take to answer.
    pub timeout: Duration,
}

/// Why a message was not delivered.
#[derive(Debug, Error)]
pub enum WebhookError {
    /// The Secret lacks what is needed.
    #[error("key {key} of the webhook's Secret cannot be read: {problem}")]
    Secret {
        /// The key.
        key: &'static str,
        /// What the system says.
        #[source]
        problem: io::Error,
    },
    /// The Secret holds what no header can carry.
    #[error("key authorization of the webhook's Secret is no header value: {0}")]
    Header(#[from] reqwest::header::InvalidHeaderValue),
    /// The receiver cannot be reached, or does not answer in time. The URL may be a secret, and is not shown.
    #[error("the receiver cannot be reached: {}", story(.0))]
    Unreachable(reqwest::Error),
    /// The receiver did not take the message.
    #[error("the receiver answered {0}")]
    Refused(StatusCode),
}

/// Delivers messages.
#[derive(Debug)]
pub struct Webhook {
    settings: WebhookSettings,
    http: Client,
}

impl Webhook {
    /// A client of its own: no redirects, since the receiver of credentials is named and not found.
    ///
    /// # Errors
    /// If the HTTP client cannot be set up.
    pub fn new(settings: WebhookSettings) -> Result<Self, reqwest::Error> {
        choose_cryptography();
        let http = Client::builder().timeout(settings.timeout).redirect(reqwest::redirect::Policy::none()).build()?;
        Ok(Self { settings, http })
    }

    /// Delivers a message; it has arrived once the receiver has answered with a 2xx.
    ///
    /// # Errors
    /// Why it is not known to have arrived.
    pub async fn deliver(&self, event: &CloudEvent) -> Result<(), WebhookError> {
        let url = self.read(URL)?;
        let mut request = self.http.post(url).header(CONTENT_TYPE, STRUCTURED_JSON);
        match self.read(AUTHORIZATION_FILE) {
            Ok(value) => {
                let mut value = HeaderValue::from_str(&value)?;
                value.set_sensitive(true);
                request = request.header(AUTHORIZATION, value);
            }
            Err(WebhookError::Secret { problem, .. }) if problem.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        let answer = request.json(event).send().await.map_err(WebhookError::Unreachable)?;
        if answer.status().is_success() { Ok(()) } else { Err(WebhookError::Refused(answer.status())) }
    }

    fn read(&self, key: &'static str) -> Result<String, WebhookError> {
        let text = fs::read_to_string(self.settings.folder.join(key));
        text.map(|text| text.trim().to_owned()).map_err(|problem| WebhookError::Secret { key, problem })
    }
}

fn story(error: &reqwest::Error) -> &'static str {
    match error {
        error if error.is_timeout() => "it did not answer in time",
        error if error.is_builder() => "key url of the webhook's Secret is no URL",
        error if error.is_connect() => "no connection",
        _ => "the connection broke",
    }
}
