//! What every layer's error can say of itself. No I/O.

use lexigram_api::failure::FailureCategory;

/// An error with one category and one constant reason; its `Display` is what a person reads.
pub trait Classified: std::error::Error {
    /// What kind of failure it is.
    fn category(&self) -> FailureCategory;
    /// The failure in one CamelCase word.
    fn reason(&self) -> &'static str;
}

#[cfg(test)]
pub(crate) mod tests;
