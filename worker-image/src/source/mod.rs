//! Where documents come from: the trait that sources share, and the choice between them. No I/O of its own but temporary
//! files, into which larger documents go part by part.

mod directory;
mod egress;
mod error;
mod git;
mod inline;
mod names;
mod patience;
mod s3;
mod secret;
mod web;

use std::io::{self, ErrorKind, Read, Write};

use futures::{
    Stream,
    future::BoxFuture,
    stream::{self, BoxStream},
};
use lexigram_api::contract::{IngestTask, SourceLocation};
use tokio::sync::mpsc::Receiver;

pub use error::SourceError;

pub(crate) use web::Download;

use crate::content::{Content, ContentWriter};
use directory::Directory;
use git::Git;
use inline::Inline;
use names::NameFilter;
use s3::Bucket;
use web::Web;

/// Bytes that are taken in at once.
const PART: usize = 64 * 1024;

/// A document that a source says it has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Name, unique within the source.
    pub name: String,
    /// Changes when the content does, where the source can tell without a fetch.
    pub version: Option<String>,
}

/// The content of a document.
#[derive(Debug)]
pub struct Fetched {
    /// The bytes, as many as the limit allows.
    pub content: Content,
    /// What the source says of their type, for instance `text/html`.
    pub media_type: Option<String>,
}

/// A place that documents come from.
pub trait Source: Send + Sync {
    /// Every document, in no particular order. An error means that the listing is not complete.
    fn list(&self) -> BoxStream<'_, Result<Listed, SourceError>>;
    /// The content of a document that was listed. Reads no more than `limit` bytes; a larger document is
    /// [`SourceError::TooLarge`].
    fn fetch<'a>(&'a self, name: &'a str, limit: u64) -> BoxFuture<'a, Result<Fetched, SourceError>>;
}

/// The source of a task.
///
/// # Errors
/// If a glob or a header cannot be understood, or the directory is not there.
pub fn open(task: &IngestTask) -> Result<Box<dyn Source>, SourceError> {
    let filter = NameFilter::new(&task.include, &task.exclude)?;
    Ok(match &task.source {
        SourceLocation::Directory { path } => Box::new(Directory::open(path, filter)?),
        SourceLocation::Http { urls, crawl, headers_directory, access } => {
            Box::new(Web::open(urls, crawl.as_ref(), headers_directory.as_deref(), access, filter)?)
        }
        SourceLocation::S3 { settings, credentials_directory, access } => {
            Box::new(Bucket::open(settings, credentials_directory.as_deref(), access, filter)?)
        }
        SourceLocation::Git { settings, credentials_directory, access } => {
            Box::new(Git::open(settings, credentials_directory.as_deref(), access, filter)?)
        }
        SourceLocation::Inline { documents } => Box::new(Inline::new(documents.clone(), filter)),
    })
}

/// Takes in what a reader gives. An error of the reader's becomes what `unreadable` makes of it.
fn take_in(reader: &mut dyn Read, unreadable: impl Fn(io::Error) -> SourceError) -> Result<Content, SourceError> {
    let (mut writer, mut part) = (ContentWriter::new(), vec![0; PART]);
    loop {
        match reader.read(&mut part) {
            Ok(0) => return Ok(writer.finish()),
            Ok(read) => writer.write_all(part.get(..read).unwrap_or_default()).map_err(SourceError::scratch)?,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(unreadable(error)),
        }
    }
}

/// What a channel brings, until nobody sends any more.
fn received<T>(receiver: Receiver<T>) -> impl Stream<Item = T> {
    stream::unfold(receiver, |mut receiver| async { receiver.recv().await.map(|item| (item, receiver)) })
}
