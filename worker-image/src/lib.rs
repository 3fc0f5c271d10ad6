//! The worker of Lexigram Workers: list, fetch, parse, chunk, embed, store.
//!
//! - [`source`], [`parse`], [`chunk`], [`embed`], [`store`]: the steps, each a trait with one file an implementation
//! - [`pipeline`]: one run through all of them
//! - [`batch`]: one run over the texts of one input, which needs only embedding and storing
//! - [`run`]: what the two have in common
//! - [`maintain`]: maintenance of a store
//! - [`content`]: a document's bytes, between the two first steps
//! - [`report`]: what a run says of itself, while it lasts and at its end
//! - [`contract`]: whether a worker of somebody else's keeps the contract with the operator
//! - [`cli`]: the commands
//!
//! The library exists for the binary and its tests; it is no API for others.

pub mod batch;
pub mod chunk;
pub mod cli;
pub mod content;
pub mod contract;
pub mod embed;
pub mod failure;
mod http;
pub mod maintain;
pub mod parse;
pub mod pipeline;
pub mod report;
pub mod run;
pub mod source;
pub mod store;

/// Chooses the cryptography of TLS for this process. Calling it again changes nothing.
pub fn install_tls_provider() {
    // an error says that it was chosen before
    let _chosen_before = rustls::crypto::ring::default_provider().install_default();
}
