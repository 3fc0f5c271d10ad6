//! What tells one text from another, and one way of embedding it from another. No I/O.

use lexigram_api::contract::{EmbedTask, OutputLocation};
use sha2::{Digest, Sha256};
use uuid::Uuid;

/// Namespace of the ids of texts; never changes, or every text would get another id.
const TEXT_NAMESPACE: Uuid = Uuid::from_u128(0x6c65_7869_6772_616d_8c74_6578_742d_6964);
/// Changes when the same row and settings would be stored in another way.
const BATCH_VERSION: &str = "batch-1";

/// Everything beside a row that its vector and the way it is kept depend on, in 32 hexadecimal digits.
pub(super) fn pipeline_fingerprint(task: &EmbedTask, model: &str) -> String {
    let output = match &task.output {
        OutputLocation::Collection { collection } => format!("collection {collection}"),
        OutputLocation::Files { directory, format, owner } => format!("files {directory} {format:?} {owner}"),
    };
    let truncate = task.embedding.truncate;
    let parts = format!("{BATCH_VERSION}\n{model}\n{truncate}\n{output}");
    hexadecimal(&Sha256::digest(parts)[..16])
}

/// The id of a stored text. It does not depend on what the text says: a text that changes keeps its id.
pub(super) fn text_id(collection: &str, scope: &str, key: &str) -> Uuid {
    // the key comes last: the parts before it can hold no NUL
    Uuid::new_v5(&TEXT_NAMESPACE, format!("{collection}\0{scope}\0{key}").as_bytes())
}

/// Bytes as hexadecimal digits.
pub(super) fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_stable_and_differ_in_every_part() {
        let id = text_id("docs", "batch/a", "1");
        for other in
            [text_id("other", "batch/a", "1"), text_id("docs", "batch/b", "1"), text_id("docs", "batch/a", "2")]
        {
            assert_ne!(id, other);
        }
        assert_eq!(id, text_id("docs", "batch/a", "1"));
    }
}
