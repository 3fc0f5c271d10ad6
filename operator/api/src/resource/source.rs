//! Where documents come from. No I/O.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::embedding::ConfigMapKeyReference;
use crate::{
    contract::InlineDocument,
    source::{Crawl, GitSettings, S3Settings},
};

/// Where documents come from: exactly one of `configMap`, `persistentVolumeClaim`, `http`, `s3`, `git` and `inline`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("[has(self.configMap), has(self.persistentVolumeClaim), has(self.http), has(self.s3), has(self.git), has(self.inline)].filter(x, x).size() == 1")
    .message("spec.source: set exactly one of configMap, persistentVolumeClaim, http, s3, git and inline"))]
pub struct Source {
    /// Each key of a ConfigMap in the job's namespace is a document.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config_map: Option<ConfigMapSource>,
    /// Files below a folder of a claim in the job's namespace, mounted read-only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub persistent_volume_claim: Option<PersistentVolumeClaimSource>,
    /// Documents by URL.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http: Option<HttpSource>,
    /// Objects of a bucket.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub s3: Option<S3Source>,
    /// Files of a git repository.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub git: Option<GitSource>,
    /// Documents that stand in this manifest.
    #[schemars(length(min = 1, max = 100))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = Rule::new("self.map(d, size(d.text)).sum() <= 131072")
        .message("spec.source.inline: at most 131072 characters in all; put larger documents into a ConfigMap or a claim"))]
    #[x_kube(validation = Rule::new("self.all(d, self.exists_one(e, e.name == d.name))")
        .message("spec.source.inline: names must differ; give each document a name of its own"))]
    pub inline: Option<Vec<InlineDocument>>,
    /// Globs on document names; only matching documents are ingested. `*` stays within a folder, `**` does not. Everything where empty.
    #[schemars(length(max = 32), inner(length(min = 1, max = 256)))]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub include: Vec<String>,
    /// Globs on document names that are left out, even if `include` names them.
    #[schemars(length(max = 32), inner(length(min = 1, max = 256)))]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exclude: Vec<String>,
}

/// A ConfigMap whose keys are documents.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct ConfigMapSource {
    /// Name of the ConfigMap.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
}

/// A claim that holds documents.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct PersistentVolumeClaimSource {
    /// Name of the claim.
    #[schemars(length(min = 1, max = 253))]
    pub claim_name: String,
    /// Folder within the claim, relative to its root; the root where empty.
    #[schemars(length(max = 1024))]
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[x_kube(validation = Rule::new("!self.startsWith('/') && !self.split('/').exists(part, part == '..')")
        .message("spec.source.persistentVolumeClaim.path: must be relative and free of '..', for instance 'docs/manuals'"))]
    pub path: String,
}

/// Documents by URL.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct HttpSource {
    /// The documents' URLs; with `crawl`, where it begins.
    #[schemars(length(min = 1, max = 1000), inner(length(min = 8, max = 2048)))]
    #[x_kube(validation = Rule::new("self.all(url, url.startsWith('http://') || url.startsWith('https://'))")
        .message("spec.source.http.urls: every URL must begin with http:// or https://"))]
    #[x_kube(validation = Rule::new("!self.exists(url, url.matches('^[^:]+://[^/?#]*@'))")
        .message("spec.source.http.urls: a URL must hold no user or password, which everybody can read there; use spec.source.http.headersSecretRef"))]
    pub urls: Vec<String>,
    /// A Secret in the job's namespace: each key is a request header, for instance `Authorization`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub headers_secret_ref: Option<SecretReference>,
    /// How more documents are found from these URLs; they are all there is where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub crawl: Option<Crawl>,
    /// How the servers are reached.
    #[serde(flatten)]
    pub access: SourceAccess,
}

/// Objects of a bucket, of AWS or any other server with its interface.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("!has(self.endpoint) || self.endpoint.startsWith('http://') || self.endpoint.startsWith('https://')")
        .message("spec.source.s3.endpoint: must begin with http:// or https://, for instance 'https://minio.example.com:9000'"),
    validation = Rule::new("!has(self.endpoint) || !self.endpoint.contains('@')")
        .message("spec.source.s3.endpoint: must hold no user or password, which everybody can read there; use spec.source.s3.credentialsSecretRef")
)]
pub struct S3Source {
    /// Which objects.
    #[serde(flatten)]
    pub settings: S3Settings,
    /// A Secret in the job's namespace with the keys `accessKeyId`, `secretAccessKey` and, for temporary ones, `sessionToken`. Where absent the pod's identity is used (spec.worker.serviceAccountName, where the cloud ties it to a role), and where there is none requests go unsigned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credentials_secret_ref: Option<SecretReference>,
    /// How the server is reached.
    #[serde(flatten)]
    pub access: SourceAccess,
}

/// Files of a git repository. Only changed ones are fetched on the next run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("self.url.startsWith('https://') || self.url.startsWith('http://')")
        .message("spec.source.git.url: must begin with https:// or http://, for instance 'https://git.example.com/team/docs.git'"),
    validation = Rule::new("!self.url.contains('@')")
        .message("spec.source.git.url: must hold no user or password, which everybody can read there; use spec.source.git.credentialsSecretRef"),
    validation = Rule::new("!has(self.path) || (!self.path.startsWith('/') && !self.path.split('/').exists(part, part == '..'))")
        .message("spec.source.git.path: must be relative and free of '..', for instance 'docs/manuals'")
)]
pub struct GitSource {
    /// Which files.
    #[serde(flatten)]
    pub settings: GitSettings,
    /// A Secret in the job's namespace with the keys `username` and `password`, as `kubernetes.io/basic-auth` has them. A token goes into `password`; without `username` the name is `git`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credentials_secret_ref: Option<SecretReference>,
    /// How the server is reached.
    #[serde(flatten)]
    pub access: SourceAccess,
}

/// How the servers of a source or input are reached.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SourceAccess {
    /// Whether servers may have loopback or link-local addresses, or those of a cloud's metadata service. Where false such an address is refused, whether it stands in a URL, or a name or redirect leads there.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub allow_local_addresses: bool,
    /// A key of a ConfigMap in the job's namespace that holds certificates in PEM, trusted beside the public ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_bundle_config_map_ref: Option<ConfigMapKeyReference>,
}

/// A Secret in the same namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct SecretReference {
    /// Name of the Secret.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
}
