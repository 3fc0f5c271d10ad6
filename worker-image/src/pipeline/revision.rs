//! What tells one state of a document from another, and one chunk from another. No I/O.

use lexigram_api::document::Chunking;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::{chunk::CHUNKER_VERSION, parse::PARSER_VERSION};

/// Namespace of chunk ids; never changes, or every chunk would get another id.
const CHUNK_NAMESPACE: Uuid = Uuid::from_u128(0x6c65_7869_6772_616d_8c68_756e_6b69_6473);

/// Everything beside a document's content that its chunks and vectors depend on, in 32 hexadecimal digits.
#[must_use]
pub fn pipeline_fingerprint(chunking: &Chunking, model: &str) -> String {
    let Chunking { strategy, max_tokens, overlap_tokens } = chunking;
    let parts = format!("{PARSER_VERSION}\n{CHUNKER_VERSION}\n{strategy:?} {max_tokens} {overlap_tokens}\n{model}");
    hexadecimal(&Sha256::digest(parts)[..16])
}

/// The revision of a document: SHA-256 of its content, and the pipeline's fingerprint.
#[must_use]
pub fn revision(content: &[u8; 32], pipeline: &str) -> String {
    format!("{}.{pipeline}", hexadecimal(content))
}

/// The id of a chunk: the same place in the same revision of the same document gives the same id.
#[must_use]
pub fn chunk_id(collection: &str, scope: &str, document: &str, revision: &str, ordinal: i32) -> Uuid {
    // no part can hold a NUL: neither paths nor URLs nor names of resources do
    let name = format!("{collection}\0{scope}\0{document}\0{revision}\0{ordinal}");
    Uuid::new_v5(&CHUNK_NAMESPACE, name.as_bytes())
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_revision_changes_with_content_settings_and_model() {
        let chunking = Chunking::default();
        let pipeline = pipeline_fingerprint(&chunking, "model-a");
        let (content, other) = (&[7; 32], &[8; 32]);
        let base = revision(content, &pipeline);
        assert_eq!(base, revision(content, &pipeline_fingerprint(&chunking, "model-a")));
        assert_ne!(base, revision(other, &pipeline));
        assert_ne!(base, revision(content, &pipeline_fingerprint(&chunking, "model-b")));
        let smaller = Chunking { max_tokens: 128, ..chunking };
        assert_ne!(base, revision(content, &pipeline_fingerprint(&smaller, "model-a")));
    }

    #[test]
    fn chunk_ids_are_stable_and_differ_in_every_part() {
        let id = chunk_id("docs", "configMap/a", "a.md", "r", 0);
        // written down: another value would double every chunk of every store there is
        assert_eq!(id.to_string(), "fc81468d-6a66-561a-a92d-2fd27d838fc1");
        for other in [
            chunk_id("other", "configMap/a", "a.md", "r", 0),
            chunk_id("docs", "configMap/b", "a.md", "r", 0),
            chunk_id("docs", "configMap/a", "b.md", "r", 0),
            chunk_id("docs", "configMap/a", "a.md", "s", 0),
            chunk_id("docs", "configMap/a", "a.md", "r", 1),
        ] {
            assert_ne!(id, other);
        }
    }
}
