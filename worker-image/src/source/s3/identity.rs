//! The identity of the pod, exchanged for credentials: a web identity token at STS, or the cloud's agent on the node.
//! Reads token files, sends HTTP requests.
//!
//! The platform puts both into the pod's environment, where no user of a spec can. The agent has a link-local address,
//! and the rule against those is for what a spec names.

use std::{fs, sync::Arc, time::Duration};

use jiff::Timestamp;
use lexigram_api::contract::NetworkAccess;
use reqwest::{Client, Method, Url, header::AUTHORIZATION, redirect::Policy};
use rusty_s3::Credentials;
use serde::Deserialize;

use super::{answer::text_of, credentials::Temporary, domain};
use crate::{
    http::USER_AGENT,
    source::{
        SourceError,
        egress::unusable,
        web::{connection, read_some},
    },
};

/// How long an exchange may take.
const TIMEOUT: Duration = Duration::from_secs(30);
/// Most bytes of an answer.
const ANSWER_BYTES: usize = 64 * 1024;

/// An identity, and where it is exchanged.
pub(super) struct Identity {
    client: Client,
    server: Url,
    kind: Kind,
}

enum Kind {
    /// `AWS_ROLE_ARN` and `AWS_WEB_IDENTITY_TOKEN_FILE`: IAM roles for service accounts, and other servers with an STS.
    WebIdentity { role: String, session: String, token_file: String },
    /// `AWS_CONTAINER_CREDENTIALS_FULL_URI`: EKS Pod Identity.
    Agent { token_file: Option<String> },
}

/// What the agent answers.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct AgentAnswer {
    access_key_id: String,
    secret_access_key: String,
    token: String,
    expiration: Timestamp,
}

impl Identity {
    /// What the variables of the environment say; nothing if they say nothing.
    pub(super) fn of_environment(
        variable: impl Fn(&str) -> Option<String>,
        region: &str,
        access: &NetworkAccess,
    ) -> Result<Option<Self>, SourceError> {
        let set = |name: &str| variable(name).filter(|value| !value.is_empty());
        let (server, kind) =
            if let (Some(role), Some(token_file)) = (set("AWS_ROLE_ARN"), set("AWS_WEB_IDENTITY_TOKEN_FILE")) {
                let region = set("AWS_REGION").unwrap_or_else(|| region.to_owned());
                let aws = || format!("https://sts.{region}.{}/", domain(&region));
                let server = set("AWS_ENDPOINT_URL_STS").unwrap_or_else(aws);
                let session = set("AWS_ROLE_SESSION_NAME").unwrap_or_else(|| "lexigram-worker".to_owned());
                (server, Kind::WebIdentity { role, session, token_file })
            } else if let Some(server) = set("AWS_CONTAINER_CREDENTIALS_FULL_URI") {
                (server, Kind::Agent { token_file: set("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE") })
            } else {
                return Ok(None);
            };
        let server = Url::parse(&server).map_err(|error| problem(format!("'{server}' is no URL: {error}")))?;
        let mut client = Client::builder().user_agent(USER_AGENT).timeout(TIMEOUT).redirect(Policy::none()).no_proxy();
        if let Some(file) = &access.ca_file {
            let certificates = crate::http::read_certificates(file.as_ref()).map_err(problem)?;
            client = client.tls_certs_merge(certificates);
        }
        Ok(Some(Self { client: client.build().map_err(|error| unusable(&error))?, server, kind }))
    }

    /// Fresh credentials.
    pub(super) async fn exchange(&self) -> Result<Temporary, SourceError> {
        let request = match &self.kind {
            Kind::WebIdentity { role, session, token_file } => {
                let token = token(token_file)?;
                let form = url::form_urlencoded::Serializer::new(String::new())
                    .append_pair("Action", "AssumeRoleWithWebIdentity")
                    .append_pair("Version", "2011-06-15")
                    .append_pair("RoleArn", role)
                    .append_pair("RoleSessionName", session)
                    .append_pair("WebIdentityToken", &token)
                    .finish();
                self.client
                    .request(Method::POST, self.server.clone())
                    .header("content-type", "application/x-www-form-urlencoded")
                    .body(form)
            }
            Kind::Agent { token_file } => {
                let request = self.client.get(self.server.clone());
                match token_file {
                    Some(file) => request.header(AUTHORIZATION, token(file)?),
                    None => request,
                }
            }
        };
        let response = request.send().await.map_err(|error| connection(&error))?;
        let status = response.status();
        let body = String::from_utf8_lossy(&read_some(response, ANSWER_BYTES).await?).into_owned();
        match status.as_u16() {
            200..=299 => {}
            429 | 500..=599 => return Err(SourceError::ServerError { status: status.as_u16() }),
            _ => {
                let said =
                    [text_of(&body, "Code"), text_of(&body, "Message")].into_iter().flatten().collect::<Vec<_>>();
                return Err(problem(format!("HTTP {} {}", status.as_u16(), said.join(": ")).trim_end().to_owned()));
            }
        }
        let temporary = match &self.kind {
            Kind::WebIdentity { .. } => of_sts(&body),
            Kind::Agent { .. } => of_agent(&body),
        };
        temporary.ok_or_else(|| problem("the answer holds no credentials".to_owned()))
    }
}

fn problem(problem: String) -> SourceError {
    SourceError::Identity { problem }
}

/// The token is changed on disk before it ends, so that it is read each time.
fn token(file: &str) -> Result<String, SourceError> {
    let token = fs::read_to_string(file).map_err(|error| problem(format!("{file} cannot be read: {error}")))?;
    Ok(token.trim().to_owned())
}

fn of_sts(xml: &str) -> Option<Temporary> {
    let credentials = Credentials::new_with_token(
        text_of(xml, "AccessKeyId")?,
        text_of(xml, "SecretAccessKey")?,
        text_of(xml, "SessionToken")?,
    );
    Some(Temporary { credentials: Arc::new(credentials), ends: text_of(xml, "Expiration")?.parse().ok()? })
}

fn of_agent(json: &str) -> Option<Temporary> {
    let AgentAnswer { access_key_id, secret_access_key, token, expiration } = serde_json::from_str(json).ok()?;
    let credentials = Credentials::new_with_token(access_key_id, secret_access_key, token);
    Some(Temporary { credentials: Arc::new(credentials), ends: expiration })
}
