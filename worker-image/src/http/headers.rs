//! Request headers out of a directory. Reads its files.

use std::{fs, path::Path};

use reqwest::header::{HeaderMap, HeaderName, HeaderValue};

/// Why headers could not be read. Whoever asked knows which field to name.
#[derive(Debug)]
pub(crate) enum HeadersError {
    /// A file or the directory could not be read.
    Unreadable { path: String, problem: String },
    /// A header that HTTP does not allow.
    Invalid { header: String },
}

/// One file a header, named as the header: a mounted Secret.
pub(crate) fn read_headers(directory: &Path) -> Result<HeaderMap, HeadersError> {
    let unreadable = |error: std::io::Error| HeadersError::Unreadable {
        path: directory.display().to_string(),
        problem: error.to_string(),
    };
    let mut headers = HeaderMap::new();
    for entry in fs::read_dir(directory).map_err(unreadable)? {
        let entry = entry.map_err(unreadable)?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with("..") {
            continue; // the folders behind the links of a mounted Secret
        }
        let value = fs::read_to_string(entry.path()).map_err(unreadable)?;
        let invalid = || HeadersError::Invalid { header: name.clone() };
        let key = HeaderName::from_bytes(name.as_bytes()).map_err(|_| invalid())?;
        let mut value = HeaderValue::from_str(value.trim_end()).map_err(|_| invalid())?;
        value.set_sensitive(true);
        headers.insert(key, value);
    }
    Ok(headers)
}
