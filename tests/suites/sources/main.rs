//! Documents from servers: a bucket, a web site, a repository, and addresses that none of them may have. See
//! docs/sources.md.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a panic is how a test fails")]

mod bucket;
mod egress;
mod git;
mod web;

use lexigram_api::resource::IngestionJob;

/// Done, failed, skipped and deleted documents.
fn counts(job: &IngestionJob) -> [i32; 4] {
    let documents = job.status.as_ref().unwrap().documents.clone().unwrap();
    [documents.done, documents.failed, documents.skipped, documents.deleted]
}
