//! What everything that speaks HTTP shares: headers out of a mounted Secret, certificates,
//! `Retry-After`, errors that repeat no URL. Reads those files; sends nothing itself.

mod certificates;
mod headers;
mod retry_after;

pub(crate) use certificates::{certificates_in, read_certificates};
pub(crate) use headers::{HeadersError, read_headers};
pub(crate) use retry_after::retry_after;

/// What the worker calls itself.
pub(crate) const USER_AGENT: &str = concat!("lexigram-worker/", env!("CARGO_PKG_VERSION"));

/// The innermost cause of an error: it says what happened. Unlike the outer ones of a failed request it never repeats the
/// URL, which may hold a token.
pub(crate) fn cause(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}
