//! Maintenance of a folder of SQLite files: each task does what it is for, and live data stays as it is.

// helpers panic as tests do
#![allow(clippy::unwrap_used, clippy::panic)]

mod common;

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

#[rstest]
#[tokio::test]
async fn a_store_that_was_emptied_shrinks(#[values(false, true)] of_an_older_version: bool) {
    let folder = Folder::new();
    if of_an_older_version {
        // its pages cannot be given back bit by bit
        folder.change("docs.db", "PRAGMA journal_mode = WAL; CREATE TABLE t (i); DROP TABLE t");
    }
    fill(&folder.place("docs"), "docs", "r1", &documents(40, 100)).await;
    fill(&folder.place("docs"), "docs", "r2", &some()).await;
    let (before, kept) = (folder.bytes("docs.db"), contents(&folder.path("docs.db")));
    let report = run_one(&folder.root(), OPTIMIZE).await;
    assert_eq!((report.result, report.items), (TaskResult::Succeeded, 1), "{report:?}");
    let after = folder.bytes("docs.db");
    assert!(after * 3 < before, "{before} bytes before, {after} after: {}", report.message);
    assert!(report.bytes_freed > 0, "{report:?}");
    assert!(report.message.starts_with("1 collection: ") && report.message.contains("a search took"), "{report:?}");
    assert!(report.message.contains(", 0% after"), "{report:?}");
    // the vectors lie in another table now
    let path = folder.path("docs.db");
    assert_eq!(query(&path, "SELECT value FROM meta WHERE key = 'vectors'"), [["vectors_rebuilt"]]);
    folder.change(
        "docs.db",
        "CREATE VIRTUAL TABLE vectors USING vec0 (embedding float[64] distance_metric=cosine);
         INSERT INTO vectors (rowid, embedding) SELECT rowid, embedding FROM vectors_rebuilt",
    );
    assert_eq!(contents(&path), kept);
}

#[tokio::test]
async fn a_run_that_writes_is_not_kept_waiting_and_the_task_says_so() {
    let folder = Folder::new();
    folder.change("docs.db", "PRAGMA journal_mode = WAL; CREATE TABLE t (i); DROP TABLE t");
    fill(&folder.place("docs"), "docs", "r1", &documents(40, 100)).await;
    fill(&folder.place("docs"), "docs", "r2", &some()).await;
    let writer = Connection::open(folder.path("docs.db")).unwrap();
    writer.execute_batch("BEGIN IMMEDIATE").unwrap();
    let report = run_one(&folder.root(), OPTIMIZE).await;
    assert_eq!(report.result, TaskResult::Succeeded, "{report:?}");
    assert!(report.message.contains("packing the vectors was left: a run was writing"), "{report:?}");
    assert!(report.message.contains("the rest was left"), "{report:?}");
    writer.execute_batch("COMMIT").unwrap();
    assert!(run_one(&folder.root(), OPTIMIZE).await.bytes_freed > 0);
}

#[tokio::test]
async fn the_cache_keeps_within_its_bounds() {
    let folder = Folder::new();
    fill(&folder.place("docs"), "docs", "r1", &documents(1, 1)).await;
    let cache = folder.place("docs").cache().await.unwrap();
    let vectors = |model: &'static str, numbers: std::ops::Range<u32>| {
        numbers.map(move |n| (CacheKey::new(model, false, &n.to_string()), vec![0.5; 384])).collect::<Vec<_>>()
    };
    cache.put("tiny@1", vectors("tiny@1", 0..3000)).await.unwrap();
    cache.put("gone@1", vectors("gone@1", 0..100)).await.unwrap();
    let path = folder.path("_embedding-cache.db");
    // the first ones have not been used for a day and a half, and one of them just now
    folder.change("_embedding-cache.db", "UPDATE vectors SET used = used - 129600 WHERE id <= 1000");
    assert!(cache.get(vectors("tiny@1", 0..1).into_iter().map(|(key, _)| key).collect()).await.unwrap()[0].is_some());
    drop(cache);

    let bounds = CacheCleanup { max_age_seconds: 100_000, max_mebibytes: 4096, remove_unused_models: true };
    let report = run_one(&folder.root(), MaintenanceWork::CacheCleanup(bounds.clone())).await;
    assert!(report.message.contains("999 by age, 100 of models that no collection uses, 0 by size"), "{report:?}");
    assert_eq!(report.result, TaskResult::Succeeded);
    assert!(report.bytes_freed > 1_000_000, "{report:?}");
    assert_eq!(count(&path, "SELECT count(*) FROM vectors"), 2001);

    let report =
        run_one(&folder.root(), MaintenanceWork::CacheCleanup(CacheCleanup { max_mebibytes: 1, ..bounds })).await;
    assert!(folder.bytes("_embedding-cache.db") <= 1024 * 1024, "{report:?}");
    // what was used last stays
    let left = count(&path, "SELECT count(*) FROM vectors");
    assert!(left > 0 && left < 2001, "{left}");
    assert_eq!(count(&path, "SELECT max(id) FROM vectors"), 3000);
}

#[tokio::test]
async fn vectors_of_an_older_version_go_by_age_and_locks_of_dead_runs_go_too() {
    let folder = Folder::new();
    fill(&folder.place("docs"), "docs", "r1", &documents(1, 1)).await;
    folder.change(
        "_embedding-cache.db",
        "PRAGMA application_id = 0x6c786763;
         CREATE TABLE vectors (id INTEGER PRIMARY KEY, key BLOB NOT NULL UNIQUE, vector BLOB NOT NULL) STRICT;
         INSERT INTO vectors (key, vector) VALUES (x'01', x'00000000')",
    );
    let work = || MaintenanceWork::CacheCleanup(CacheCleanup::default());
    let report = run_one(&folder.root(), work()).await;
    assert!(report.message.starts_with("0 vectors removed"), "{report:?}");
    assert!(report.message.contains("1 temporary file;"), "{report:?}");
    assert_eq!(report.items, 1);
    folder.change("_embedding-cache.db", "UPDATE vectors SET used = 1");
    let report = run_one(&folder.root(), work()).await;
    assert!(report.message.starts_with("1 vector removed (1 by age"), "{report:?}");
}

#[tokio::test]
async fn models_of_a_collection_that_cannot_be_read_stay_in_the_cache() {
    let folder = Folder::new();
    fs::write(folder.path("docs.db"), "this is no database".repeat(1000)).unwrap();
    let cache = folder.place("docs").cache().await.unwrap();
    cache.put("tiny@1", vec![(CacheKey([1; 32]), vec![0.5; 4])]).await.unwrap();
    let report = run_one(&folder.root(), MaintenanceWork::CacheCleanup(CacheCleanup::default())).await;
    assert_eq!(report.result, TaskResult::Succeeded);
    assert!(report.message.contains("which models are in use is not known"), "{report:?}");
    assert_eq!(count(&folder.path("_embedding-cache.db"), "SELECT count(*) FROM vectors"), 1);
}

#[tokio::test]
async fn archived_dead_letters_go_by_age_and_number() {
    let folder = Folder::new();
    let now = jiff::Timestamp::now().as_second();
    archive(&folder.place("docs"), "docs", "r1", &[("old", now - 5000), ("b", now - 30), ("c", now - 20)]).await;
    archive(&folder.place("other"), "other", "r1", &[("old", now - 5000)]).await;
    let names = || query(&folder.path("docs.db"), "SELECT name FROM documents ORDER BY name").concat();
    let by_age = MaintenanceWork::ArchiveCleanup(ArchivePolicy { retention_seconds: 1000, max_items: 10 });
    let report = run_one(&folder.root(), by_age).await;
    assert_eq!((report.items, names()), (2, vec!["b".to_owned(), "c".to_owned()]), "{report:?}");
    assert_eq!(report.message, "2 archived dead letters removed from 2 collections");
    let by_number = MaintenanceWork::ArchiveCleanup(ArchivePolicy { retention_seconds: 1000, max_items: 1 });
    let mut only_docs = task(&folder.root(), vec![by_number]);
    only_docs.collections = vec!["d*".to_owned()];
    let report = run_task(&only_docs).await.remove(0);
    assert_eq!((report.items, names()), (1, vec!["c".to_owned()]), "{report:?}");
    assert_eq!(report.message, "1 archived dead letter removed from 1 collection");
}

/// What does not fit together: a chunk without a ledger row, a vector without a chunk, a document without its chunks, a
/// rebuild that nobody goes on with.
const PLANTED: &str = "
    PRAGMA foreign_keys = OFF;
    INSERT INTO chunks (id, uuid, document, revision, ordinal, text, headings, byte_start, byte_end, tokens)
        VALUES (900, 'x', 999, 'r', 0, 'stray', '[]', 0, 1, 1);
    INSERT INTO vectors (rowid, embedding) SELECT 901, embedding FROM vectors LIMIT 1;
    DELETE FROM vectors WHERE rowid IN (SELECT id FROM chunks WHERE document = 2);
    DELETE FROM chunks WHERE document = 2;
    INSERT INTO meta (key, value) VALUES ('next_model', 'other@1');
    CREATE TABLE carried_over (chunk INTEGER PRIMARY KEY) STRICT;
    CREATE VIRTUAL TABLE vectors_rebuilt USING vec0 (embedding float[8] distance_metric=cosine)";

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

#[tokio::test]
async fn orphans_go_and_what_was_lost_is_ingested_again() {
    let job = job().await;
    let (store, root) = (job.workspace.store(), root_of(&job));
    let whole = contents(&store);
    lexigram_sqlite_vec::register().unwrap();
    Connection::open(&store).unwrap().execute_batch(PLANTED).unwrap();

    let dry = run_one(&root, MaintenanceWork::OrphanCleanup(OrphanCleanup { dry_run: true })).await;
    assert_eq!(dry.items, 4, "{dry:?}");
    assert!(dry.message.contains("this was a dry run"), "{dry:?}");
    assert_eq!(count(&store, "SELECT count(*) FROM chunks"), 3);

    let report = run_one(&root, ORPHANS).await;
    assert_eq!(report.items, 4, "{report:?}");
    assert!(
        report.message.contains("1 chunk, 1 entry of an index and 1 half-built rebuild removed; 1 document"),
        "{report:?}"
    );
    assert_eq!(contents(&store).len(), 2);
    assert_eq!(count(&store, "SELECT count(*) FROM sqlite_schema WHERE name LIKE 'vectors_rebuilt%'"), 0);
    assert_eq!(run_one(&root, ORPHANS).await.items, 0);

    // a run finds the document changed, and the others not
    job.embedder.take_embedded();
    let counts = job.run("r2", Mode::Full).await.counts;
    assert_eq!((counts.items.done, counts.items.skipped, job.embedder.take_embedded()), (1, 2, 1));
    assert_eq!(contents(&store), whole);
}

#[tokio::test]
async fn an_ingestion_beside_it_loses_nothing() {
    let job = Job::new();
    for document in 0..40 {
        job.source.set(&format!("{document:02}.txt"), text(format!("document {document} tells of the sea")));
    }
    let root = root_of(&job);
    job.run("r0", Mode::Full).await;
    for document in 0..40 {
        job.source.set(&format!("{document:02}.txt"), text(format!("document {document} tells of gulls")));
    }
    let ingestion = job.run("r1", Mode::Full);
    let cleaning = async {
        loop {
            let report = run_task(&task(&root, vec![ORPHANS, OPTIMIZE])).await;
            assert_eq!(report[0].items, 0, "{report:?}");
        }
    };
    let report = tokio::select! {
        report = ingestion => report,
        () = cleaning => unreachable!(),
    };
    assert_eq!((report.counts.items.done, report.counts.items.failed), (40, 0));
    let texts = query(&job.workspace.store(), "SELECT text FROM chunks");
    assert_eq!(texts.iter().filter(|row| row[0].contains("gulls")).count(), 40);
    assert_eq!(texts.len(), 40);
    assert_eq!(run_one(&root, ORPHANS).await.items, 0);
}

#[tokio::test]
async fn a_damaged_file_is_told_of_and_the_others_are_worked_on() {
    let folder = Folder::new();
    for name in ["docs", "other"] {
        fill(&folder.place(name), name, "r1", &documents(4, 100)).await;
    }
    let sound = fs::read(folder.path("docs.db")).unwrap();
    let mut damaged = sound.clone();
    damaged[8192..].fill(0x5a);
    fs::write(folder.path("docs.db"), damaged).unwrap();
    let health = task(&folder.root(), vec![MaintenanceWork::HealthCheck(HEALTH)]);
    let found = checks(&health).await;
    let intact = &found[&HealthCheckName::StoreIntact];
    assert!(!intact.passed && intact.message.contains("collection 'docs'"), "{intact:?}");
    assert!(found[&HealthCheckName::StoreReachable].passed);

    let archive = MaintenanceWork::ArchiveCleanup(ArchivePolicy { retention_seconds: 1000, max_items: 10 });
    let reports = run_task(&task(&folder.root(), vec![OPTIMIZE, archive])).await;
    let error = reports[0].error.as_ref().unwrap();
    assert_eq!((reports[0].result, reports[0].items), (TaskResult::Failed, 1), "{reports:?}");
    assert!(error.message.contains("collection 'docs'") && error.message.contains("1 other"), "{error:?}");
    assert_eq!(error.category, FailureCategory::Configuration, "{error:?}");
    assert_eq!(reports.len(), 2);

    for file in ["docs.db-wal", "docs.db-shm"] {
        let _none = fs::remove_file(folder.path(file));
    }
    fs::write(folder.path("docs.db"), sound).unwrap();
    assert!(checks(&health).await.values().all(|check| check.passed));
}

#[tokio::test]
async fn a_store_that_cannot_be_opened_is_unreachable() {
    let folder = Folder::new();
    // a folder where a file should be
    fs::create_dir(folder.path("docs.db")).unwrap();
    let health = task(&folder.root(), vec![MaintenanceWork::HealthCheck(HEALTH), OPTIMIZE]);
    let found = checks(&health).await;
    assert_eq!(holding(&found), [(HealthCheckName::StoreReachable, false), (HealthCheckName::FreeSpace, true)]);
    assert!(found[&HealthCheckName::StoreReachable].message.contains("collection 'docs'"), "{found:?}");
    let report = run_one(&folder.root(), OPTIMIZE).await;
    assert_eq!((report.result, report.error.unwrap().reason.as_str()), (TaskResult::Failed, "StoreUnavailable"));
}

#[tokio::test]
async fn health_has_limits() {
    let folder = Folder::new();
    fill(&folder.place("docs"), "docs", "r1", &documents(2, 3)).await;
    let limits = HealthCheck { max_dead_letters: Some(1), max_staleness_seconds: Some(3600), ..HEALTH };
    let health = task(&folder.root(), vec![MaintenanceWork::HealthCheck(limits)]);
    let fine = checks(&health).await;
    let all = [
        HealthCheckName::StoreReachable,
        HealthCheckName::StoreIntact,
        HealthCheckName::CountsAgree,
        HealthCheckName::FingerprintsAgree,
        HealthCheckName::FreeSpace,
        HealthCheckName::DeadLetters,
        HealthCheckName::Freshness,
    ];
    assert_eq!(holding(&fine), all.map(|name| (name, true)));

    folder.change(
        "docs.db",
        "UPDATE documents SET action = 'Notify', weight = 2 WHERE id = 1; UPDATE documents SET stored = 1000;
         DELETE FROM chunks WHERE id = 1",
    );
    let found = checks(&health).await;
    let failed: Vec<_> = found.values().filter(|check| !check.passed).collect();
    let names: Vec<_> = failed.iter().map(|check| check.name).collect();
    assert_eq!(names, [HealthCheckName::CountsAgree, HealthCheckName::DeadLetters, HealthCheckName::Freshness]);
    assert!(failed.iter().all(|check| check.message.contains("collection 'docs'")), "{failed:?}");
    assert!(failed[0].message.contains("OrphanCleanup"), "{failed:?}");
    assert!(failed[1].message.contains("2 dead letters, and maxDeadLetters is 1"), "{failed:?}");
}

#[tokio::test]
async fn the_provider_is_asked_and_its_model_compared() {
    let folder = Folder::new();
    fill(&folder.place("docs"), "docs", "r1", &documents(1, 1)).await;
    let mut health = task(&folder.root(), vec![MaintenanceWork::HealthCheck(HEALTH)]);
    health.embedding = Some(local_model());
    let found = checks(&health).await;
    assert!(found[&HealthCheckName::ProviderReady].passed, "{found:?}");
    let model = &found[&HealthCheckName::FingerprintsAgree];
    assert!(!model.passed && model.message.contains("tiny@1") && model.message.contains(common::MODEL), "{model:?}");

    health.embedding = Some(lexigram_api::contract::Embedding::local("gpt-17"));
    let found = checks(&health).await;
    let provider = &found[&HealthCheckName::ProviderReady];
    assert!(!provider.passed && provider.message.contains("gpt-17"), "{provider:?}");
    assert!(found[&HealthCheckName::FingerprintsAgree].passed);
}

#[tokio::test]
async fn a_task_that_takes_too_long_is_stopped_and_the_next_one_goes_on() {
    let folder = Folder::new();
    fill(&folder.place("docs"), "docs", "r1", &documents(1, 1)).await;
    // a writer that does not end
    let writer = Connection::open(folder.path("docs.db")).unwrap();
    writer.execute_batch("BEGIN IMMEDIATE").unwrap();
    let policy = ArchivePolicy { retention_seconds: 1000, max_items: 10 };
    let cache = MaintenanceWork::CacheCleanup(CacheCleanup { remove_unused_models: false, ..CacheCleanup::default() });
    let mut both = task(&folder.root(), vec![MaintenanceWork::ArchiveCleanup(policy), cache]);
    both.tasks[0].timeout_seconds = 1;
    let reports = run_task(&both).await;
    let error = reports[0].error.as_ref().unwrap();
    assert_eq!((error.category, error.reason.as_str()), (FailureCategory::Timeout, "TaskTimedOut"));
    assert_eq!((reports[0].result, reports[1].result), (TaskResult::Failed, TaskResult::Succeeded), "{reports:?}");
    writer.execute_batch("ROLLBACK").unwrap();
}

#[tokio::test]
async fn one_run_maintains_a_store_at_a_time() {
    let folder = Folder::new();
    let limits = Limits { stop: CancellationToken::new(), timeout: Duration::from_secs(60) };
    let held = upkeep_of(&folder.root(), limits).hold().await.unwrap().unwrap();
    let both = || task(&folder.root(), vec![OPTIMIZE, MaintenanceWork::HealthCheck(HEALTH)]);
    let reports = run_task(&both()).await;
    assert!(reports.iter().all(|report| report.result == TaskResult::Skipped), "{reports:?}");
    assert!(reports[0].message.contains("another run maintains this store"), "{reports:?}");
    drop(held);
    let reports = run_task(&both()).await;
    assert!(reports.iter().all(|report| report.result == TaskResult::Succeeded), "{reports:?}");
}

#[test]
fn a_pod_reports_each_task_and_ends_well() {
    let workspace = Workspace::new();
    let spec = |tasks: serde_json::Value| {
        json!({
            "contractVersion": "v1alpha1",
            "run": "m1",
            "task": {
                "type": "Maintain",
                "store": { "type": "Sqlite", "directory": workspace.path("missing"), "cache": workspace.path("c.db") },
                "tasks": tasks,
            },
        })
    };
    assert_eq!(run(&mut workspace.pod(&spec(json!([])))).0, 0);
    assert_eq!(workspace.report().maintenance, []);
    // a folder that is not there is an empty store
    let work = json!({ "type": "IndexOptimization" });
    let tasks = json!([{ "name": "index", "timeoutSeconds": 60, "work": work }]);
    assert_eq!(run(&mut workspace.pod(&spec(tasks))).0, 0);
    let report = workspace.report().maintenance.remove(0);
    assert_eq!((report.name.as_str(), report.result, report.items), ("index", TaskResult::Succeeded, 0));
    assert!(!workspace.path("missing").exists());
}
