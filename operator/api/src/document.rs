//! How documents are limited, parsed and chunked: the same words in a manifest and in a work spec. No I/O.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What happens to stored documents that are gone from the source.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub enum SyncMode {
    /// They stay.
    #[default]
    Append,
    /// They are removed, unless the listing failed or was partial.
    Mirror,
}

/// Limits for turning one document into text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Parsing {
    /// Seconds that parsing one document may take.
    #[schemars(range(min = 1, max = 3600))]
    pub document_timeout_seconds: i32,
    /// Size in bytes up to which a document is read; a larger one fails as InvalidInput.
    #[schemars(range(min = 1, max = 1_073_741_824))]
    pub max_document_bytes: i32,
}

impl Default for Parsing {
    fn default() -> Self {
        Self { document_timeout_seconds: 120, max_document_bytes: 64 * 1024 * 1024 }
    }
}

/// How text is cut.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub enum ChunkingStrategy {
    /// Markdown where the parser yields it (Markdown, HTML, PDF, DOCX), Plain otherwise.
    #[default]
    Auto,
    /// Along headings, paragraphs and lists; chunks know their headings.
    Markdown,
    /// Along paragraphs, sentences and words.
    Plain,
}

/// How text is cut into the pieces that are embedded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Chunking {
    /// How text is cut: Auto (by document type), Markdown (along headings) or Plain (along paragraphs and sentences).
    pub strategy: ChunkingStrategy,
    /// Most tokens a chunk may have, counted with the tokenizer of the embedding model; the model's own limit holds too.
    #[schemars(range(min = 16, max = 8192))]
    pub max_tokens: i32,
    /// Tokens that a chunk repeats from the end of the one before; less than maxTokens.
    #[schemars(range(min = 0, max = 4096))]
    pub overlap_tokens: i32,
}

impl Default for Chunking {
    fn default() -> Self {
        Self { strategy: ChunkingStrategy::Auto, max_tokens: 256, overlap_tokens: 32 }
    }
}
