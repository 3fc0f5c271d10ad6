//! Why a command could not do what it was asked, and the exit code that follows. No I/O.

use std::io;

use kube::{config::KubeconfigError, core::Status, runtime::watcher};
use thiserror::Error;

/// Exit codes, as the help and docs/kubectl-plugin.md explain them.
pub const FINE: u8 = 0;
pub const ERROR: u8 = 1;
pub const USAGE: u8 = 2;
pub const FAILED: u8 = 3;

/// Why a command could not do what it was asked.
#[derive(Debug, Error)]
pub enum PluginError {
    /// The command line asks for something that there is not.
    #[error("{0}")]
    Usage(String),
    /// The kubeconfig cannot be used.
    #[error("the kubeconfig cannot be used: {0}")]
    Kubeconfig(#[from] KubeconfigError),
    /// The API server has refused.
    #[error("the Kubernetes API: {}", .0.message)]
    Refused(Box<Status>),
    /// The API server cannot be reached.
    #[error("the Kubernetes API cannot be reached: {0}")]
    Unreachable(#[source] Box<kube::Error>),
    /// The API server does not know the kinds.
    #[error("Lexigram Workers is not installed in this cluster; `kubectl lexigram doctor` says how to")]
    NotInstalled,
    /// An object is not there.
    #[error("{object} is not there in the namespace {namespace}; `kubectl lexigram status` lists what is")]
    NotFound {
        /// The object as kubectl names it.
        object: String,
        /// Its namespace.
        namespace: String,
    },
    /// The image of the worker is not known.
    #[error("{0}; name the worker's image with --image, or the operator's namespace with --operator-namespace")]
    NoImage(String),
    /// The pod of a search has not ended.
    #[error("the search has not ended within {seconds} s: {why}")]
    SearchTimeout {
        /// How long it was waited for.
        seconds: u64,
        /// What the pod waits for.
        why: String,
    },
    /// The pod of a search has failed.
    #[error("the search has failed: {0}")]
    SearchFailed(String),
    /// An object is not as this release of the plugin knows it.
    #[error("{object} cannot be understood, use the plugin of the operator's release: {problem}")]
    Unreadable {
        /// The object as kubectl names it.
        object: String,
        /// What is wrong with it.
        problem: serde_json::Error,
    },
    /// JSON cannot be written.
    #[error("cannot write JSON: {0}")]
    Json(#[from] serde_json::Error),
    /// YAML cannot be written.
    #[error("cannot write YAML: {0}")]
    Yaml(String),
    /// Standard output cannot be written, or a signal not waited for.
    #[error("{0}")]
    Io(#[from] io::Error),
}

impl From<kube::Error> for PluginError {
    fn from(error: kube::Error) -> Self {
        match error {
            kube::Error::Api(status) => Self::Refused(status),
            other => Self::Unreachable(Box::new(other)),
        }
    }
}

impl From<watcher::Error> for PluginError {
    fn from(error: watcher::Error) -> Self {
        match error {
            watcher::Error::InitialListFailed(error)
            | watcher::Error::WatchStartFailed(error)
            | watcher::Error::WatchFailed(error) => error.into(),
            watcher::Error::WatchError(status) => Self::Refused(status),
            watcher::Error::NoResourceVersion => {
                Self::Refused(Status::failure("the answer to a watch has no version", "").boxed())
            }
        }
    }
}

impl PluginError {
    /// Why a kind cannot be listed: it is never the list that is not there.
    pub fn of_list(error: kube::Error) -> Self {
        match Self::from(error) {
            error if error.is_not_found() => Self::NotInstalled,
            error => error,
        }
    }

    /// The exit code that follows.
    pub const fn exit_code(&self) -> u8 {
        match self {
            Self::Usage(_) => USAGE,
            Self::SearchFailed(_) => FAILED,
            Self::Kubeconfig(_)
            | Self::Refused(_)
            | Self::Unreachable(_)
            | Self::NotInstalled
            | Self::NotFound { .. }
            | Self::NoImage(_)
            | Self::SearchTimeout { .. }
            | Self::Unreadable { .. }
            | Self::Json(_)
            | Self::Yaml(_)
            | Self::Io(_) => ERROR,
        }
    }

    /// Whether something is not there.
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::Refused(status) if status.code == 404)
    }
}
