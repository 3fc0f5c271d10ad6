//! Files of the repository that tests hand to the cluster. Reads files.

use crate::cluster::repository;

/// A document of the worker's fixtures, for instance `bad/truncated.pdf`.
///
/// # Panics
/// If it is not there.
#[must_use]
pub fn fixture(name: &str) -> Vec<u8> {
    let path = repository("worker-image/tests/fixtures").join(name);
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
