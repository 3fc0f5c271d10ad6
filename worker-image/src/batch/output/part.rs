//! One part file, from its first row to its name. Writes files.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
};

use jiff::Timestamp;
use lexigram_api::text::VectorFormat;
use tokio::task::spawn_blocking;

use super::{Files, OutputRow, directory::visible, jsonl::JsonLines, parquet::Parquet};
use crate::{
    batch::{OutputError, broken},
    run::RunFailure,
};

/// Name of a part file, its ending not included.
pub(in crate::batch) struct PartName(String);

impl PartName {
    /// The part of a range.
    pub(in crate::batch) fn of_range(part: u64) -> Self {
        Self(format!("part-{part:05}"))
    }

    /// The part of texts that failed when their range was written; `first_row` is the first of them.
    pub(in crate::batch) fn of_singles(part: u64, first_row: u64) -> Self {
        Self(format!("part-{part:05}-{first_row}"))
    }

    pub(super) fn with_ending(&self, format: VectorFormat) -> String {
        let ending = match format {
            VectorFormat::JsonLines => "jsonl",
            VectorFormat::Parquet => "parquet",
        };
        format!("{}.{ending}", self.0)
    }
}

/// A part file that is being written, under its hidden name. It goes when it is dropped.
pub(in crate::batch) struct Part {
    hidden: Hidden,
    writer: Writer,
}

/// A part file that is complete, and still has its hidden name.
pub(in crate::batch) struct FinishedPart {
    hidden: Hidden,
}

struct Hidden {
    directory: PathBuf,
    revision: String,
    keep: bool,
}

enum Writer {
    JsonLines(JsonLines),
    Parquet(Box<Parquet>),
}

/// Tells two parts of the same name that one process writes apart.
static NUMBER: AtomicU64 = AtomicU64::new(0);

impl Files {
    /// Begins a part file.
    pub(in crate::batch) async fn begin(&self, name: PartName) -> Result<Part, RunFailure> {
        let unique = format!("{:x}-{:x}", Timestamp::now().as_microsecond(), NUMBER.fetch_add(1, Ordering::Relaxed));
        let revision = format!("{}#{unique}", name.with_ending(self.format));
        let hidden = Hidden { directory: self.directory.clone(), revision, keep: false };
        let format = self.format;
        blocking(move || {
            let path = hidden.path();
            let file = File::create(&path).map_err(|error| OutputError::of_file(&path, &error))?;
            let writer = match format {
                VectorFormat::JsonLines => Writer::JsonLines(JsonLines::new(file)),
                VectorFormat::Parquet => {
                    Writer::Parquet(Box::new(Parquet::new(file).map_err(|error| OutputError::of_file(&path, &error))?))
                }
            };
            Ok(Part { hidden, writer })
        })
        .await
    }
}

impl Part {
    /// Writes rows.
    pub(in crate::batch) async fn append(mut self, rows: Vec<OutputRow>) -> Result<Self, RunFailure> {
        blocking(move || {
            let written = match &mut self.writer {
                Writer::JsonLines(writer) => writer.append(&rows),
                Writer::Parquet(writer) => writer.append(&rows),
            };
            written.map_err(|error| OutputError::of_file(&self.hidden.path(), &error))?;
            Ok(self)
        })
        .await
    }

    /// Makes the file complete and durable.
    pub(in crate::batch) async fn finish(self) -> Result<FinishedPart, RunFailure> {
        blocking(move || {
            let Self { hidden, writer } = self;
            let finished = match writer {
                Writer::JsonLines(writer) => writer.finish(),
                Writer::Parquet(writer) => writer.finish(),
            };
            let synced = finished.and_then(|file| file.sync_all()).and_then(|()| sync_directory(&hidden.directory));
            synced.map_err(|error| OutputError::of_file(&hidden.path(), &error))?;
            Ok(FinishedPart { hidden })
        })
        .await
    }
}

impl FinishedPart {
    /// What the ledger knows the file by.
    pub(in crate::batch) fn revision(&self) -> &str {
        &self.hidden.revision
    }

    /// Gives the file its name, in place of an earlier one. Only once the ledger has acknowledged it.
    pub(in crate::batch) async fn publish(mut self) -> Result<(), RunFailure> {
        // whatever happens now, the file belongs to the ledger
        self.hidden.keep = true;
        blocking(move || {
            let path = self.hidden.directory.join(visible(&self.hidden.revision));
            fs::rename(self.hidden.path(), &path)
                .and_then(|()| sync_directory(&self.hidden.directory))
                .map_err(|error| OutputError::of_file(&path, &error))
        })
        .await
    }
}

impl Hidden {
    fn path(&self) -> PathBuf {
        self.directory.join(format!(".{}", self.revision))
    }
}

impl Drop for Hidden {
    fn drop(&mut self) {
        if !self.keep {
            let _gone_already = fs::remove_file(self.path());
        }
    }
}

/// A file's name is durable once its directory is.
fn sync_directory(directory: &Path) -> std::io::Result<()> {
    File::open(directory)?.sync_all()
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, OutputError> + Send + 'static,
) -> Result<T, RunFailure> {
    Ok(spawn_blocking(work).await.map_err(|error| broken(&error))??)
}
