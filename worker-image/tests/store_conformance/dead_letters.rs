//! What failed, and what a person or a circuit makes of it.

use lexigram_api::contract::{CategoryCount, CircuitSubject, FailureCounts, OpenCircuit, Selection};
use lexigram_worker::store::{CIRCUIT_OPEN, Wanted};

use super::*;

impl Fixture {
    /// A run in which each document fails in its own way, in this order, a second after the other.
    async fn failures(&self, failures: &[(&str, FailureCategory, FailureAction)]) -> RunKey {
        let run = self.list("r1", &failures.iter().map(|(name, ..)| (*name, "1")).collect::<Vec<_>>()).await;
        for (second, &(_, category, action)) in (50..).zip(failures) {
            let item = self.claim(&run).await.unwrap();
            let next_attempt = (action == FailureAction::Retry).then(|| at(second + 100));
            let failed = attempt(&item, action, next_attempt);
            self.store.fail(FailedAttempt { category, time: at(second), ..failed }).await.unwrap();
        }
        run
    }

    /// Names of the documents that the run claims, each of which is done at once.
    async fn work(&self, run: &RunKey) -> Vec<(String, i32)> {
        let mut claimed = Vec::new();
        while let Some(item) = self.claim(run).await {
            self.complete(&item, "x", 1).await;
            claimed.push((item.name, item.attempts));
        }
        claimed
    }
}

const FAILURES: [(&str, FailureCategory, FailureAction); 4] = [
    ("archived.md", FailureCategory::InvalidInput, FailureAction::Archive),
    ("late.md", FailureCategory::Timeout, FailureAction::Retry),
    ("notified.md", FailureCategory::Authentication, FailureAction::Notify),
    ("slow.md", FailureCategory::Timeout, FailureAction::Retry),
];

fn named(run: &RunKey, name: &str) -> RunKey {
    RunKey { run: name.to_owned(), ..run.clone() }
}

fn of(categories: &[FailureCategory], ids: &[&str]) -> Selection {
    Selection { categories: categories.to_vec(), ids: ids.iter().map(|id| (*id).to_owned()).collect() }
}

#[rstest]
#[tokio::test]
async fn figures_are_of_the_source_whatever_the_run(#[values(Kind::Sqlite, Kind::Postgres)] kind: Kind) {
    let fixture = Fixture::new(kind).await;
    let run = fixture.failures(&FAILURES).await;
    let figures = fixture.store.dead_letters(SCOPE).await.unwrap();
    assert_eq!(figures.actions, FailureCounts { retrying: 2, archived: 1, notified: 1 });
    let count = |category, [retrying, archived, notified]: [i32; 3]| CategoryCount {
        category,
        count: retrying + archived + notified,
        retrying,
        archived,
        notified,
    };
    assert_eq!(
        figures.categories,
        [
            count(FailureCategory::Timeout, [2, 0, 0]),
            count(FailureCategory::InvalidInput, [0, 1, 0]),
            count(FailureCategory::Authentication, [0, 0, 1])
        ]
    );
    assert_eq!(figures.oldest_failure_time, Some(at(51)), "archived ones do not wait");

    let retry = named(&run, "retry1");
    fixture.store.begin_retry(&retry, at(151)).await.unwrap();
    assert_eq!(fixture.work(&retry).await, [("late.md".to_owned(), 1)]);
    let summary = fixture.store.summary(&retry).await.unwrap();
    let names: Vec<&str> = summary.recent_failures.iter().map(|failure| failure.item.as_str()).collect();
    assert_eq!(names, ["slow.md", "notified.md", "archived.md"]);
    assert_eq!(summary.recent_failures[0].next_retry_time, Some(at(153)));
    assert_eq!((summary.counts.items.total, summary.next_retry), (1, Some(at(153))));
    assert_eq!(fixture.store.dead_letters(SCOPE).await.unwrap().actions.retrying, 1);
    assert_eq!(fixture.store.dead_letters("configMap/other").await.unwrap(), Default::default());
}

#[rstest]
#[tokio::test]
async fn what_failed_longest_ago_is_retried_first(#[values(Kind::Sqlite, Kind::Postgres)] kind: Kind) {
    let fixture = Fixture::new(kind).await;
    let run = fixture.failures(&FAILURES.map(|(name, category, _)| (name, category, FailureAction::Retry))).await;
    // the first one fails again, and has still waited longest
    let retry = named(&run, "retry1");
    fixture.store.begin_retry(&retry, at(150)).await.unwrap();
    let item = fixture.claim(&retry).await.unwrap();
    fixture
        .store
        .fail(FailedAttempt { time: at(150), ..attempt(&item, FailureAction::Retry, Some(at(160))) })
        .await
        .unwrap();
    let retry = named(&run, "retry2");
    fixture.store.begin_retry(&retry, at(1000)).await.unwrap();
    let names: Vec<String> = fixture.work(&retry).await.into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["archived.md", "late.md", "notified.md", "slow.md"]);
}

#[rstest]
#[case::everything(of(&[], &[]), at(60), &["archived.md", "late.md", "notified.md", "slow.md"])]
#[case::a_category(of(&[FailureCategory::Timeout], &[]), at(60), &["late.md", "slow.md"])]
#[case::names(of(&[], &["slow.md", "archived.md", "done.md"]), at(60), &["archived.md", "slow.md"])]
#[case::both(of(&[FailureCategory::Timeout], &["slow.md", "archived.md"]), at(60), &["slow.md"])]
#[case::not_what_failed_later(of(&[FailureCategory::Timeout], &[]), at(52), &["late.md"])]
#[tokio::test]
async fn a_selection_is_tried_again_with_all_its_attempts(
    #[values(Kind::Sqlite, Kind::Postgres)] kind: Kind,
    #[case] selection: Selection,
    #[case] failed_before: Timestamp,
    #[case] names: &[&str],
) {
    let fixture = Fixture::new(kind).await;
    let run = fixture.failures(&FAILURES).await;
    let again = named(&run, "again1");
    fixture.store.begin_again(&again, &selection, failed_before).await.unwrap();
    let expected: Vec<_> = names.iter().map(|name| ((*name).to_owned(), 0)).collect();
    assert_eq!(fixture.work(&again).await, expected);
    // the run has taken what it takes
    fixture.store.begin_again(&again, &selection, failed_before).await.unwrap();
    assert_eq!(fixture.claim(&again).await, None);
    let total = i32::try_from(names.len()).unwrap();
    assert_eq!(fixture.store.summary(&again).await.unwrap().counts.items.total, total);
}

#[rstest]
#[tokio::test]
async fn what_a_killed_pod_leaves_of_a_selection_is_still_the_runs_and_due(
    #[values(Kind::Sqlite, Kind::Postgres)] kind: Kind,
) {
    let fixture = Fixture::new(kind).await;
    let run = fixture.failures(&FAILURES).await;
    let again = named(&run, "again1");
    fixture.store.begin_again(&again, &Selection::default(), at(60)).await.unwrap();
    let in_hand = fixture.claim(&again).await.unwrap();
    fixture.store.release(&again).await.unwrap();
    fixture.store.begin_again(&again, &Selection::default(), at(60)).await.unwrap();
    assert_eq!(fixture.claim(&again).await.unwrap(), in_hand);
    fixture.store.release(&again).await.unwrap();
    // and if the run never comes to them, the next retry does
    let retry = named(&run, "retry1");
    fixture.store.begin_retry(&retry, at(60)).await.unwrap();
    assert_eq!(fixture.work(&retry).await.len(), 4);
}

#[rstest]
#[tokio::test]
async fn a_selection_is_given_up_and_counted(#[values(Kind::Sqlite, Kind::Postgres)] kind: Kind) {
    let fixture = Fixture::new(kind).await;
    let run = fixture.failures(&FAILURES).await;
    let archive = named(&run, "archive1");
    let selection = of(&[FailureCategory::Timeout, FailureCategory::InvalidInput], &[]);
    fixture.store.begin_archive(&archive, &selection, at(60)).await.unwrap();
    assert_eq!(fixture.claim(&archive).await, None);
    let summary = fixture.store.summary(&archive).await.unwrap();
    let counts = &summary.counts;
    assert_eq!(
        (counts.items.total, counts.items.failed, counts.failures.archived),
        (2, 2, 2),
        "one was given up before"
    );
    assert_eq!(summary.next_retry, None);
    let actions = fixture.store.dead_letters(SCOPE).await.unwrap().actions;
    assert_eq!(actions, FailureCounts { retrying: 0, archived: 3, notified: 1 });
}

#[rstest]
#[tokio::test]
async fn a_document_that_is_done_or_in_flight_is_left_alone(#[values(Kind::Sqlite, Kind::Postgres)] kind: Kind) {
    let fixture = Fixture::new(kind).await;
    let run = fixture.list("r1", &[("done.md", "1"), ("flying.md", "1")]).await;
    fixture.complete(&fixture.claim(&run).await.unwrap(), "x", 1).await;
    fixture.claim(&run).await.unwrap();
    for name in ["again1", "archive1"] {
        let by_hand = named(&run, name);
        match name {
            "again1" => fixture.store.begin_again(&by_hand, &Selection::default(), Timestamp::MAX).await.unwrap(),
            _ => fixture.store.begin_archive(&by_hand, &Selection::default(), Timestamp::MAX).await.unwrap(),
        }
        assert_eq!(fixture.store.summary(&by_hand).await.unwrap().counts.items.total, 0);
    }
    assert_eq!(
        fixture.states().await,
        [("done.md".to_owned(), DocumentState::Done, 0), ("flying.md".to_owned(), DocumentState::InFlight, 0)]
    );
}

#[rstest]
#[tokio::test]
async fn by_hand_the_same_without_a_run(#[values(Kind::Sqlite, Kind::Postgres)] kind: Kind) {
    let fixture = Fixture::new(kind).await;
    let run = fixture.failures(&FAILURES).await;
    let wanted = |selection| Wanted { scope: Some(SCOPE.to_owned()), selection, failed_before: None };
    let timeouts = wanted(of(&[FailureCategory::Timeout], &[]));
    let first = fixture.store.dead_letter_rows(&timeouts, 0, 1).await.unwrap();
    let second = fixture.store.dead_letter_rows(&timeouts, first[0].0, 1).await.unwrap();
    assert_eq!((first[0].1.document.as_str(), second[0].1.document.as_str()), ("late.md", "slow.md"));
    assert_eq!(first[0].1.first_failure, Some(at(51)));
    assert!(fixture.store.dead_letter_rows(&timeouts, second[0].0, 1).await.unwrap().is_empty());

    assert_eq!(fixture.store.archive_dead_letters(&timeouts).await.unwrap(), 2);
    let elsewhere = Wanted { scope: Some("configMap/other".to_owned()), ..Wanted::default() };
    assert_eq!(fixture.store.retry_dead_letters(&elsewhere, at(200)).await.unwrap(), 0);
    assert_eq!(fixture.store.retry_dead_letters(&wanted(of(&[], &["late.md"])), at(200)).await.unwrap(), 1);
    let retry = named(&run, "retry1");
    fixture.store.begin_retry(&retry, at(200)).await.unwrap();
    assert_eq!(fixture.work(&retry).await, [("late.md".to_owned(), 0)]);
}

#[rstest]
#[tokio::test]
async fn a_circuit_puts_off_what_is_left_and_spends_nothing(#[values(Kind::Sqlite, Kind::Postgres)] kind: Kind) {
    let fixture = Fixture::new(kind).await;
    let run = fixture.list("r1", &[("a.md", "1"), ("b.md", "1"), ("c.md", "1")]).await;
    fixture.complete(&fixture.claim(&run).await.unwrap(), "x", 1).await;
    fixture.claim(&run).await.unwrap();
    fixture.store.release(&run).await.unwrap();
    let circuit = OpenCircuit {
        subject: CircuitSubject::EmbeddingProvider,
        message: "the provider is down".to_owned(),
        until: at(90),
    };
    fixture.store.postpone(&run, &circuit, at(80)).await.unwrap();
    let summary = fixture.store.summary(&run).await.unwrap();
    assert_eq!(
        (summary.counts.failures.retrying, summary.counts.items.processed(), summary.next_retry),
        (2, 3, Some(at(90)))
    );
    assert!(!summary.after_circuit, "this run is over");
    let failure = &summary.recent_failures[0];
    assert_eq!(
        (failure.reason.as_str(), failure.attempts, failure.message.as_str()),
        (CIRCUIT_OPEN, 0, "the provider is down")
    );

    let retry = named(&run, "retry1");
    fixture.store.begin_retry(&retry, at(90)).await.unwrap();
    assert!(fixture.store.summary(&retry).await.unwrap().after_circuit);
    assert_eq!(fixture.work(&retry).await, [("b.md".to_owned(), 0), ("c.md".to_owned(), 0)]);
    assert!(!fixture.store.summary(&retry).await.unwrap().after_circuit);
}
