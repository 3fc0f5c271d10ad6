//! Why a reconcile could not be carried through: one category and one constant reason each. No I/O.

use lexigram_api::failure::FailureCategory;
use thiserror::Error;

use crate::leadership::NotLeading;

/// Why a reconcile could not be carried through.
#[derive(Debug, Error)]
pub enum ControllerError {
    /// The API server refused or could not be reached.
    #[error("the Kubernetes API: {}", said(.0))]
    Api(#[source] Box<kube::Error>),
    /// The lease has gone to another process, or is about to.
    #[error(transparent)]
    NotLeading(NotLeading),
    /// A child's name is taken.
    #[error("{kind} '{name}' exists and belongs to somebody else; delete or rename it, and the job goes on")]
    NameTaken {
        /// Kind of the child.
        kind: String,
        /// Name of the child.
        name: String,
    },
    /// A child of an earlier object, or of an earlier run, is still being deleted.
    #[error("{kind} '{name}' of an earlier run is still being deleted; the job goes on when it has gone")]
    BeingDeleted {
        /// Kind of the child.
        kind: String,
        /// Name of the child.
        name: String,
    },
    /// A child could not be written as JSON.
    #[error("cannot write JSON: {0}")]
    Json(#[from] serde_json::Error),
    /// The client for workers could not be set up.
    #[error("cannot set up the HTTP client for workers: {0}")]
    Http(#[from] reqwest::Error),
    /// An object came without something that every object has.
    #[error("the object has no {0}")]
    Incomplete(&'static str),
}

impl From<kube::Error> for ControllerError {
    fn from(error: kube::Error) -> Self {
        match error {
            kube::Error::Service(held_back) if held_back.is::<NotLeading>() => Self::NotLeading(NotLeading),
            error => Self::Api(Box::new(error)),
        }
    }
}

impl ControllerError {
    /// What kind of failure it is.
    #[must_use]
    pub fn category(&self) -> FailureCategory {
        match self {
            Self::Api(error) => match code(error) {
                Some(403) if is_quota(error) => FailureCategory::ResourceExhausted,
                Some(401 | 403) => FailureCategory::Authentication,
                Some(422) => FailureCategory::Configuration,
                _ => FailureCategory::Transient,
            },
            Self::NameTaken { .. } => FailureCategory::Configuration,
            Self::NotLeading(_) | Self::BeingDeleted { .. } => FailureCategory::Transient,
            Self::Json(_) | Self::Http(_) | Self::Incomplete(_) => FailureCategory::Unknown,
        }
    }

    /// The failure in one constant CamelCase word.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Api(error) => match code(error) {
                Some(403) if is_quota(error) => "QuotaExceeded",
                Some(401 | 403) => "Forbidden",
                Some(404) => "NotFound",
                Some(409) => "Conflict",
                Some(422) => "Rejected",
                _ => "ApiServerUnavailable",
            },
            Self::NotLeading(_) => "NotLeading",
            Self::NameTaken { .. } => "NameTaken",
            Self::BeingDeleted { .. } => "AwaitingDeletion",
            Self::Json(_) | Self::Http(_) | Self::Incomplete(_) => "InternalError",
        }
    }

    /// Whether the object has changed since it was read: the change itself brings the next reconcile.
    #[must_use]
    pub fn is_conflict(&self) -> bool {
        matches!(self, Self::Api(error) if code(error) == Some(409))
    }

    /// Whether the object, or its namespace, has gone since it was read.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::Api(error) if code(error) == Some(404))
    }
}

fn code(error: &kube::Error) -> Option<u16> {
    match error {
        kube::Error::Api(status) => Some(status.code),
        _ => None,
    }
}

/// A quota answers as missing permission does, and differs by its message only.
fn is_quota(error: &kube::Error) -> bool {
    said(error).contains("exceeded quota")
}

/// What the API server says, without the client's wrapping.
fn said(error: &kube::Error) -> String {
    match error {
        kube::Error::Api(status) => status.message.clone(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use kube::core::Status;
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case(403, "pods \"x\" is forbidden: exceeded quota: small", "QuotaExceeded", FailureCategory::ResourceExhausted)]
    #[case(403, "jobs.batch is forbidden: User cannot create", "Forbidden", FailureCategory::Authentication)]
    #[case(409, "the object has been modified", "Conflict", FailureCategory::Transient)]
    #[case(422, "Job is invalid: spec.template", "Rejected", FailureCategory::Configuration)]
    #[case(500, "etcdserver: request timed out", "ApiServerUnavailable", FailureCategory::Transient)]
    fn api_errors(#[case] code: u16, #[case] message: &str, #[case] reason: &str, #[case] category: FailureCategory) {
        let status = Status::failure(message, "").with_code(code);
        let error = ControllerError::from(kube::Error::Api(status.boxed()));
        assert_eq!((error.reason(), error.category()), (reason, category));
        assert_eq!(error.to_string(), format!("the Kubernetes API: {message}"));
    }
}
