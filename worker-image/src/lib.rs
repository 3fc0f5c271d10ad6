//! The worker of Lexigram Workers: list, fetch, parse, chunk, embed, store.
//!
//! - [`source`], [`parse`], [`chunk`], [`embed`], [`store`]: the steps, each a trait with one file an implementation
//! - [`pipeline`]: one run through all of them
//! - [`report`]: what a run says of itself, while it lasts and at its end
//! - [`cli`]: the commands
//!
//! The library exists for the binary and its tests; it is no API for others.

pub mod embed;
pub mod failure;
pub mod parse;
pub mod source;
pub mod store;
