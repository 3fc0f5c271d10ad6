//! What does not fit together goes, or is ingested again; live data stays.

use super::*;

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
