//! Another model for a collection: the trait that stores share. No I/O here.

use uuid::Uuid;

use super::StoreFuture;

/// A chunk that has no vector of the next model yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeftChunk {
    /// The chunk.
    pub id: Uuid,
    /// Its text.
    pub text: String,
}

/// A collection for which vectors of another model are made. Searches and runs go on with the model in use until
/// [`finish`](Self::finish) has said yes; a process that dies meanwhile leaves what it has made to the next one.
pub trait Rebuild: Send + Sync {
    /// Up to `limit` chunks that lack a vector, whatever source they belong to.
    fn left(&self, limit: usize) -> StoreFuture<'_, Vec<LeftChunk>>;
    /// Stores vectors. A chunk that is gone meanwhile is passed over.
    fn carry_over(&self, embedded: Vec<(LeftChunk, Vec<f32>)>) -> StoreFuture<'_, ()>;
    /// Puts the new vectors in the place of the old ones, all at once; false if a chunk lacks one.
    fn finish(&self) -> StoreFuture<'_, bool>;
}
