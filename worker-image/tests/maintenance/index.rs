//! A store is given its room back, and nobody waits long for that.

use super::*;

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
