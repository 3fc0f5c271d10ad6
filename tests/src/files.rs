//! Files of the repository that tests hand to the cluster, or compare with it. Reads files.

use std::path::Path;

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

/// The texts at and below a path of the repository whose names end so, each with its path, in the order of these.
///
/// # Panics
/// If one cannot be read.
#[must_use]
pub fn texts(path: &str, ending: &str) -> Vec<(String, String)> {
    let found = repository(path);
    if found.is_dir() {
        let names = names(&found);
        return names.iter().flat_map(|name| texts(&format!("{path}/{name}"), ending)).collect();
    }
    let text = || std::fs::read_to_string(&found).unwrap_or_else(|error| panic!("{path}: {error}"));
    if path.ends_with(ending) { vec![(path.to_owned(), text())] } else { Vec::new() }
}

fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}
