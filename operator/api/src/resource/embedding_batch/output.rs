//! Where the vectors of a batch go. No I/O.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use crate::text::VectorFormat;

/// Where vectors go: exactly one of `collection` and `files`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("[has(self.collection), has(self.files)].filter(x, x).size() == 1")
    .message("spec.output: set exactly one of collection and files"))]
pub struct BatchOutput {
    /// The collection that rows go into, to be searched.
    #[schemars(length(min = 1, max = 200), regex(pattern = r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$"))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub collection: Option<String>,
    /// Files on a claim.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub files: Option<FilesOutput>,
}

/// Files on a claim: `part-00000.parquet` and so on, each complete once it is there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct FilesOutput {
    /// Name of a claim in the batch's namespace, mounted writable.
    #[schemars(length(min = 1, max = 253))]
    pub claim_name: String,
    /// Folder within the claim, relative to its root, which the batch has for itself; the batch's name where absent.
    #[schemars(length(min = 1, max = 1024))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = Rule::new("!self.startsWith('/') && !self.split('/').exists(part, part == '..')")
        .message("spec.output.files.path: must be relative and free of '..', for instance 'vectors/reviews'"))]
    pub path: Option<String>,
    /// How vectors are written: JSONL or Parquet.
    #[serde(default)]
    pub format: VectorFormat,
}
