//! Maintenance of a Postgres database: each task does what it is for, and live data stays as it is.

// helpers panic as tests do
#![allow(clippy::unwrap_used, clippy::panic)]

mod common;

use std::time::Duration;

use common::{
    postgres::Database,
    upkeep::{archive, checks, documents, fill, holding, run_one, run_task, task},
};
use lexigram_api::{
    contract::{MaintenanceWork, PostgresServer, StoreLocation, StoreRoot, TaskResult},
    failure::{ArchivePolicy, FailureCategory},
    maintenance::{CacheCleanup, HealthCheck, HealthCheckName, IndexOptimization, OrphanCleanup},
    postgres::PostgresSettings,
};
use lexigram_worker::store::{CacheKey, Limits, Place, upkeep_of};
use tokio_util::sync::CancellationToken;

const OPTIMIZE: MaintenanceWork =
    MaintenanceWork::IndexOptimization(IndexOptimization { max_free_percent: 20, max_block_seconds: 60 });
const ORPHANS: MaintenanceWork = MaintenanceWork::OrphanCleanup(OrphanCleanup { dry_run: false });

fn root_by(uri: String) -> StoreRoot {
    StoreRoot::Postgres(PostgresServer { uri, settings: PostgresSettings::default(), ca_file: None })
}

fn root(database: &Database) -> StoreRoot {
    root_by(database.uri())
}

fn place(database: &Database, collection: &str) -> Place {
    Place::find(&database.location(collection), 1).unwrap()
}

async fn number(database: &Database, collection: &str, sql: &str) -> i64 {
    database.query(collection, sql).await[0][0].parse().unwrap()
}

/// Waits until the server's statistics tell of what was removed: they come late.
async fn until_counted(database: &Database, collection: &str) {
    let removed = format!(
        "SELECT n_tup_del FROM pg_stat_user_tables WHERE schemaname = 'lexigram_{collection}' AND relname = 'chunks'"
    );
    while number(database, collection, &removed).await == 0 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_store_that_was_emptied_shrinks() {
    let database = Database::new().await;
    fill(&place(&database, "docs"), "docs", "r1", &documents(40, 100)).await;
    fill(&place(&database, "docs"), "docs", "r2", &documents(3, 100)).await;
    until_counted(&database, "docs").await;
    let indexes = "SELECT pg_indexes_size('chunks')";
    let before = number(&database, "docs", indexes).await;
    let report = run_one(&root(&database), OPTIMIZE).await;
    assert_eq!((report.result, report.items), (TaskResult::Succeeded, 1), "{report:?}");
    let after = number(&database, "docs", indexes).await;
    assert!(after * 2 < before, "{before} bytes before, {after} after: {}", report.message);
    assert!(report.bytes_freed > 0, "{report:?}");
    assert!(report.message.contains(", 0% after; a search took"), "{report:?}");
    assert_eq!(number(&database, "docs", "SELECT count(*) FROM chunks").await, 300);
}

#[tokio::test]
async fn an_index_that_was_half_made_is_made_anew_and_is_no_sound_one() {
    let database = Database::new().await;
    fill(&place(&database, "docs"), "docs", "r1", &documents(1, 3)).await;
    let client = database.connect().await;
    let spoil = "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'lexigram_docs.half_ccnew'::regclass";
    client.batch_execute("CREATE INDEX half_ccnew ON lexigram_docs.chunks (ordinal)").await.unwrap();
    client.batch_execute(spoil).await.unwrap();
    let health = task(&root(&database), vec![MaintenanceWork::HealthCheck(HealthCheck::default())]);
    let intact = &checks(&health).await[&HealthCheckName::StoreIntact];
    assert!(!intact.passed && intact.message.contains("the index half_ccnew is not valid"), "{intact:?}");
    assert_eq!(run_one(&root(&database), OPTIMIZE).await.result, TaskResult::Succeeded);
    assert!(checks(&health).await.values().all(|check| check.passed));
}

#[tokio::test]
async fn the_cache_keeps_within_its_bounds() {
    let database = Database::new().await;
    fill(&place(&database, "docs"), "docs", "r1", &documents(1, 1)).await;
    let cache = place(&database, "docs").cache().await.unwrap();
    let vectors = |model: &'static str, numbers: std::ops::Range<u32>| {
        numbers.map(move |n| (CacheKey::new(model, false, &n.to_string()), vec![0.5; 384])).collect::<Vec<_>>()
    };
    cache.put("tiny@1", vectors("tiny@1", 0..2000)).await.unwrap();
    cache.put("gone@1", vectors("gone@1", 0..10)).await.unwrap();
    let client = database.connect().await;
    let table = "\"lexigram__embedding_cache\".vectors";
    // the first ones have not been used for a day and a half, and one of them just now
    let (key, _) = vectors("tiny@1", 0..1).remove(0);
    let age = format!(
        "UPDATE {table} SET used = used - 129600 WHERE id IN (SELECT id FROM {table} WHERE key < '\\x20') OR key = $1"
    );
    let aged = client.execute(&age, &[&&key.0[..]]).await.unwrap();
    assert!(cache.get(vec![key]).await.unwrap()[0].is_some());
    drop(cache);
    let gone = aged - 1;

    let bounds = CacheCleanup { max_age_seconds: 100_000, max_mebibytes: 4096, remove_unused_models: true };
    let report = run_one(&root(&database), MaintenanceWork::CacheCleanup(bounds.clone())).await;
    assert!(report.message.contains(&format!("({gone} by age, ")), "{report:?}");
    assert!(report.message.contains(" of models that no collection uses, 0 by size"), "{report:?}");
    let models: i64 =
        client.query_one(&format!("SELECT count(DISTINCT model) FROM {table}"), &[]).await.unwrap().get(0);
    assert_eq!(models, 1);
    let report =
        run_one(&root(&database), MaintenanceWork::CacheCleanup(CacheCleanup { max_mebibytes: 1, ..bounds })).await;
    let left: i64 = client.query_one(&format!("SELECT count(*) FROM {table}"), &[]).await.unwrap().get(0);
    assert!(left > 0 && left < 700, "{left} vectors left: {report:?}");
    assert_eq!(report.result, TaskResult::Succeeded);
}

#[tokio::test]
async fn archived_dead_letters_go_by_age_and_number() {
    let database = Database::new().await;
    let now = jiff::Timestamp::now().as_second();
    archive(&place(&database, "docs"), "docs", "r1", &[("old", now - 5000), ("b", now - 30), ("c", now - 20)]).await;
    let policy = |max_items| MaintenanceWork::ArchiveCleanup(ArchivePolicy { retention_seconds: 1000, max_items });
    let report = run_one(&root(&database), policy(10)).await;
    assert_eq!((report.items, report.message.as_str()), (1, "1 archived dead letter removed from 1 collection"));
    assert_eq!(run_one(&root(&database), policy(1)).await.items, 1);
    assert_eq!(database.query("docs", "SELECT name FROM documents").await, [["c"]]);
}

#[tokio::test]
async fn orphans_go_and_what_was_lost_is_found_changed() {
    let database = Database::new().await;
    fill(&place(&database, "docs"), "docs", "r1", &documents(3, 2)).await;
    let plant = "
        SET session_replication_role = replica;
        UPDATE chunks SET document = 999 WHERE document = 1 AND ordinal = 0;
        DELETE FROM chunks WHERE document = 2;
        UPDATE documents SET state = 'InFlight', chunks = 7 WHERE id = 3;
        INSERT INTO meta (key, value) VALUES ('next_model', 'other@1');
        ALTER TABLE chunks ADD COLUMN next_embedding vector(8);
        CREATE INDEX chunks_left ON chunks (id) WHERE next_embedding IS NULL";
    database.query("docs", plant).await;
    let dry = run_one(&root(&database), MaintenanceWork::OrphanCleanup(OrphanCleanup { dry_run: true })).await;
    // the document of the planted chunk has lost it
    assert_eq!(dry.items, 4, "{dry:?}");
    assert_eq!(number(&database, "docs", "SELECT count(*) FROM chunks").await, 4);
    let report = run_one(&root(&database), ORPHANS).await;
    assert_eq!(report.items, 4, "{report:?}");
    assert!(
        report.message.contains("1 chunk, 0 entries of indexes and 1 half-built rebuild removed; 2 documents"),
        "{report:?}"
    );
    let ledger = "SELECT id, chunks, coalesce(version, '-') FROM documents ORDER BY id";
    assert_eq!(database.query("docs", ledger).await, [["1", "1", "-"], ["2", "0", "-"], ["3", "7", "1"]]);
    assert_eq!(number(&database, "docs", "SELECT count(*) FROM chunks").await, 3);
    let column = "SELECT count(*) FROM pg_attribute WHERE attrelid = 'chunks'::regclass AND attname = 'next_embedding'";
    assert_eq!(number(&database, "docs", column).await, 0);
    database.query("docs", "UPDATE documents SET state = 'Done', chunks = 2 WHERE id = 3").await;
    assert_eq!(run_one(&root(&database), ORPHANS).await.items, 0);
    fill(&place(&database, "docs"), "docs", "r2", &documents(3, 2)).await;
    assert_eq!(number(&database, "docs", "SELECT count(*) FROM chunks").await, 6);
}

#[tokio::test]
async fn an_ingestion_beside_it_loses_nothing() {
    let database = Database::new().await;
    fill(&place(&database, "docs"), "docs", "r0", &documents(30, 3)).await;
    database.query("docs", "UPDATE documents SET version = 'changed'").await;
    let root = root(&database);
    let cleaning = async {
        loop {
            let report = run_task(&task(&root, vec![ORPHANS, OPTIMIZE])).await;
            assert_eq!((report[0].result, report[0].items), (TaskResult::Succeeded, 0), "{report:?}");
        }
    };
    let (place, documents) = (place(&database, "docs"), documents(60, 3));
    tokio::select! {
        () = fill(&place, "docs", "r1", &documents) => {},
        () = cleaning => unreachable!(),
    }
    assert_eq!(number(&database, "docs", "SELECT count(*) FROM chunks").await, 180);
    assert_eq!(
        number(&database, "docs", "SELECT count(*) FROM documents WHERE state = 'Done' AND chunks = 3").await,
        60
    );
}

#[tokio::test]
async fn a_database_that_is_away_is_unreachable() {
    // a port that nobody listens on
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let away = root_by(format!("postgresql://postgres@127.0.0.1:{port}/docs?sslmode=disable"));
    let reports = run_task(&task(&away, vec![OPTIMIZE, MaintenanceWork::HealthCheck(HealthCheck::default())])).await;
    let error = reports[0].error.as_ref().unwrap();
    assert_eq!((error.category, error.reason.as_str()), (FailureCategory::Transient, "StoreUnavailable"));
    assert_eq!(reports[1].result, TaskResult::Succeeded);
    let found: Vec<_> = reports[1].checks.iter().map(|check| (check.name, check.passed)).collect();
    assert_eq!(found, [(HealthCheckName::StoreReachable, false)]);
}

#[tokio::test]
async fn collections_are_found_by_their_whole_names() {
    let database = Database::new().await;
    let long = "a".repeat(80);
    for name in ["docs", &long] {
        fill(&place(&database, name), name, "r1", &documents(1, 2)).await;
    }
    // of another prefix, and of somebody else
    let StoreLocation::Postgres(mut other) = database.location("docs") else { panic!("no Postgres") };
    other.server.settings.schema_prefix = "another_".to_owned();
    fill(&Place::find(&StoreLocation::Postgres(other), 1).unwrap(), "docs", "r1", &documents(1, 2)).await;
    database.connect().await.batch_execute("CREATE SCHEMA lexigram_theirs").await.unwrap();
    let limits = Limits { stop: CancellationToken::new(), timeout: Duration::from_secs(60) };
    let upkeep = upkeep_of(&root(&database), limits);
    assert_eq!(upkeep.collections().await.unwrap(), [long.as_str(), "docs"]);
    let health = HealthCheck { max_dead_letters: Some(0), max_staleness_seconds: Some(3600), ..HealthCheck::default() };
    let found = checks(&task(&root(&database), vec![MaintenanceWork::HealthCheck(health)])).await;
    let all = [
        HealthCheckName::StoreReachable,
        HealthCheckName::StoreIntact,
        HealthCheckName::CountsAgree,
        HealthCheckName::FingerprintsAgree,
        HealthCheckName::DeadLetters,
        HealthCheckName::Freshness,
    ];
    assert_eq!(holding(&found), all.map(|name| (name, true)));
}

#[tokio::test]
async fn one_run_maintains_a_database_at_a_time() {
    let database = Database::new().await;
    let limits = Limits { stop: CancellationToken::new(), timeout: Duration::from_secs(60) };
    let held = upkeep_of(&root(&database), limits).hold().await.unwrap().unwrap();
    assert_eq!(run_one(&root(&database), OPTIMIZE).await.result, TaskResult::Skipped);
    drop(held);
    // the server has to see the connection's end
    while run_one(&root(&database), OPTIMIZE).await.result == TaskResult::Skipped {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_statement_that_takes_too_long_is_stopped() {
    let database = Database::new().await;
    fill(&place(&database, "docs"), "docs", "r1", &documents(1, 1)).await;
    let mut other = database.connect().await;
    let holder = other.transaction().await.unwrap();
    holder.batch_execute("LOCK TABLE lexigram_docs.documents IN SHARE ROW EXCLUSIVE MODE").await.unwrap();
    let policy = ArchivePolicy { retention_seconds: 1000, max_items: 10 };
    let mut waits = task(&root(&database), vec![MaintenanceWork::ArchiveCleanup(policy)]);
    waits.tasks[0].timeout_seconds = 1;
    let report = run_task(&waits).await.remove(0);
    assert_eq!(report.result, TaskResult::Failed);
    assert_eq!(report.error.unwrap().category, FailureCategory::Timeout);
    // what others hold for longer than a run may wait is left
    let short = IndexOptimization { max_free_percent: 20, max_block_seconds: 1 };
    let report = run_one(&root(&database), MaintenanceWork::IndexOptimization(short)).await;
    assert!(report.message.contains("VACUUM of documents was left: others held the table"), "{report:?}");
    assert_eq!(report.result, TaskResult::Succeeded);
}
