//! What only files do; what every store does is asked of all of them in `tests/store_conformance`.

use std::fs;

use super::*;

const COLLECTION: Collection<'_> = Collection { name: "docs", model: "tiny@1", dimension: 4 };
const SCOPE: &str = "configMap/handbook";

#[tokio::test]
async fn what_is_no_store_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("docs.db");
    assert!(matches!(SqliteStore::open(&path), Err(StoreError::NotFound { .. })));

    fs::write(&path, "# Notes\nThis is not a database, but long enough to be taken for one at first sight.".repeat(20))
        .unwrap();
    assert!(matches!(SqliteStore::open(&path), Err(StoreError::NotAStore { .. })));
    let created = SqliteStore::create(&path, &COLLECTION, SCOPE, Duration::ZERO).await;
    assert!(matches!(created, Err(StoreError::NotAStore { .. })));

    let foreign = folder.path().join("foreign.db");
    Connection::open(&foreign).unwrap().execute_batch("CREATE TABLE theirs (id INTEGER)").unwrap();
    assert!(matches!(SqliteStore::open(&foreign), Err(StoreError::NotAStore { .. })));
    let created = SqliteStore::create(&foreign, &COLLECTION, SCOPE, Duration::ZERO).await;
    assert!(matches!(created, Err(StoreError::NotAStore { .. })));
}

#[tokio::test]
async fn a_store_of_a_newer_program_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("docs.db");
    SqliteStore::create(&path, &COLLECTION, SCOPE, Duration::ZERO).await.unwrap();
    Connection::open(&path).unwrap().pragma_update(None, "user_version", 99).unwrap();
    let error = SqliteStore::open(&path).err().unwrap();
    assert!(error.to_string().contains("version 99"), "{error}");
}
