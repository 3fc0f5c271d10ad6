//! Batches: ranges of texts, and single texts that failed.

use lexigram_worker::store::{FailedText, ListedRange, RangeWrite, Spent, StoredText, TextItem, TextWrite};

use super::*;

const BATCH: &str = "batch/reviews";

fn range(first_row: i64, rows: i32, version: &str) -> ListedRange {
    ListedRange {
        name: format!("rows {}-{}", first_row + 1, first_row + i64::from(rows)),
        version: version.to_owned(),
        kept: true,
        rows,
        first_row,
        place: format!("{{\"row\":{first_row}}}"),
    }
}

async fn list(fixture: &Fixture, run: &str, ranges: Vec<ListedRange>) -> RunKey {
    let run = RunKey { scope: BATCH.to_owned(), run: run.to_owned() };
    assert_eq!(fixture.store.begin_full(&run).await.unwrap(), Listing::Open);
    fixture.store.add_ranges(&run, ranges, "p1").await.unwrap();
    fixture.store.end_listing(&run).await.unwrap();
    run
}

fn text(row: i64) -> StoredText {
    StoredText {
        id: Uuid::from_u128(u128::try_from(row + 1).unwrap()),
        row,
        key: format!("id {row}"),
        text: format!("text {row}"),
        metadata: Some(format!("{{\"row\":{row}}}")),
        tokens: 1,
        vector: vec![1.0, f32::from(u8::try_from(row).unwrap()), 0.0, 0.0],
    }
}

fn failed(row: i64, next_attempt: i64) -> FailedText {
    let item = WorkItem { document: 0, name: String::new(), attempts: 0, revision: None, suspect: false };
    FailedText {
        name: format!("row {}", row + 1),
        first_row: row,
        place: format!("{{\"row\":{row}}}"),
        version: "v".to_owned(),
        attempt: attempt(&item, FailureAction::Retry, Some(at(next_attempt))),
    }
}

async fn settle(fixture: &Fixture, run: &RunKey, item: &TextItem, done: Vec<i64>, bad: Vec<i64>) {
    let write = RangeWrite {
        document: item.item.document,
        revision: format!("revision of {}", item.item.name),
        pipeline: "p1".to_owned(),
        spent: Spent { bytes: 10, tokens: 5, cached: 1 },
        done: i32::try_from(done.len()).unwrap(),
        texts: done.into_iter().map(text).collect(),
        failed: bad.into_iter().map(|row| failed(row, 100)).collect(),
    };
    fixture.store.complete_range(run, write).await.unwrap();
}

#[rstest]
#[tokio::test]
async fn a_range_speaks_for_its_texts_and_a_failed_one_for_itself(#[values(Kind::Sqlite, Kind::Postgres)] kind: Kind) {
    let fixture = Fixture::new(kind).await;
    let run = list(&fixture, "r1", vec![range(0, 3, "1"), range(3, 2, "1")]).await;
    let claimed = fixture.store.claim_texts(&run, 8).await.unwrap();
    let [first] = claimed.as_slice() else { panic!("{claimed:?}") };
    assert_eq!((first.item.name.as_str(), first.weight, first.part_of), ("rows 1-3", 3, None));
    assert_eq!(first.version.as_deref(), Some("1"));
    settle(&fixture, &run, first, vec![0, 2], vec![1]).await;
    // as after a lost connection: the same again changes nothing
    settle(&fixture, &run, first, vec![0, 2], vec![1]).await;
    let second = fixture.store.claim_texts(&run, 8).await.unwrap().remove(0);
    settle(&fixture, &run, &second, vec![3, 4], vec![]).await;
    assert!(fixture.store.claim_texts(&run, 8).await.unwrap().is_empty());
    let counts = fixture.store.summary(&run).await.unwrap().counts;
    assert_eq!((counts.items.total, counts.items.done, counts.items.failed), (5, 4, 1));
    assert_eq!((counts.failures.retrying, counts.chunks, counts.tokens, counts.cached), (1, 4, 10, 2));
    let hit = fixture.store.search(&[1.0, 4.0, 0.0, 0.0], 1).await.unwrap().remove(0);
    assert_eq!((hit.document.as_str(), hit.text.as_str(), hit.ordinal), ("id 4", "text 4", 4));
    assert_eq!(hit.metadata, Some(serde_json::json!({"row": 4})));
    let revisions = fixture.store.revisions(BATCH).await.unwrap();
    assert_eq!(revisions.len(), 2);

    let retry = RunKey { run: "retry1".to_owned(), ..run.clone() };
    fixture.store.begin_retry(&retry, at(100)).await.unwrap();
    let single = fixture.store.claim_texts(&retry, 8).await.unwrap().remove(0);
    assert_eq!((single.item.name.as_str(), single.part_of), ("row 2", Some(first.item.document)));
    let write = TextWrite {
        document: single.item.document,
        revision: "s".to_owned(),
        pipeline: "p1".to_owned(),
        spent: Spent::default(),
        text: Some(text(1)),
    };
    fixture.store.complete_texts(vec![write], vec![]).await.unwrap();
    assert_eq!(fixture.store.search(&[1.0, 0.0, 0.0, 0.0], 100).await.unwrap().len(), 5);

    // unchanged ranges are skipped, with the texts that failed first and were done later
    let run = list(&fixture, "r2", vec![range(0, 3, "1"), range(3, 2, "2")]).await;
    let again = fixture.store.claim_texts(&run, 8).await.unwrap();
    assert_eq!(again.iter().map(|item| item.item.name.as_str()).collect::<Vec<_>>(), ["rows 4-5"]);
    assert_eq!(fixture.store.summary(&run).await.unwrap().counts.items.skipped, 3);
}

#[rstest]
#[tokio::test]
async fn an_id_belongs_to_one_text_and_goes_with_its_range(#[values(Kind::Sqlite, Kind::Postgres)] kind: Kind) {
    let fixture = Fixture::new(kind).await;
    let run = list(&fixture, "r1", vec![range(0, 2, "1"), range(2, 2, "1")]).await;
    let first = fixture.store.claim_texts(&run, 8).await.unwrap().remove(0);
    settle(&fixture, &run, &first, vec![0, 1], vec![]).await;
    let second = fixture.store.claim_texts(&run, 8).await.unwrap().remove(0);
    let ids = vec![text(2).id, text(1).id, text(3).id];
    let taken = fixture.store.taken(&run, true, second.item.document, ids).await.unwrap();
    assert_eq!(taken, [text(1).id]);
    settle(&fixture, &run, &second, vec![2, 3], vec![]).await;
    let run = list(&fixture, "r2", vec![range(0, 2, "1")]).await;
    assert_eq!(fixture.store.remove_unlisted(&run).await.unwrap(), 2);
    assert_eq!(fixture.store.search(&[1.0, 0.0, 0.0, 0.0], 100).await.unwrap().len(), 2);
    assert_eq!(fixture.store.summary(&run).await.unwrap().counts.items.deleted, 2);
}
