//! Where a worker finds documents. No I/O, no secrets.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::source::{Crawl, GitSettings, S3Settings};

/// Where documents come from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all_fields = "camelCase")]
pub enum SourceLocation {
    /// Files below a directory: a mounted ConfigMap or claim, or a folder of the user's.
    Directory {
        /// The directory.
        path: String,
    },
    /// Documents by URL.
    Http {
        /// The documents, or where the crawl begins.
        urls: Vec<String>,
        /// How more documents are found; the URLs are all there is where absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        crawl: Option<Crawl>,
        /// Directory with one file a request header.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        headers_directory: Option<String>,
        /// How the servers are reached.
        #[serde(flatten)]
        access: NetworkAccess,
    },
    /// Objects of a bucket.
    S3 {
        /// Which ones.
        #[serde(flatten)]
        settings: S3Settings,
        /// Directory with the files `accessKeyId`, `secretAccessKey` and, if there is one, `sessionToken`; the identity
        /// of the pod where absent, and no signature where it has none.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        credentials_directory: Option<String>,
        /// How the server is reached.
        #[serde(flatten)]
        access: NetworkAccess,
    },
    /// Files of a git repository.
    Git {
        /// Which ones.
        #[serde(flatten)]
        settings: GitSettings,
        /// Directory with the files `password` and, unless any will do, `username`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        credentials_directory: Option<String>,
        /// How the server is reached.
        #[serde(flatten)]
        access: NetworkAccess,
    },
    /// Documents that stand in the spec itself.
    Inline {
        /// The documents.
        documents: Vec<InlineDocument>,
    },
}

/// How the servers of a source are reached.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NetworkAccess {
    /// Whether loopback, link-local and metadata addresses are reached; they are refused otherwise.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub allow_local_addresses: bool,
    /// File with certificates in PEM that are trusted beside the public ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<String>,
}

/// A document that stands in the spec itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct InlineDocument {
    /// Name of the document, unique within the list; its ending tells the type (`.md`, `.html`, plain text otherwise).
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    /// Text of the document.
    #[schemars(length(max = 65_536))]
    pub text: String,
}
