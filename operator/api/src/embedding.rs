//! Settings of embedding providers: the same words in a manifest and in a work spec. No I/O.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What happens to a collection that another model has filled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub enum ModelChange {
    /// The job is refused.
    #[default]
    Refuse,
    /// Every text of the collection is embedded anew, beside the vectors in use, which are given up when all are there.
    Rebuild,
}

/// How an OpenAI-compatible server writes vectors.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub enum EncodingFormat {
    /// Little-endian 32-bit floats in base64: a quarter of the bytes. A server that answers with numbers all the same is understood.
    #[default]
    Base64,
    /// JSON numbers: for servers that know nothing else.
    Float,
}

/// A server with an OpenAI-compatible `POST /embeddings`: OpenAI, Azure, vLLM, TEI, Ollama.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct OpenAISettings {
    /// Base URL, to which `/embeddings` is added, for instance `https://api.openai.com/v1`. A query stays at its end.
    #[schemars(length(min = 8, max = 2048))]
    pub url: String,
    /// Name of the model, as the server knows it.
    #[schemars(length(min = 1, max = 256))]
    pub model: String,
    /// Numbers in a vector, asked of the server; its own choice where absent.
    #[schemars(range(min = 1, max = 16_384))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dimensions: Option<i32>,
    /// How the server writes vectors: Base64 or Float.
    #[serde(default)]
    pub encoding_format: EncodingFormat,
    /// Most texts in a request.
    #[schemars(range(min = 1, max = 2048))]
    #[serde(default = "max_items_per_request")]
    pub max_items_per_request: i32,
    /// Most tokens in a request, all its texts together.
    #[schemars(range(min = 16, max = 1_000_000))]
    #[serde(default = "max_tokens_per_request")]
    pub max_tokens_per_request: i32,
    /// Most tokens of one text, as the model's documentation says. Counted with OpenAI's cl100k_base, which other models come close to.
    #[schemars(range(min = 16, max = 1_000_000))]
    #[serde(default = "max_tokens_per_text")]
    pub max_tokens_per_text: i32,
    /// Seconds that one request may take.
    #[schemars(range(min = 1, max = 600))]
    #[serde(default = "request_timeout_seconds")]
    pub request_timeout_seconds: i32,
    /// Requests that are open at once, in one worker.
    #[schemars(range(min = 1, max = 64))]
    #[serde(default = "max_concurrent_requests")]
    pub max_concurrent_requests: i32,
    /// Requests a minute, all workers of the job together; no limit where absent.
    #[schemars(range(min = 1, max = 1_000_000))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requests_per_minute: Option<i32>,
    /// Tokens a minute, all workers of the job together; no limit where absent.
    #[schemars(range(min = 1, max = 2_000_000_000))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens_per_minute: Option<i32>,
    /// Proxy through which the server is reached, for instance `http://proxy.example:3128`.
    #[schemars(length(min = 8, max = 2048))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proxy_url: Option<String>,
}

impl OpenAISettings {
    /// That model of that server; everything else by default.
    #[must_use]
    pub fn new(url: &str, model: &str) -> Self {
        Self {
            url: url.to_owned(),
            model: model.to_owned(),
            dimensions: None,
            encoding_format: EncodingFormat::default(),
            max_items_per_request: max_items_per_request(),
            max_tokens_per_request: max_tokens_per_request(),
            max_tokens_per_text: max_tokens_per_text(),
            request_timeout_seconds: request_timeout_seconds(),
            max_concurrent_requests: max_concurrent_requests(),
            requests_per_minute: None,
            tokens_per_minute: None,
            proxy_url: None,
        }
    }
}

const fn max_items_per_request() -> i32 {
    256
}

const fn max_tokens_per_request() -> i32 {
    100_000
}

const fn max_tokens_per_text() -> i32 {
    8191
}

const fn request_timeout_seconds() -> i32 {
    60
}

const fn max_concurrent_requests() -> i32 {
    4
}
