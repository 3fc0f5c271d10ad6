//! Credentials of a source: keys of a mounted Secret, and no URL. Reads files.

use std::{fs, io::ErrorKind, path::Path};

use reqwest::Url;

use super::SourceError;

/// The value of a key of a mounted Secret, which `field` names; nothing if the key is not there, or empty.
pub(super) fn key(directory: &Path, key: &str, field: &str) -> Result<Option<String>, SourceError> {
    match fs::read_to_string(directory.join(key)) {
        Ok(value) => Ok(Some(value.trim().to_owned()).filter(|value| !value.is_empty())),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(setting(field, format!("the key '{key}' cannot be read ({error})"))),
    }
}

/// As [`key`], for one that has to be there; `what` says what to put there.
pub(super) fn needed(directory: &Path, name: &str, field: &str, what: &str) -> Result<String, SourceError> {
    let missing = || setting(field, format!("the Secret has no key '{name}', or an empty one; put {what} there"));
    key(directory, name, field)?.ok_or_else(missing)
}

/// Refuses a URL with a user or password in it, which `field` names.
pub(super) fn no_login(url: &Url, field: &str) -> Result<(), SourceError> {
    if url.username().is_empty() && url.password().is_none() {
        return Ok(());
    }
    let problem = "holds a user or password, which everybody can read there; use credentialsSecretRef".to_owned();
    Err(setting(field, problem))
}

fn setting(field: &str, problem: String) -> SourceError {
    SourceError::Setting { field: field.to_owned(), problem }
}
