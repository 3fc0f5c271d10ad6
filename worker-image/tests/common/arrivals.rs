//! What arrives from a real source, by runs in this process.

use std::collections::BTreeSet;

use lexigram_api::{
    contract::{Counts, ExitCode, Mode, SourceLocation},
    document::SyncMode,
};

use super::{job::Job, query};

/// A job over that source.
pub fn job(source: SourceLocation, sync: SyncMode) -> Job {
    let mut job = Job::new();
    job.task.source = source;
    job.task.sync = sync;
    job
}

/// A job that mirrors that source.
pub fn mirror(source: SourceLocation) -> Job {
    job(source, SyncMode::Mirror)
}

/// What a full run that succeeds has come to.
pub async fn run(job: &Job, run: &str) -> Counts {
    let ended = job.run_of_task(run, Mode::Full).await;
    assert_eq!((ended.exit, ended.report.error), (ExitCode::Finished, None));
    ended.report.counts
}

/// What a run that fails as a whole says.
pub async fn failure(job: &Job) -> (ExitCode, String) {
    let ended = job.run_of_task("r1", Mode::Full).await;
    (ended.exit, ended.report.error.unwrap().message)
}

/// Names of documents that have chunks.
pub fn searchable(job: &Job) -> BTreeSet<String> {
    let sql = "SELECT DISTINCT name FROM documents JOIN chunks ON chunks.document = documents.id";
    query(&job.workspace.store(), sql).into_iter().map(|row| row[0].clone()).collect()
}

pub fn names<const N: usize>(names: [&str; N]) -> BTreeSet<String> {
    names.map(str::to_owned).into()
}
