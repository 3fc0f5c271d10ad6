//! The input of a batch, as a local file or a list: what comes by HTTP goes into a temporary file first. Sends HTTP
//! requests, writes that file.

use std::{io::Write, path::Path, sync::Arc};

use lexigram_api::{
    contract::{EmbedTask, InputLocation, NetworkAccess},
    text::TextFormat,
};
use rustix::fs::statvfs;
use tempfile::TempPath;
use tokio_util::sync::CancellationToken;

use super::{InputError, rows::Rows};
use crate::{run::RunFailure, source::Download};

/// Largest input that is fetched, however much room the node has: a pod whose scratch volume of 2 GiB overflows is evicted.
const MOST_BYTES: u64 = 1792 * 1024 * 1024;
/// Share of the free room that is left to others.
const ROOM_LEFT: u64 = 10;

/// An input that is ready to be read.
pub(super) struct Input {
    pub(super) rows: Rows,
    /// Removes the file.
    _temporary: Option<TempPath>,
}

impl Input {
    /// Finds the input, and fetches it if it is elsewhere. `scratch` is where temporary files go.
    pub(super) async fn open(task: &EmbedTask, scratch: &Path, stop: &CancellationToken) -> Result<Self, RunFailure> {
        let fields = Arc::new(task.fields.clone());
        Ok(match &task.input {
            InputLocation::Inline { texts } => Self { rows: Rows::Inline(Arc::new(texts.clone())), _temporary: None },
            InputLocation::File { path } => {
                let format = format(task.format, path)?;
                Self { rows: Rows::File { path: path.into(), format, fields }, _temporary: None }
            }
            InputLocation::Http { url, headers_directory, access } => {
                // the path only: what follows it may hold a token, and is no part of the name
                let name = url.split(['?', '#']).next().unwrap_or_default();
                let format = format(task.format, name.rsplit('/').next().unwrap_or_default())?;
                let fetching = fetch(url, headers_directory.as_deref(), access, scratch);
                let temporary = stop.run_until_cancelled(fetching).await.ok_or(RunFailure::Interrupted)??;
                Self { rows: Rows::File { path: temporary.to_path_buf(), format, fields }, _temporary: Some(temporary) }
            }
        })
    }
}

fn format(given: Option<TextFormat>, name: &str) -> Result<TextFormat, InputError> {
    given.or_else(|| TextFormat::of_name(name)).ok_or_else(|| InputError::FormatUnknown { name: name.to_owned() })
}

async fn fetch(
    url: &str,
    headers_directory: Option<&str>,
    access: &NetworkAccess,
    scratch: &Path,
) -> Result<TempPath, InputError> {
    let limit = room(scratch)?.min(MOST_BYTES);
    let unwritable = |error: std::io::Error| InputError::Scratch(format!("{}: {error}", scratch.display()));
    let temporary = tempfile::Builder::new().prefix("lexigram-input-").tempfile_in(scratch).map_err(unwritable)?;
    let (mut file, path) = temporary.into_parts();
    let mut download = Download::start(url, headers_directory, access).await.map_err(InputError::Http)?;
    let mut written = 0;
    while let Some(part) = download.next().await.map_err(InputError::Http)? {
        written += u64::try_from(part.len()).unwrap_or(u64::MAX);
        if written > limit {
            return Err(InputError::TooLarge { limit });
        }
        // short writes into the page cache, between two parts from the network
        file.write_all(&part).map_err(unwritable)?;
    }
    Ok(path)
}

/// How many bytes may be written below `scratch`.
fn room(scratch: &Path) -> Result<u64, InputError> {
    let stats = statvfs(scratch).map_err(|error| InputError::Scratch(format!("{}: {error}", scratch.display())))?;
    let free = stats.f_bavail.saturating_mul(stats.f_frsize);
    Ok(free - free / ROOM_LEFT)
}
