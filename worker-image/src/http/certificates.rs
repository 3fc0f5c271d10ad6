//! Certificates out of a file. Reads it.

use std::{fs, path::Path};

use reqwest::Certificate;

use super::cause;

/// The certificates of a mounted ConfigMap, in PEM. The error says what is wrong with the file; whoever asked knows
/// which field to name.
pub(crate) fn read_certificates(file: &Path) -> Result<Vec<Certificate>, String> {
    let invalid = |problem: String| format!("{} {problem}; it must hold certificates in PEM", file.display());
    let pem = fs::read(file).map_err(|error| invalid(format!("cannot be read ({error})")))?;
    match Certificate::from_pem_bundle(&pem) {
        Ok(certificates) if certificates.is_empty() => Err(invalid("holds no certificate".to_owned())),
        Ok(certificates) => Ok(certificates),
        Err(error) => Err(invalid(format!("cannot be understood ({})", cause(&error)))),
    }
}
