//! What can go wrong with a source. No I/O.

use std::{env, io, net::IpAddr, time::Duration};

use lexigram_api::failure::FailureCategory;
use thiserror::Error;

use crate::failure::Classified;

/// Why documents could not be listed or fetched.
#[derive(Debug, Error)]
pub enum SourceError {
    /// A glob that cannot be understood.
    #[error("spec.source.{field}: '{glob}' is not a glob: {problem}")]
    Glob {
        /// `include[2]` or `exclude[0]`.
        field: String,
        /// The glob.
        glob: String,
        /// What is wrong with it.
        problem: String,
    },
    /// The directory to ingest is not there.
    #[error("there is no directory {path}; check spec.source.persistentVolumeClaim.path, or the argument of `ingest`")]
    NoDirectory {
        /// The directory.
        path: String,
    },
    /// A file or directory could not be read.
    #[error("cannot read {path}: {problem}")]
    Unreadable {
        /// The file or directory.
        path: String,
        /// What the system says.
        problem: String,
    },
    /// A temporary file could not be written.
    #[error("a temporary file cannot be written below {directory}: {problem}")]
    Scratch {
        /// Where temporary files go.
        directory: String,
        /// What the system says.
        problem: String,
    },
    /// A request header that HTTP does not allow.
    #[error(
        "the Secret of spec.source.http.headersSecretRef holds '{header}', which is no valid header or has no valid value"
    )]
    Header {
        /// Name of the header.
        header: String,
    },
    /// A URL that cannot be requested.
    #[error(
        "spec.source.http.urls: the URL cannot be requested ({problem}); give a whole one that begins with https:// or http://"
    )]
    Url {
        /// What is wrong with it.
        problem: String,
    },
    /// An address of the worker's own machine or link.
    #[error("{address} is a local address: set {field}.allowLocalAddresses to true if '{host}' is meant")]
    LocalAddress {
        /// Host of the URL; the rest of it may hold a token.
        host: String,
        /// The address.
        address: IpAddr,
        /// The source in the spec.
        field: &'static str,
        /// Whether the spec itself has the URL; it was found on the way otherwise.
        configured: bool,
    },
    /// A setting that cannot be used.
    #[error("{field}: {problem}")]
    Setting {
        /// The field of the spec.
        field: String,
        /// What is wrong with it, and what to do.
        problem: String,
    },
    /// A name that cannot be asked for.
    #[error("the name cannot be asked for: {problem}")]
    Name {
        /// What is wrong with it.
        problem: String,
    },
    /// A site has more than is asked for.
    #[error(
        "spec.source.http.crawl.maxDocuments: the site has more than {limit} pages; raise it, or take a part of the site by spec.source.http.urls or spec.source.exclude"
    )]
    TooManyDocuments {
        /// The limit.
        limit: i32,
    },
    /// The pod's identity is worth nothing.
    #[error(
        "the identity of the pod gives no credentials ({problem}); check spec.worker.serviceAccountName and the role that it is tied to, or set credentialsSecretRef"
    )]
    Identity {
        /// What the server says.
        problem: String,
    },
    /// One redirect after the other.
    #[error("the server redirects more than {limit} times; give the URL at which the document ends up")]
    Redirects {
        /// Redirects that are followed.
        limit: usize,
    },
    /// The document is no longer there.
    #[error("the document is gone from its source ({detail})")]
    Gone {
        /// What the source says.
        detail: String,
    },
    /// The document is larger than it may be.
    #[error("the document has more than {limit} bytes; raise spec.parsing.maxDocumentBytes or split it")]
    TooLarge {
        /// The limit in bytes.
        limit: u64,
    },
    /// The server refused the credentials.
    #[error("the server refuses access ({answer}); check {check}")]
    Refused {
        /// What it says, for instance `HTTP 403`.
        answer: String,
        /// The field with the credentials.
        check: &'static str,
    },
    /// The server asks to slow down.
    #[error("the server asks to slow down (HTTP {status})")]
    SlowDown {
        /// 429, or 503 with `Retry-After`.
        status: u16,
        /// How long to wait, if the server says so.
        retry_after: Option<Duration>,
    },
    /// The server cannot answer now.
    #[error("the server cannot answer at the moment (HTTP {status})")]
    ServerError {
        /// 5xx.
        status: u16,
    },
    /// The server will not answer this request.
    #[error("the server answers {answer}")]
    Rejected {
        /// What it says, for instance `HTTP 418`: not a document.
        answer: String,
    },
    /// The server took too long.
    #[error("the server did not answer within {seconds} s")]
    Timeout {
        /// The limit in seconds.
        seconds: u64,
    },
    /// The connection failed.
    #[error("the server cannot be reached, or broke off: {0}")]
    Connection(String),
}

impl SourceError {
    /// The failure to write a temporary file.
    pub(super) fn scratch(error: io::Error) -> Self {
        Self::Scratch { directory: env::temp_dir().display().to_string(), problem: error.to_string() }
    }
}

impl Classified for SourceError {
    fn category(&self) -> FailureCategory {
        match self {
            Self::Glob { .. }
            | Self::NoDirectory { .. }
            | Self::Header { .. }
            | Self::Url { .. }
            | Self::Setting { .. }
            | Self::TooManyDocuments { .. }
            | Self::LocalAddress { configured: true, .. } => FailureCategory::Configuration,
            Self::Unreadable { .. } | Self::ServerError { .. } | Self::Connection(_) => FailureCategory::Transient,
            Self::Gone { .. }
            | Self::TooLarge { .. }
            | Self::Name { .. }
            | Self::Rejected { .. }
            | Self::Redirects { .. }
            | Self::LocalAddress { configured: false, .. } => FailureCategory::InvalidInput,
            Self::Refused { .. } | Self::Identity { .. } => FailureCategory::Authentication,
            Self::SlowDown { .. } => FailureCategory::RateLimited,
            Self::Timeout { .. } => FailureCategory::Timeout,
            Self::Scratch { .. } => FailureCategory::ResourceExhausted,
        }
    }

    fn reason(&self) -> &'static str {
        match self {
            Self::Glob { .. } => "InvalidGlob",
            Self::NoDirectory { .. } => "SourceDirectoryNotFound",
            Self::Unreadable { .. } => "SourceUnreadable",
            Self::Scratch { .. } => "ScratchFailed",
            Self::Header { .. } => "InvalidHeader",
            Self::Url { .. } => "InvalidUrl",
            Self::LocalAddress { .. } => "LocalAddress",
            Self::Setting { .. } => "InvalidSourceSetting",
            Self::TooManyDocuments { .. } => "TooManyDocuments",
            Self::Name { .. } => "UnusableName",
            Self::Identity { .. } => "IdentityRefused",
            Self::Redirects { .. } => "TooManyRedirects",
            Self::Gone { .. } => "SourceGone",
            Self::TooLarge { .. } => "DocumentTooLarge",
            Self::Refused { .. } => "SourceAccessDenied",
            Self::SlowDown { .. } => "SourceRateLimited",
            Self::ServerError { .. } => "SourceServerError",
            Self::Rejected { .. } => "SourceRejected",
            Self::Timeout { .. } => "SourceTimeout",
            Self::Connection(_) => "SourceUnreachable",
        }
    }
}
