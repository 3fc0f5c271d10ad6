//! Maintenance of a folder of SQLite files: each task does what it is for, and live data stays as it is.

// helpers panic as tests do
#![allow(clippy::unwrap_used, clippy::panic)]

#[path = "../common/mod.rs"]
mod common;

mod bounds;
mod health;
mod index;
mod orphans;
mod run_of_tasks;

use std::{fs, path::PathBuf, time::Duration};

use common::{
    Workspace, contents, count,
    job::Job,
    query, run,
    source::Answer,
    upkeep::{archive, checks, documents, fill, holding, local_model, run_one, run_task, task},
};
use lexigram_api::{
    contract::{MaintenanceWork, Mode, StoreLocation, StoreRoot, TaskResult},
    failure::{ArchivePolicy, FailureCategory},
    maintenance::{CacheCleanup, HealthCheck, HealthCheckName, IndexOptimization, OrphanCleanup},
};
use lexigram_worker::store::{CacheKey, Limits, Place, upkeep_of};
use rstest::rstest;
use rusqlite::Connection;
use serde_json::json;
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

const OPTIMIZE: MaintenanceWork =
    MaintenanceWork::IndexOptimization(IndexOptimization { max_free_percent: 20, max_block_seconds: 60 });
const ORPHANS: MaintenanceWork = MaintenanceWork::OrphanCleanup(OrphanCleanup { dry_run: false });
const HEALTH: HealthCheck =
    HealthCheck { min_free_percent: 0, max_latency_seconds: 60, max_dead_letters: None, max_staleness_seconds: None };

/// A folder with a store.
struct Folder {
    folder: TempDir,
}

impl Folder {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn root(&self) -> StoreRoot {
        let path = |name| self.path(name).to_str().unwrap().to_owned();
        StoreRoot::Sqlite { directory: path(""), cache: path("_embedding-cache.db") }
    }

    fn place(&self, collection: &str) -> Place {
        let path = |name: &str| self.path(name).to_str().unwrap().to_owned();
        let location =
            StoreLocation::Sqlite { path: path(&format!("{collection}.db")), cache: Some(path("_embedding-cache.db")) };
        Place::find(&location, 1).unwrap()
    }

    fn change(&self, file: &str, sql: &str) {
        lexigram_sqlite_vec::register().unwrap();
        Connection::open(self.path(file)).unwrap().execute_batch(sql).unwrap();
    }

    fn bytes(&self, file: &str) -> u64 {
        fs::metadata(self.path(file)).unwrap().len()
    }
}

/// A few of forty documents, which lie far from each other.
fn some() -> Vec<(String, usize)> {
    documents(40, 100).into_iter().step_by(15).collect()
}

fn text(text: String) -> Answer {
    Answer::Text(Box::leak(text.into_boxed_str()))
}

/// A job that has ingested three documents.
async fn job() -> Job {
    let job = Job::new();
    for name in ["a.txt", "b.txt", "c.txt"] {
        job.source.set(name, text(format!("{name} tells of the sea")));
    }
    job.run("r1", Mode::Full).await;
    job
}

fn root_of(job: &Job) -> StoreRoot {
    let directory = job.workspace.path("").to_str().unwrap().to_owned();
    StoreRoot::Sqlite { directory, cache: "/nowhere".to_owned() }
}
