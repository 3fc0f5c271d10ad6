//! Which model turns text into vectors. No I/O.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Which model turns text into vectors: exactly one member.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("[has(self.embedded)].filter(x, x).size() == 1")
    .message("spec.embedding: set exactly one provider; the one available is 'embedded'"))]
pub struct Embedding {
    /// A model that runs inside the worker, on its CPU.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub embedded: Option<EmbeddedModel>,
}

impl Default for Embedding {
    fn default() -> Self {
        Self { embedded: Some(EmbeddedModel::default()) }
    }
}

/// A model that runs inside the worker.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct EmbeddedModel {
    /// Name of the model: a folder of the worker image's models directory. The image holds all-MiniLM-L6-v2 (384 dimensions).
    #[schemars(length(min = 1, max = 128), regex(pattern = r"^[A-Za-z0-9][A-Za-z0-9._-]*$"))]
    pub model: String,
}

impl Default for EmbeddedModel {
    fn default() -> Self {
        Self { model: "all-MiniLM-L6-v2".to_owned() }
    }
}
