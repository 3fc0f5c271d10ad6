//! Where the credentials of an S3 source come from: a mounted Secret, or the identity of the pod. Reads files.

use std::{env, path::Path, sync::Arc};

use jiff::{SignedDuration, Timestamp};
use lexigram_api::contract::NetworkAccess;
use rusty_s3::Credentials;
use tokio::sync::Mutex;

use super::identity::Identity;
use crate::source::{SourceError, secret};

/// How long before their end credentials are asked for anew.
const EARLY: SignedDuration = SignedDuration::from_secs(300);

/// Credentials that end.
pub(super) struct Temporary {
    pub(super) credentials: Arc<Credentials>,
    pub(super) ends: Timestamp,
}

/// Where credentials come from.
pub(super) enum CredentialSource {
    /// There are none: requests go unsigned.
    None,
    /// They stand in the Secret.
    Secret(Arc<Credentials>),
    /// The pod's identity is exchanged for them, and again when they end.
    Identity(Box<Renewed>),
}

/// An identity, and the credentials that it gave last.
pub(super) struct Renewed {
    identity: Identity,
    last: Mutex<Option<Temporary>>,
}

impl CredentialSource {
    /// That of a mounted Secret, or what the environment says of the pod's identity.
    pub(super) fn open(directory: Option<&str>, region: &str, access: &NetworkAccess) -> Result<Self, SourceError> {
        if let Some(directory) = directory {
            return Ok(Self::Secret(Arc::new(of_secret(Path::new(directory))?)));
        }
        Ok(match Identity::of_environment(|name| env::var(name).ok(), region, access)? {
            Some(identity) => Self::Identity(Box::new(Renewed { identity, last: Mutex::default() })),
            None => Self::None,
        })
    }

    /// Credentials that are good for a while.
    pub(super) async fn get(&self) -> Result<Option<Arc<Credentials>>, SourceError> {
        let renewed = match self {
            Self::None => return Ok(None),
            Self::Secret(credentials) => return Ok(Some(Arc::clone(credentials))),
            Self::Identity(renewed) => renewed,
        };
        let mut last = renewed.last.lock().await;
        if let Some(held) = last.as_ref().filter(|held| is_good(held, Timestamp::now())) {
            return Ok(Some(Arc::clone(&held.credentials)));
        }
        let fresh = renewed.identity.exchange().await?;
        let credentials = Arc::clone(&fresh.credentials);
        *last = Some(fresh);
        Ok(Some(credentials))
    }
}

fn is_good(held: &Temporary, now: Timestamp) -> bool {
    held.ends.duration_since(now) > EARLY
}

fn of_secret(directory: &Path) -> Result<Credentials, SourceError> {
    let field = "spec.source.s3.credentialsSecretRef";
    let needed = |key: &str| secret::needed(directory, key, field, "it");
    let (id, key) = (needed("accessKeyId")?, needed("secretAccessKey")?);
    Ok(match secret::key(directory, "sessionToken", field)? {
        Some(token) => Credentials::new_with_token(id, key, token),
        None => Credentials::new(id, key),
    })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::all(&[("accessKeyId", "id\n"), ("secretAccessKey", "secret")], None)]
    #[case::temporary(&[("accessKeyId", "id"), ("secretAccessKey", "secret"), ("sessionToken", "t")], Some("t"))]
    fn a_secret_is_read(#[case] keys: &[(&str, &str)], #[case] token: Option<&str>) {
        let folder = tempfile::tempdir().unwrap();
        for (key, value) in keys {
            fs::write(folder.path().join(key), value).unwrap();
        }
        let credentials = of_secret(folder.path()).unwrap();
        assert_eq!((credentials.key(), credentials.secret(), credentials.token()), ("id", "secret", token));
    }

    #[test]
    fn a_missing_key_is_named() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("accessKeyId"), "id").unwrap();
        let error = of_secret(folder.path()).err().unwrap().to_string();
        assert_eq!(
            error,
            "spec.source.s3.credentialsSecretRef: the Secret has no key 'secretAccessKey', or an empty one; put it there"
        );
    }

    #[rstest]
    #[case::long("2026-11-24T11:00:00Z", true)]
    #[case::about_to_end("2026-11-24T10:04:00Z", false)]
    #[case::ended("2026-11-24T09:00:00Z", false)]
    fn credentials_are_asked_for_before_they_end(#[case] ends: &str, #[case] good: bool) {
        let credentials = Arc::new(Credentials::new("id", "secret"));
        let held = Temporary { credentials, ends: ends.parse().unwrap() };
        assert_eq!(is_good(&held, "2026-11-24T10:00:00Z".parse().unwrap()), good);
    }
}
