//! The embedding cache: which vector a text has under a model. The trait that caches share; no I/O here.
//!
//! Keys are 32 bytes, the same for every cache there is: see [`CacheKey::new`]. A table `(key bytea primary key, vector
//! bytea, …)` serves as well as any other. A vector never changes, so that writers need not agree on anything: the first
//! one wins. A cache may forget whatever it likes.

use sha2::{Digest, Sha256};

use super::StoreFuture;

/// What a vector is remembered by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CacheKey(pub [u8; 32]);

impl CacheKey {
    /// The key of a text: SHA-256 of the model's fingerprint, of whether texts that are too long are cut, and of the
    /// text, each ended by a byte that UTF-8 does not have.
    #[must_use]
    pub fn new(fingerprint: &str, truncate: bool, text: &str) -> Self {
        let cut = if truncate { "cut" } else { "whole" };
        let mut hash = Sha256::new();
        for part in [fingerprint, cut, text] {
            hash.update(part);
            hash.update([0xff]);
        }
        Self(hash.finalize().into())
    }
}

/// What a cache notes of the model of a vector: so that it can forget those of models that nobody uses.
#[must_use]
pub fn model_number(fingerprint: &str) -> i64 {
    let hash = Sha256::digest(fingerprint);
    i64::from_be_bytes([hash[0], hash[1], hash[2], hash[3], hash[4], hash[5], hash[6], hash[7]])
}

/// Seconds for which it is not noted that a vector was used once more.
pub(super) const USE_NOTED_EVERY: i64 = 24 * 3600;

/// Remembers vectors.
pub trait EmbeddingCache: Send + Sync {
    /// The vector of each key, in order; none where it is not known.
    fn get(&self, keys: Vec<CacheKey>) -> StoreFuture<'_, Vec<Option<Vec<f32>>>>;
    /// Remembers vectors of the model with that fingerprint. Those that are known already stay as they are.
    fn put<'a>(&'a self, model: &'a str, entries: Vec<(CacheKey, Vec<f32>)>) -> StoreFuture<'a, ()>;
}

#[cfg(test)]
mod tests {
    use super::CacheKey;

    #[test]
    fn keys_differ_in_every_part_and_never_change() {
        let key = CacheKey::new("model@1", false, "text");
        for other in [
            CacheKey::new("model@2", false, "text"),
            CacheKey::new("model@1", true, "text"),
            CacheKey::new("model@1", false, "texts"),
        ] {
            assert_ne!(key, other);
        }
        // written down: another value would make every cache there is useless
        let hexadecimal: String = key.0[..8].iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hexadecimal, "191d8d9f29170319");
    }
}
