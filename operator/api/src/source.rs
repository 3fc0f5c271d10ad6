//! Settings of sources that are reached over the network: the same words in a manifest and in a work spec. No I/O.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What leads from one document of a web site to the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub enum Follow {
    /// Sitemaps list the documents.
    Sitemap,
    /// Links of HTML pages lead to them.
    Links,
}

/// How the documents of a web site are found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Crawl {
    /// Sitemap (the URLs are those of sitemaps or sitemap indexes, also gzipped; what they list is ingested, as far as it is of the same site), or Links (the URLs are pages where reading begins; links are followed to whatever has the same scheme, host and port and stands in the same folder or below).
    pub follow: Follow,
    /// Links only: how many links away from a page of spec.source.http.urls a document may be.
    #[schemars(range(min = 1, max = 20))]
    #[serde(default = "link_depth")]
    pub link_depth: i32,
    /// Most documents. A site with more is ingested up to here, and the run fails and says so.
    #[schemars(range(min = 1, max = 100_000))]
    #[serde(default = "max_documents")]
    pub max_documents: i32,
}

const fn link_depth() -> i32 {
    3
}

const fn max_documents() -> i32 {
    1000
}

/// Objects of a bucket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct S3Settings {
    /// Name of the bucket.
    #[schemars(length(min = 1, max = 255), regex(pattern = r"^[A-Za-z0-9][A-Za-z0-9._-]*$"))]
    pub bucket: String,
    /// Only objects whose keys begin with this, for instance `docs/`; every object where empty.
    #[schemars(length(max = 1024))]
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub prefix: String,
    /// The bucket's region. Servers other than AWS mostly take any.
    #[schemars(length(min = 1, max = 64), regex(pattern = r"^[A-Za-z0-9-]+$"))]
    #[serde(default = "region")]
    pub region: String,
    /// The server, for instance `https://minio.example.com:9000`; AWS in `region` where absent.
    #[schemars(length(min = 8, max = 2048))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<String>,
    /// Whether the bucket stands in the URL's path instead of its host. Where absent: true with an `endpoint`, or if the bucket's name has a dot.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path_style: Option<bool>,
}

fn region() -> String {
    "us-east-1".to_owned()
}

/// Files of a git repository.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GitSettings {
    /// URL of the repository over HTTPS or HTTP, for instance `https://git.example.com/team/docs.git`.
    #[schemars(length(min = 8, max = 2048))]
    pub url: String,
    /// Branch, tag, whole name below `refs/`, or commit in 40 hexadecimal digits; HEAD is the server's main branch. Each run takes what it stands for then.
    #[schemars(length(min = 1, max = 255), regex(pattern = r"^[A-Za-z0-9][A-Za-z0-9._/+@-]*$"))]
    #[serde(rename = "ref", default = "head")]
    pub reference: String,
    /// Folder or file of the repository, relative to its root; all of it where empty.
    #[schemars(length(max = 1024))]
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub path: String,
}

fn head() -> String {
    "HEAD".to_owned()
}
