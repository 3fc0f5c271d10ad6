//! The embedding cache and the archive keep within their bounds.

use super::*;

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
