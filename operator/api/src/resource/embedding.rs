//! Which model turns text into vectors. No I/O.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::source::SecretReference;
use crate::embedding::{ModelChange, OpenAISettings};

/// Which model turns text into vectors: exactly one of `embedded` and `openAI`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("[has(self.embedded), has(self.openAI)].filter(x, x).size() == 1")
    .message("spec.embedding: set exactly one provider, embedded or openAI"))]
pub struct Embedding {
    /// A model that runs inside the worker, on its CPU.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub embedded: Option<EmbeddedModel>,
    /// A server with an OpenAI-compatible interface: OpenAI, Azure, vLLM, TEI, Ollama.
    #[serde(default, rename = "openAI", skip_serializing_if = "Option::is_none")]
    pub openai: Option<OpenAIEmbedding>,
    /// Whether a text with more tokens than the model takes is cut. Where false it fails as InvalidInput. Chunks of documents always fit.
    #[serde(default)]
    pub truncate: bool,
    /// What happens if the collection was filled with another model: Refuse (the job fails and names both models), or Rebuild: every text of the collection is embedded with this job's model, and searches see the old vectors until all new ones are there.
    #[serde(default)]
    pub on_model_change: ModelChange,
}

impl Default for Embedding {
    fn default() -> Self {
        Self {
            embedded: Some(EmbeddedModel::default()),
            openai: None,
            truncate: false,
            on_model_change: ModelChange::Refuse,
        }
    }
}

/// A model that runs inside the worker: a directory as sentence-transformers writes it, of the BERT family.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!(has(self.persistentVolumeClaim) && has(self.configMap))")
    .message("spec.embedding.embedded: set at most one of persistentVolumeClaim and configMap"))]
pub struct EmbeddedModel {
    /// Name of the model: a folder of the worker image, unless a claim or ConfigMap holds it. The image holds all-MiniLM-L6-v2 (384 dimensions).
    #[schemars(length(min = 1, max = 128), regex(pattern = r"^[A-Za-z0-9][A-Za-z0-9._-]*$"))]
    #[serde(default = "default_model")]
    pub model: String,
    /// A claim in the job's namespace that holds the model's directory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub persistent_volume_claim: Option<ModelClaim>,
    /// A ConfigMap in the job's namespace whose keys are the model's files; `1_Pooling/config.json` is the key `1_Pooling_config.json`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config_map: Option<ModelConfigMap>,
}

fn default_model() -> String {
    "all-MiniLM-L6-v2".to_owned()
}

impl Default for EmbeddedModel {
    fn default() -> Self {
        Self { model: default_model(), persistent_volume_claim: None, config_map: None }
    }
}

/// A claim that holds a model.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct ModelClaim {
    /// Name of the claim.
    #[schemars(length(min = 1, max = 253))]
    pub claim_name: String,
    /// The model's folder within the claim, relative to its root; the root where empty.
    #[schemars(length(max = 1024))]
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[x_kube(validation = Rule::new("!self.startsWith('/') && !self.split('/').exists(part, part == '..')")
        .message("spec.embedding.embedded.persistentVolumeClaim.path: must be relative and free of '..', for instance 'models/e5-small'"))]
    pub path: String,
}

/// A ConfigMap that holds a model.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ModelConfigMap {
    /// Name of the ConfigMap.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
}

/// A server with an OpenAI-compatible interface.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("self.url.startsWith('http://') || self.url.startsWith('https://')")
        .message("spec.embedding.openAI.url: must begin with http:// or https://, for instance 'https://api.openai.com/v1'"),
    validation = Rule::new("!self.url.matches('^[^:]+://[^/?#]*@')")
        .message("spec.embedding.openAI.url: must hold no user or password, which everybody can read there; use spec.embedding.openAI.apiKeySecretRef or headersSecretRef"),
    validation = Rule::new("!has(self.proxyUrl) || self.proxyUrl.startsWith('http://') || self.proxyUrl.startsWith('https://')")
        .message("spec.embedding.openAI.proxyUrl: must begin with http:// or https://, for instance 'http://proxy.example:3128'"),
    validation = Rule::new("!has(self.proxyUrl) || !self.proxyUrl.matches('^[^:]+://[^/?#]*@')")
        .message("spec.embedding.openAI.proxyUrl: must hold no user or password, which everybody can read there; name a proxy that needs none"),
    validation = Rule::new("self.maxTokensPerText <= self.maxTokensPerRequest")
        .message("spec.embedding.openAI.maxTokensPerText: must not exceed spec.embedding.openAI.maxTokensPerRequest")
)]
pub struct OpenAIEmbedding {
    /// How the server is asked.
    #[serde(flatten)]
    pub settings: OpenAISettings,
    /// A key of a Secret in the job's namespace, sent as bearer token; none is sent where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub api_key_secret_ref: Option<SecretKeyReference>,
    /// A Secret in the job's namespace: each key is a request header, for instance `api-key`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub headers_secret_ref: Option<SecretReference>,
    /// A key of a ConfigMap in the job's namespace that holds certificates in PEM, trusted beside the public ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_bundle_config_map_ref: Option<ConfigMapKeyReference>,
    /// Price of a million tokens, for instance "0.02", from which status.estimatedCost is reckoned.
    #[schemars(length(min = 1, max = 16), regex(pattern = r"^[0-9]{1,6}(\.[0-9]{1,6})?$"))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub price_per_million_tokens: Option<String>,
}

/// A key of a Secret in the same namespace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SecretKeyReference {
    /// Name of the Secret.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    /// The key.
    #[schemars(length(min = 1, max = 253), regex(pattern = r"^[-._a-zA-Z0-9]+$"))]
    #[serde(default = "default_secret_key")]
    pub key: String,
}

fn default_secret_key() -> String {
    "apiKey".to_owned()
}

/// A key of a ConfigMap in the same namespace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ConfigMapKeyReference {
    /// Name of the ConfigMap.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    /// The key.
    #[schemars(length(min = 1, max = 253), regex(pattern = r"^[-._a-zA-Z0-9]+$"))]
    #[serde(default = "default_ca_key")]
    pub key: String,
}

pub(super) fn default_ca_key() -> String {
    "ca.crt".to_owned()
}
