//! Documents: listed, claimed, done, failed, removed.

use super::*;

#[rstest]
#[tokio::test]
async fn a_new_revision_replaces_the_old_one_and_the_same_one_is_not_doubled(
    #[values(Kind::Sqlite, Kind::Postgres)] kind: Kind,
) {
    let fixture = Fixture::new(kind).await;
    let run = fixture.list("r1", &[("a.md", "1")]).await;
    let item = fixture.claim(&run).await.unwrap();
    fixture.complete(&item, "x", 2).await;
    fixture.complete(&item, "x", 2).await;
    assert_eq!(fixture.texts().await, ["a.md x 0", "a.md x 1"]);

    let run = fixture.list("r2", &[("a.md", "2")]).await;
    let item = fixture.claim(&run).await.unwrap();
    assert_eq!(item.revision.as_deref(), Some("x"));
    fixture.complete(&item, "y", 1).await;
    assert_eq!(fixture.texts().await, ["a.md y 0"]);
    let rows = fixture.store.documents(false, 1).await.unwrap();
    assert_eq!(rows[0].about.as_ref().unwrap()["format"], "format y");
    let summary = fixture.store.summary(&run).await.unwrap();
    assert_eq!(
        (summary.counts.items.total, summary.counts.items.done, summary.counts.chunks, summary.counts.tokens),
        (1, 1, 1, 7)
    );
}

#[rstest]
#[tokio::test]
async fn search_finds_the_nearest_first(#[values(Kind::Sqlite, Kind::Postgres)] kind: Kind) {
    let fixture = Fixture::new(kind).await;
    let run = fixture.list("r1", &[("a.md", "1")]).await;
    let item = fixture.claim(&run).await.unwrap();
    fixture.complete(&item, "x", 3).await;
    let hits = fixture.store.search(&[1.0, 2.0, 0.0, 0.0], 2).await.unwrap();
    assert_eq!(hits.iter().map(|hit| hit.ordinal).collect::<Vec<_>>(), [2, 1]);
    assert!((hits[0].score - 1.0).abs() < 1e-6, "{}", hits[0].score);
    assert_eq!((hits[0].document.as_str(), hits[0].headings.len(), hits[0].page), ("a.md", 1, Some(1)));
}

#[rstest]
#[tokio::test]
async fn only_an_unchanged_version_under_the_same_pipeline_is_skipped_unseen(
    #[values(Kind::Sqlite, Kind::Postgres)] kind: Kind,
) {
    let fixture = Fixture::new(kind).await;
    let run = fixture.list("r1", &[("a.md", "1"), ("b.md", "1"), ("c.md", "1")]).await;
    while let Some(item) = fixture.claim(&run).await {
        match item.name.as_str() {
            "c.md" => fixture.fail(&item, FailureAction::Archive, None).await,
            _ => fixture.complete(&item, "x", 1).await,
        }
    }
    let run = fixture.list("r2", &[("a.md", "1"), ("b.md", "2"), ("c.md", "1")]).await;
    let mut claimed = Vec::new();
    while let Some(item) = fixture.claim(&run).await {
        claimed.push((item.name.clone(), item.attempts));
        fixture.complete(&item, "x", 1).await;
    }
    assert_eq!(claimed, [("b.md".to_owned(), 0), ("c.md".to_owned(), 0)]);
    assert_eq!(fixture.store.summary(&run).await.unwrap().counts.items.skipped, 1);

    let run = RunKey { run: "r3".to_owned(), ..run };
    fixture.store.begin_full(&run).await.unwrap();
    let listed = vec![Listed { name: "a.md".to_owned(), version: Some("1".to_owned()) }];
    fixture.store.add_listed(&run, listed, "p2").await.unwrap();
    assert_eq!(fixture.claim(&run).await.unwrap().name, "a.md");
}

#[rstest]
#[tokio::test]
async fn the_listing_is_made_once_a_run(#[values(Kind::Sqlite, Kind::Postgres)] kind: Kind) {
    let fixture = Fixture::new(kind).await;
    let run = RunKey { scope: SCOPE.to_owned(), run: "r1".to_owned() };
    assert_eq!(fixture.store.begin_full(&run).await.unwrap(), Listing::Open);
    assert_eq!(fixture.store.begin_full(&run).await.unwrap(), Listing::Open);
    fixture.store.end_listing(&run).await.unwrap();
    assert_eq!(fixture.store.begin_full(&run).await.unwrap(), Listing::Complete);
}

#[rstest]
#[tokio::test]
async fn suspects_come_last_and_keep_their_attempts_over_runs(#[values(Kind::Sqlite, Kind::Postgres)] kind: Kind) {
    let fixture = Fixture::new(kind).await;
    let run = fixture.list("r1", &[("a.md", "1"), ("b.md", "1")]).await;
    let in_hand = fixture.claim(&run).await.unwrap();
    assert_eq!(fixture.store.interrupted(&run).await.unwrap(), std::slice::from_ref(&in_hand));
    fixture.store.suspect(attempt(&in_hand, FailureAction::Retry, Some(at(60)))).await.unwrap();
    assert_eq!(fixture.claim(&run).await.unwrap().name, "b.md");
    let again = fixture.claim(&run).await.unwrap();
    assert_eq!((again.name.as_str(), again.attempts, again.suspect), ("a.md", 1, true));
    fixture.store.release(&run).await.unwrap();

    let run = fixture.list("r2", &[("a.md", "1"), ("b.md", "1")]).await;
    assert_eq!(fixture.claim(&run).await.unwrap().attempts, 0);
    assert_eq!(fixture.claim(&run).await.unwrap().attempts, 1);
    assert_eq!(fixture.claim(&run).await, None);
}

#[rstest]
#[tokio::test]
async fn what_a_new_run_gives_up_as_it_begins_is_not_listed_anew(#[values(Kind::Sqlite, Kind::Postgres)] kind: Kind) {
    let fixture = Fixture::new(kind).await;
    let run = fixture.list("r1", &[("a.md", "1"), ("b.md", "1")]).await;
    let in_hand = fixture.claim(&run).await.unwrap();
    let run = RunKey { run: "r2".to_owned(), ..run };
    fixture.store.give_up(&run, attempt(&in_hand, FailureAction::Archive, None)).await.unwrap();

    let run = fixture.list("r2", &[("a.md", "1"), ("b.md", "1")]).await;
    assert_eq!(fixture.claim(&run).await.unwrap().name, "b.md");
    assert_eq!(fixture.claim(&run).await, None);
    let counts = fixture.store.summary(&run).await.unwrap().counts;
    assert_eq!((counts.items.total, counts.items.failed, counts.failures.archived), (2, 1, 1));
    // asked for by another full run it has all its attempts again
    fixture.store.release(&run).await.unwrap();
    let run = fixture.list("r3", &[("a.md", "1")]).await;
    let again = fixture.claim(&run).await.unwrap();
    assert_eq!((again.name.as_str(), again.attempts, again.suspect), ("a.md", 0, false));
}

#[rstest]
#[tokio::test]
async fn a_retry_takes_what_is_due_and_nothing_else(#[values(Kind::Sqlite, Kind::Postgres)] kind: Kind) {
    let fixture = Fixture::new(kind).await;
    let names = ["archived.md", "done.md", "due.md", "later.md", "notified.md"];
    let run = fixture.list("r1", &names.map(|name| (name, "1"))).await;
    while let Some(item) = fixture.claim(&run).await {
        match item.name.as_str() {
            "archived.md" => fixture.fail(&item, FailureAction::Archive, None).await,
            "due.md" => fixture.fail(&item, FailureAction::Retry, Some(at(100))).await,
            "later.md" => fixture.fail(&item, FailureAction::Retry, Some(at(101))).await,
            "notified.md" => fixture.fail(&item, FailureAction::Notify, None).await,
            _ => fixture.complete(&item, "x", 1).await,
        }
    }
    assert_eq!(fixture.store.summary(&run).await.unwrap().next_retry, Some(at(100)));

    let retry = RunKey { run: "retry1".to_owned(), ..run };
    fixture.store.begin_retry(&retry, at(100)).await.unwrap();
    // stopped before its end, it is still due for the next one
    assert_eq!(fixture.claim(&retry).await.unwrap().name, "due.md");
    fixture.store.release(&retry).await.unwrap();
    let retry = RunKey { run: "retry2".to_owned(), ..retry };
    fixture.store.begin_retry(&retry, at(100)).await.unwrap();
    let item = fixture.claim(&retry).await.unwrap();
    assert_eq!((item.name.as_str(), item.attempts), ("due.md", 1));
    fixture.complete(&item, "x", 1).await;
    assert_eq!(fixture.claim(&retry).await, None);
    let summary = fixture.store.summary(&retry).await.unwrap();
    assert_eq!((summary.counts.items.total, summary.next_retry), (1, Some(at(101))));
    assert_eq!(
        fixture.states().await,
        [
            ("archived.md".to_owned(), DocumentState::Archived, 1),
            ("done.md".to_owned(), DocumentState::Done, 0),
            ("due.md".to_owned(), DocumentState::Done, 0),
            ("later.md".to_owned(), DocumentState::Failed, 1),
            ("notified.md".to_owned(), DocumentState::Failed, 1),
        ]
    );
}

#[rstest]
#[tokio::test]
async fn a_mirror_removes_what_was_not_listed_in_its_scope_only(#[values(Kind::Sqlite, Kind::Postgres)] kind: Kind) {
    let fixture = Fixture::new(kind).await;
    let other = RunKey { scope: "configMap/other".to_owned(), run: "o1".to_owned() };
    fixture.store.begin_full(&other).await.unwrap();
    let listed = vec![Listed { name: "theirs.md".to_owned(), version: None }];
    fixture.store.add_listed(&other, listed, "p1").await.unwrap();
    fixture.complete(&fixture.claim(&other).await.unwrap(), "x", 1).await;

    let run = fixture.list("r1", &[("a.md", "1"), ("b.md", "1")]).await;
    while let Some(item) = fixture.claim(&run).await {
        fixture.complete(&item, "x", 1).await;
    }
    let run = fixture.list("r2", &[("a.md", "1")]).await;
    assert_eq!(fixture.store.remove_unlisted(&run).await.unwrap(), 1);
    assert_eq!(fixture.texts().await, ["a.md x 0", "theirs.md x 0"]);
    assert_eq!(fixture.store.summary(&run).await.unwrap().counts.items.deleted, 1);
}

#[rstest]
#[tokio::test]
async fn the_archive_is_bounded_by_count_and_age(#[values(Kind::Sqlite, Kind::Postgres)] kind: Kind) {
    let fixture = Fixture::new(kind).await;
    let run = fixture.list("r1", &[("a.md", "1"), ("b.md", "1"), ("c.md", "1")]).await;
    while let Some(item) = fixture.claim(&run).await {
        fixture.fail(&item, FailureAction::Archive, None).await;
    }
    let keep = |max_items, retention_seconds| ArchivePolicy { max_items, retention_seconds };
    fixture.store.prune_archive(&keep(2, 100), at(149)).await.unwrap();
    assert_eq!(fixture.states().await.len(), 2);
    fixture.store.prune_archive(&keep(2, 100), at(151)).await.unwrap();
    assert_eq!(fixture.states().await.len(), 0);
}

#[rstest]
#[tokio::test]
async fn an_archived_document_that_has_chunks_stays_as_it_was_ingested(
    #[values(Kind::Sqlite, Kind::Postgres)] kind: Kind,
) {
    let fixture = Fixture::new(kind).await;
    let run = fixture.list("r1", &[("a.md", "1")]).await;
    fixture.complete(&fixture.claim(&run).await.unwrap(), "x", 1).await;
    let run = fixture.list("r2", &[("a.md", "2")]).await;
    fixture.fail(&fixture.claim(&run).await.unwrap(), FailureAction::Archive, None).await;
    fixture.store.prune_archive(&ArchivePolicy { max_items: 0, retention_seconds: 60 }, at(50)).await.unwrap();
    assert_eq!(fixture.states().await, [("a.md".to_owned(), DocumentState::Done, 0)]);
    assert_eq!(fixture.texts().await, ["a.md x 0"]);
}

#[rstest]
#[tokio::test]
async fn another_model_is_refused_with_both_names(#[values(Kind::Sqlite, Kind::Postgres)] kind: Kind) {
    let fixture = Fixture::new(kind).await;
    let other = Collection { model: "large@2", ..COLLECTION };
    let writer = Writer { scope: "configMap/b", ..writer("r1") };
    let error = fixture.place.create(&other, &writer).await.err().unwrap();
    let message = error.to_string();
    assert!(
        message.contains("tiny@1") && message.contains("large@2") && message.contains("spec.collection"),
        "{message}"
    );
}

#[rstest]
#[tokio::test]
async fn a_source_has_one_run_at_a_time(#[values(Kind::Sqlite, Kind::Postgres)] kind: Kind) {
    let fixture = Fixture::new(kind).await;
    let refused = fixture.place.create(&COLLECTION, &writer("r2")).await.err().unwrap();
    assert!(matches!(&refused, StoreError::Locked { scope, .. } if scope == SCOPE), "{refused}");
    let other = Writer { scope: "configMap/other", ..writer("r2") };
    fixture.place.create(&COLLECTION, &other).await.unwrap();
    fixture.again("r2").await;
}

#[rstest]
#[tokio::test]
async fn a_name_and_a_text_are_kept_as_they_are(#[values(Kind::Sqlite, Kind::Postgres)] kind: Kind) {
    let fixture = Fixture::new(kind).await;
    let name = "O'Brien \"notes\" \\ 50% über.md";
    let run = fixture.list("r1", &[(name, "1")]).await;
    let item = fixture.claim(&run).await.unwrap();
    assert_eq!(item.name, name);
    fixture.complete(&item, "x", 1).await;
    assert_eq!(fixture.texts().await, [format!("{name} x 0")]);
}
