//! `lexigram-operator crd`: the CRDs as YAML, on standard output or as files. Writes those.

use std::{
    fs,
    io::{self, Write},
    path::Path,
};

use lexigram_api::resource::crds;
use thiserror::Error;

/// First line of every file.
const HEADER: &str = "# Generated from the Rust types by `just generate`; do not edit.\n";

/// Why CRDs could not be written.
#[derive(Debug, Error)]
pub enum CrdError {
    /// A file or standard output cannot be written.
    #[error("cannot write CRDs: {0}")]
    Io(#[from] io::Error),
    /// The derived schema is no CRD.
    #[error("cannot derive CRDs: {0}")]
    Json(#[from] serde_json::Error),
    /// A CRD cannot be written as YAML.
    #[error("cannot write CRDs as YAML: {0}")]
    Yaml(String),
}

/// Writes every CRD: to files in the folder `output`, or to standard output.
///
/// # Errors
/// If they cannot be written.
pub fn write(output: Option<&Path>) -> Result<(), CrdError> {
    if let Some(folder) = output {
        fs::create_dir_all(folder)?;
    }
    for crd in crds()? {
        let name = format!("{}_{}.yaml", crd.spec.group, crd.spec.names.plural);
        // through a JSON value: its keys come in one order
        let yaml =
            serde_saphyr::to_string(&serde_json::to_value(&crd)?).map_err(|error| CrdError::Yaml(error.to_string()))?;
        match output {
            Some(folder) => fs::write(folder.join(name), format!("{HEADER}{yaml}"))?,
            None => write!(io::stdout(), "---\n{yaml}")?,
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What client-side `kubectl apply` can keep in its annotation of an object.
    const ANNOTATION_BYTES: u64 = 256 * 1024;

    #[test]
    fn every_crd_can_be_applied() {
        let folder = tempfile::tempdir().unwrap();
        write(Some(folder.path())).unwrap();
        let files: Vec<_> = fs::read_dir(folder.path()).unwrap().map(Result::unwrap).collect();
        assert_eq!(files.len(), 3);
        for file in files {
            let bytes = file.metadata().unwrap().len();
            assert!(bytes < ANNOTATION_BYTES, "{:?} has {bytes} bytes", file.file_name());
        }
    }
}
