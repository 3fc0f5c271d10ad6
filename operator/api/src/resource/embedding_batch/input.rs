//! Where the texts of a batch come from. No I/O.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use crate::{
    resource::source::{SecretReference, SourceAccess},
    text::{InlineText, TextFields, TextFormat},
};

/// Where texts come from: exactly one of `texts`, `configMap`, `persistentVolumeClaim` and `http`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("[has(self.texts), has(self.configMap), has(self.persistentVolumeClaim), has(self.http)].filter(x, x).size() == 1")
        .message("spec.input: set exactly one of texts, configMap, persistentVolumeClaim and http"),
    validation = Rule::new("!(has(self.texts) && has(self.format))")
        .message("spec.input.format: texts in the manifest have no format; remove it"),
    validation = Rule::new("!(has(self.format) && self.format == 'Lines' && (has(self.idField) || has(self.metadataFields)))")
        .message("spec.input.format: lines have no fields; remove spec.input.idField and spec.input.metadataFields, or use JSONL, CSV or Parquet")
)]
pub struct BatchInput {
    /// Texts that stand in this manifest.
    #[schemars(length(min = 1, max = 1000))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = Rule::new("self.map(t, size(t.text)).sum() <= 262144")
        .message("spec.input.texts: at most 262144 characters in all; put more into a ConfigMap or a claim"))]
    pub texts: Option<Vec<InlineText>>,
    /// A key of a ConfigMap in the batch's namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config_map: Option<ConfigMapInput>,
    /// A file of a claim in the batch's namespace, mounted read-only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub persistent_volume_claim: Option<PersistentVolumeClaimInput>,
    /// A file by URL.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http: Option<HttpInput>,
    /// How the file is written: Lines, JSONL, CSV or Parquet; by the ending of its name (.txt, .jsonl, .ndjson, .csv, .parquet) where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "TextFormat")]
    pub format: Option<TextFormat>,
    /// Which fields of a row mean what.
    #[serde(flatten)]
    pub fields: TextFields,
}

/// A key of a ConfigMap.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct ConfigMapInput {
    /// Name of the ConfigMap.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    /// The key, whose ending tells the format.
    #[schemars(length(min = 1, max = 253), regex(pattern = r"^[-._a-zA-Z0-9]+$"))]
    pub key: String,
}

/// A file of a claim.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct PersistentVolumeClaimInput {
    /// Name of the claim.
    #[schemars(length(min = 1, max = 253))]
    pub claim_name: String,
    /// The file within the claim, relative to its root.
    #[schemars(length(min = 1, max = 1024))]
    #[x_kube(validation = Rule::new("!self.startsWith('/') && !self.split('/').exists(part, part == '..')")
        .message("spec.input.persistentVolumeClaim.path: must be relative and free of '..', for instance 'exports/reviews.jsonl'"))]
    pub path: String,
}

/// A file by URL.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct HttpInput {
    /// The file's URL.
    #[schemars(length(min = 8, max = 2048))]
    #[x_kube(validation = Rule::new("self.startsWith('http://') || self.startsWith('https://')")
        .message("spec.input.http.url: must begin with http:// or https://"))]
    #[x_kube(validation = Rule::new("!self.matches('^[^:]+://[^/?#]*@')")
        .message("spec.input.http.url: must hold no user or password, which everybody can read there; use spec.input.http.headersSecretRef"))]
    pub url: String,
    /// A Secret in the batch's namespace: each key is a request header, for instance `Authorization`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub headers_secret_ref: Option<SecretReference>,
    /// How the server is reached.
    #[serde(flatten)]
    pub access: SourceAccess,
}
