//! The directory of part files: whose it is, and what earlier processes left in it. Reads and writes the directory.
//!
//! A part is written under a hidden name, then acknowledged in the ledger, then renamed. A process may die between any
//! two of them: a hidden file that the ledger knows gets its name, any other goes.

use std::{
    collections::HashSet,
    fs::{self, File},
    io::Write,
    path::Path,
};

use serde::{Deserialize, Serialize};

use crate::batch::OutputError;

/// The file that says whose directory it is.
const MARKER: &str = "_lexigram.json";
/// How the names of files begin that are kept beside the parts; who reads a directory of Parquet passes over them.
const OWN: &str = "_lexigram.";
/// What a fresh file system may hold.
const LOST_AND_FOUND: &str = "lost+found";
/// How the names of part files begin.
const PART: &str = "part-";

#[derive(Serialize, Deserialize)]
struct Marker {
    owner: String,
}

/// Makes the directory, and makes it the owner's; refuses one that is another's.
pub(super) fn take(directory: &Path, owner: &str) -> Result<(), OutputError> {
    let taken = |holds: String| OutputError::Taken { directory: directory.display().to_string(), holds };
    fs::create_dir_all(directory).map_err(|error| OutputError::of_file(directory, &error))?;
    let marker = directory.join(MARKER);
    match fs::read(&marker) {
        Ok(json) => match serde_json::from_slice::<Marker>(&json) {
            Ok(found) if found.owner == owner => Ok(()),
            Ok(found) => Err(taken(format!("holds the output of {}", found.owner))),
            Err(_) => Err(taken(format!("has a file {MARKER} that is not from lexigram-worker"))),
        },
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            if let Some(foreign) = names(directory)?.into_iter().find(|name| name != LOST_AND_FOUND) {
                return Err(taken(format!("holds other files ('{foreign}')")));
            }
            let temporary = directory.join(format!(".{MARKER}"));
            let written = serde_json::to_vec(&Marker { owner: owner.to_owned() })
                .map_err(std::io::Error::from)
                .and_then(|json| {
                    let mut file = File::create(&temporary)?;
                    file.write_all(&json)?;
                    file.sync_all()
                })
                .and_then(|()| fs::rename(&temporary, &marker));
            written.map_err(|error| OutputError::of_file(&marker, &error))
        }
        Err(error) => Err(OutputError::of_file(&marker, &error)),
    }
}

/// Gives hidden parts that the ledger has as done their names, and removes the others.
pub(super) fn recover(directory: &Path, revisions: &[String]) -> Result<(), OutputError> {
    for name in names(directory)? {
        let Some(revision) = name.strip_prefix('.').filter(|revision| revision.starts_with(PART)) else { continue };
        let hidden = directory.join(&name);
        let result = match revisions.iter().any(|known| known == revision) {
            true => fs::rename(&hidden, directory.join(visible(revision))),
            false => fs::remove_file(&hidden),
        };
        result.map_err(|error| OutputError::of_file(&hidden, &error))?;
    }
    Ok(())
}

/// Removes part files that no revision names.
pub(super) fn remove_stale(directory: &Path, revisions: &[String]) -> Result<(), OutputError> {
    let kept: HashSet<&str> = revisions.iter().map(|revision| visible(revision)).collect();
    for name in names(directory)? {
        if name.starts_with(PART) && !kept.contains(name.as_str()) {
            let path = directory.join(name);
            fs::remove_file(&path).map_err(|error| OutputError::of_file(&path, &error))?;
        }
    }
    Ok(())
}

/// The name of the part file of a revision.
pub(super) fn visible(revision: &str) -> &str {
    revision.split('#').next().unwrap_or(revision)
}

fn names(directory: &Path) -> Result<Vec<String>, OutputError> {
    let unreadable = |error: std::io::Error| OutputError::of_file(directory, &error);
    let entries = fs::read_dir(directory).map_err(unreadable)?;
    let name = |entry: std::io::Result<fs::DirEntry>| {
        Ok(entry.map_err(unreadable)?.file_name().to_string_lossy().into_owned())
    };
    let names: Vec<String> = entries.map(name).collect::<Result<_, OutputError>>()?;
    Ok(names.into_iter().filter(|name| !name.trim_start_matches('.').starts_with(OWN)).collect())
}
