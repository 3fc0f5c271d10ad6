//! A git server over HTTP. Sends HTTP requests, writes packs into files.

use std::{fs::File, io::Write, path::Path, time::Duration};

use futures::StreamExt;
use lexigram_api::{contract::NetworkAccess, source::GitSettings};
use reqwest::{Client, RequestBuilder, Response, Url};

use super::protocol::{Capabilities, PackReader, ask_for_objects, ask_for_refs, capabilities, object_of};
use crate::source::{
    SourceError,
    egress::{Egress, unusable},
    secret,
    web::{connection, read, redirection, refusal},
};

/// How long a server may say nothing.
const READ_TIMEOUT: Duration = Duration::from_secs(60);
/// How long a whole answer may take.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(1800);
/// Redirects of a repository that are followed.
const MAX_REDIRECTS: usize = 5;
/// Most bytes of what is said beside packs.
const TALK_BYTES: u64 = 16 * 1024 * 1024;

/// A repository at its server.
pub(super) struct Server {
    http: Client,
    egress: Egress,
    url: Url,
    credentials: Option<(String, String)>,
}

/// A repository where it was found, and what its server can do.
pub(super) struct Repository {
    /// Its own URL, redirects followed.
    url: Url,
    pub(super) capabilities: Capabilities,
}

impl Server {
    pub(super) fn open(
        settings: &GitSettings,
        credentials_directory: Option<&str>,
        access: &NetworkAccess,
    ) -> Result<Self, SourceError> {
        let egress = Egress::new("spec.source.git", access);
        let http = egress.client(access)?.read_timeout(READ_TIMEOUT).timeout(REQUEST_TIMEOUT);
        let url = Url::parse(&settings.url).map_err(|error| setting("url", format!("is no URL ({error})")))?;
        secret::no_login(&url, "spec.source.git.url")?;
        let credentials = credentials_directory.map(|directory| of_secret(Path::new(directory))).transpose()?;
        Ok(Self { http: http.build().map_err(|error| unusable(&error))?, egress, url, credentials })
    }

    /// Looks for the repository.
    pub(super) async fn find(&self) -> Result<Repository, SourceError> {
        let suffix = "/info/refs";
        let mut target = self.url.clone();
        target.set_path(&format!("{}{suffix}", self.url.path().trim_end_matches('/')));
        target.set_query(Some("service=git-upload-pack"));
        for hop in 0..=MAX_REDIRECTS {
            self.egress.check(&target, hop == 0)?;
            let response = self.send(self.http.get(target.clone()), &target, hop == 0).await?;
            match redirection(&target, response.status(), response.headers()) {
                Some(next) => target = next,
                None => {
                    let message = read(checked(response)?, TALK_BYTES).await?;
                    let capabilities = capabilities(&message)?;
                    let path = target.path().strip_suffix(suffix).unwrap_or(target.path()).to_owned();
                    target.set_path(&path);
                    target.set_query(None);
                    return Ok(Repository { url: target, capabilities });
                }
            }
        }
        Err(SourceError::Redirects { limit: MAX_REDIRECTS })
    }

    /// The commit that a name stands for.
    pub(super) async fn resolve(&self, repository: &Repository, name: &str) -> Result<String, SourceError> {
        if matches!(name.len(), 40) && name.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return Ok(name.to_ascii_lowercase());
        }
        let response = self.ask(repository, ask_for_refs(name)).await?;
        let answer = read(response, TALK_BYTES).await?;
        object_of(name, &answer)?.ok_or_else(|| setting("ref", format!("the repository has no branch or tag '{name}'")))
    }

    /// Writes the pack with objects into a file of `limit` bytes at the most; says whether it fitted.
    pub(super) async fn fetch(
        &self,
        repository: &Repository,
        object: &str,
        shallow: bool,
        filter: Option<&str>,
        (file, limit): (&Path, u64),
    ) -> Result<bool, SourceError> {
        let response = self.ask(repository, ask_for_objects(object, shallow, filter)).await?;
        let (mut reader, mut written) = (PackReader::default(), 0);
        let mut output = File::create(file).map_err(SourceError::scratch)?;
        let mut body = response.bytes_stream();
        while let Some(part) = body.next().await {
            let pack = reader.take(&part.map_err(|error| broken(&error))?)?;
            written += u64::try_from(pack.len()).unwrap_or(u64::MAX);
            if written > limit {
                return Ok(false);
            }
            // short writes into the page cache, between two parts from the network
            output.write_all(&pack).map_err(SourceError::scratch)?;
        }
        match reader.ended() {
            true => Ok(true),
            false => Err(SourceError::Connection("the pack broke off".to_owned())),
        }
    }

    async fn ask(&self, repository: &Repository, message: Vec<u8>) -> Result<Response, SourceError> {
        let mut url = repository.url.clone();
        url.set_path(&format!("{}/git-upload-pack", repository.url.path()));
        self.egress.check(&url, false)?;
        let request = self
            .http
            .post(url.clone())
            .header("content-type", "application/x-git-upload-pack-request")
            .header("accept", "application/x-git-upload-pack-result")
            .body(message);
        checked(self.send(request, &url, false).await?)
    }

    async fn send(&self, request: RequestBuilder, url: &Url, configured: bool) -> Result<Response, SourceError> {
        let mut request = request.header("git-protocol", "version=2");
        // a redirect to another server does not get them
        let own = url.origin() == self.url.origin();
        if let Some((user, password)) = self.credentials.as_ref().filter(|_| own) {
            request = request.basic_auth(user, Some(password));
        }
        let refused = |error| self.egress.refusal(&error, url, configured).unwrap_or_else(|| broken(&error));
        request.send().await.map_err(refused)
    }
}

/// Why a request failed.
fn broken(error: &reqwest::Error) -> SourceError {
    match error.is_timeout() {
        true => SourceError::Timeout { seconds: READ_TIMEOUT.as_secs() },
        false => connection(error),
    }
}

/// The answer, if it is one.
fn checked(response: Response) -> Result<Response, SourceError> {
    match refusal(response.status(), response.headers(), jiff::Timestamp::now()) {
        None => Ok(response),
        Some(SourceError::Refused { answer, .. }) => {
            Err(SourceError::Refused { answer, check: "spec.source.git.credentialsSecretRef" })
        }
        Some(SourceError::Gone { detail }) => {
            let problem = format!(
                "there is no repository ({detail}), or it is not for everybody: check spec.source.git.credentialsSecretRef"
            );
            Err(setting("url", problem))
        }
        Some(error) => Err(error),
    }
}

pub(super) fn setting(field: &str, problem: String) -> SourceError {
    SourceError::Setting { field: format!("spec.source.git.{field}"), problem }
}

/// `username` and `password` of a mounted Secret. A token goes into `password`; most servers take any name with it.
fn of_secret(directory: &Path) -> Result<(String, String), SourceError> {
    let field = "spec.source.git.credentialsSecretRef";
    let password = secret::needed(directory, "password", field, "the password or token")?;
    Ok((secret::key(directory, "username", field)?.unwrap_or_else(|| "git".to_owned()), password))
}
