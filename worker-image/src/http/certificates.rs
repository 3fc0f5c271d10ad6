//! Certificates out of a file. Reads it.

use std::{fs, path::Path};

use reqwest::Certificate;
use rustls::pki_types::{CertificateDer, pem::PemObject};

use super::cause;

/// The certificates of a mounted ConfigMap or Secret, in PEM. The error says what is wrong with the file; whoever asked
/// knows which field to name.
pub(crate) fn certificates_in(file: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let invalid = |problem: String| format!("{} {problem}; it must hold certificates in PEM", file.display());
    let pem = fs::read(file).map_err(|error| invalid(format!("cannot be read ({error})")))?;
    match CertificateDer::pem_slice_iter(&pem).collect::<Result<Vec<_>, _>>() {
        Ok(certificates) if certificates.is_empty() => Err(invalid("holds no certificate".to_owned())),
        Ok(certificates) => Ok(certificates),
        Err(error) => Err(invalid(format!("cannot be understood ({})", cause(&error)))),
    }
}

/// As [`certificates_in`], for the HTTP client.
pub(crate) fn read_certificates(file: &Path) -> Result<Vec<Certificate>, String> {
    let unusable = |error| format!("{} cannot be used ({})", file.display(), cause(&error));
    certificates_in(file)?.iter().map(|der| Certificate::from_der(der).map_err(unusable)).collect()
}
