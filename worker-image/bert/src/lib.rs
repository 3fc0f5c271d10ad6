//! Sentence embeddings by BERT-family models on the CPU. [`Model::load`] reads a folder of sentence-transformers;
//! afterwards there is no I/O.
//!
//! What makes it fast: texts are laid end to end instead of padded, so that a dense layer is one product of a tall
//! matrix, while attention works on each text's exact length; weights are packed once for the kernel that reads them;
//! bias, residual and activation are applied while a tile of the product is in the first-level cache; every thread
//! runs whole passes of its own, in memory that it keeps.

mod error;
mod folder;
mod kernel;
mod model;
mod pass;
mod peak;
mod plan;
mod weights;

pub use error::ModelError;
pub use model::{Model, Sentence};
pub use peak::peak;
