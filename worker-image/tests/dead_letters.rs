//! What fails comes back: attempts, what is gone, what a person selects, bounds, ten thousand at once.

// helpers panic as tests do
#![allow(clippy::unwrap_used, clippy::panic)]

mod common;

use std::{fs, time::Duration};

use common::{
    count,
    job::{Job, again, retry},
    source::Answer,
};
use jiff::Timestamp;
use lexigram_api::{
    contract::{CategoryCount, InlineDocument, Mode, NetworkAccess, Selection, SourceLocation},
    failure::{FailureCategory, FailureRule, Stage},
};
use rstest::rstest;
use wiremock::{Mock, MockServer, ResponseTemplate, matchers::any};

fn job(documents: &[(&str, Answer)]) -> Job {
    let job = Job::new();
    documents.iter().for_each(|(name, answer)| job.source.set(name, *answer));
    job
}

#[tokio::test]
async fn attempts_and_waits_are_as_computed_until_the_server_recovers() {
    let job = job(&[("a.txt", Answer::Unavailable)]);
    let mut report = job.run("r1", Mode::Full).await;
    for (attempts, longest) in (1..).zip([30, 60, 120]) {
        let failure = &report.recent_failures[0];
        assert_eq!((failure.attempts, failure.category), (attempts, FailureCategory::Transient));
        // 30 s, doubled each time, less up to a fifth
        let wait = failure.next_retry_time.unwrap().duration_since(failure.last_failure_time).as_secs_f64();
        assert!((f64::from(longest) * 0.8..=f64::from(longest)).contains(&wait), "{wait} after {attempts}");
        assert_eq!(report.next_retry_time, failure.next_retry_time);
        assert_eq!(report.dead_letters.actions.retrying, 1);
        report = job.run(&format!("retry{attempts}"), retry()).await;
    }
    job.source.set("a.txt", Answer::Text("text"));
    let report = job.run("retry4", retry()).await;
    assert_eq!((job.rows(), report.dead_letters), (vec!["a.txt Done 0 -".to_owned()], Default::default()));
    assert!(report.recent_failures.is_empty());
}

#[tokio::test]
async fn a_pod_that_dies_in_a_retry_costs_one_attempt() {
    let job = job(&[("a.txt", Answer::Unavailable)]);
    job.run("r1", Mode::Full).await;
    job.run("retry1", retry()).await;
    // what a pod of that run leaves behind that is killed with the document in hand
    let connection = rusqlite::Connection::open(job.workspace.store()).unwrap();
    connection.execute("UPDATE documents SET state = 'InFlight', outcome = NULL", []).unwrap();
    drop(connection);
    job.run("retry1", retry()).await;
    // two attempts that failed, one death, and one attempt after it
    assert_eq!(job.rows(), ["a.txt Failed 4 SourceServerError"]);
}

#[rstest]
#[case::directory("directory")]
#[case::inline("inline")]
#[case::url_of_the_list("list")]
#[case::url_without_a_document("http")]
#[tokio::test]
async fn what_is_gone_is_given_up_and_never_tried_again(#[case] kind: &str) {
    lexigram_worker::install_tls_provider();
    let server = MockServer::start().await;
    Mock::given(any()).respond_with(ResponseTemplate::new(200).set_body_string("text")).mount(&server).await;
    let mut job = Job::new();
    job.workspace.write("a.txt", "text");
    let inline = |names: &[&str]| {
        let document = |name: &&str| InlineDocument { name: (*name).to_owned(), text: "text".to_owned() };
        SourceLocation::Inline { documents: names.iter().map(document).collect() }
    };
    let http = |urls: Vec<String>| SourceLocation::Http {
        urls,
        crawl: None,
        headers_directory: None,
        access: NetworkAccess { allow_local_addresses: true, ca_file: None },
    };
    job.task.source = match kind {
        "directory" => job.task.source,
        "inline" => inline(&["a.txt"]),
        _ => http(vec![format!("{}/a.txt", server.uri())]),
    };
    // it is there, and something else is not
    job.embedder.outage.store(true, std::sync::atomic::Ordering::Relaxed);
    assert_eq!(job.run_of_task("r1", Mode::Full).await.report.dead_letters.actions.retrying, 1);
    match kind {
        "directory" => fs::remove_file(job.workspace.docs().join("a.txt")).unwrap(),
        "inline" => job.task.source = inline(&["b.txt"]),
        "list" => job.task.source = http(vec![format!("{}/b.txt", server.uri())]),
        _ => {
            server.reset().await;
            Mock::given(any()).respond_with(ResponseTemplate::new(404)).mount(&server).await;
        }
    }
    let report = job.run_of_task("retry1", retry()).await.report;
    let failure = &report.recent_failures[0];
    assert_eq!((report.dead_letters.actions.archived, failure.reason.as_str()), (1, "SourceGone"));
    assert_eq!((report.next_retry_time, failure.next_retry_time), (None, None));
    assert_eq!(job.run_of_task("retry2", retry()).await.report.counts.items.total, 0);
}

#[tokio::test]
async fn a_rule_of_the_user_decides_before_the_classifier() {
    let mut job = job(&[("a.txt", Answer::Unavailable), ("b.txt", Answer::Timeout)]);
    job.task.failure_policy.rules = vec![
        FailureRule {
            message: "HTTP 503".to_owned(),
            stage: Some(Stage::Embed),
            category: FailureCategory::Configuration,
        },
        FailureRule { message: "HTTP 5..".to_owned(), stage: None, category: FailureCategory::InvalidInput },
    ];
    let report = job.run("r1", Mode::Full).await;
    assert_eq!(job.rows(), ["a.txt Archived 1 SourceServerError", "b.txt Failed 1 SourceTimeout"]);
    let of = |entry: &CategoryCount| (entry.category, entry.count, entry.retrying, entry.archived);
    let categories: Vec<_> = report.dead_letters.categories.iter().map(of).collect();
    assert_eq!(categories, [(FailureCategory::Timeout, 1, 1, 0), (FailureCategory::InvalidInput, 1, 0, 1)]);
}

#[tokio::test]
async fn a_person_has_archived_documents_tried_again_with_all_their_attempts() {
    let mut job = job(&[("a.txt", Answer::Unavailable), ("b.txt", Answer::Timeout), ("c.txt", Answer::Text(""))]);
    job.task.failure_policy.max_attempts = 1;
    job.run("r1", Mode::Full).await;
    let given_up = ["a.txt Archived 1 SourceServerError", "b.txt Archived 1 SourceTimeout"];
    assert_eq!(job.rows()[..2], given_up);

    job.task.failure_policy.max_attempts = 2;
    job.source.take_fetched();
    let timeouts = Selection { categories: vec![FailureCategory::Timeout], ids: Vec::new() };
    let report = job.run("again1", again(timeouts.clone())).await;
    assert_eq!(job.source.take_fetched(), ["b.txt"]);
    assert_eq!((report.counts.items.total, report.dead_letters.actions.retrying), (1, 1));
    assert_eq!(job.rows()[1], "b.txt Failed 1 SourceTimeout", "the first of two attempts");

    // the same run again takes nothing, whatever has failed since
    let mode = Mode::Again { selection: timeouts.clone(), failed_before: Timestamp::MAX };
    assert_eq!(job.run("again1", mode).await.counts.items.total, 1);
    assert!(job.source.take_fetched().is_empty());
    // and a later one takes only what had failed when it was asked for
    let mode = Mode::Again { selection: timeouts, failed_before: Timestamp::UNIX_EPOCH };
    assert_eq!(job.run("again2", mode).await.counts.items.total, 0);

    job.source.set("a.txt", Answer::Text("text"));
    let named = Selection { categories: Vec::new(), ids: vec!["a.txt".to_owned()] };
    assert_eq!(job.run("again3", again(named)).await.counts.items.done, 1);
    assert_eq!(job.rows()[0], "a.txt Done 0 -");
}

#[tokio::test]
async fn a_person_gives_documents_up_without_any_being_tried() {
    let job = job(&[("a.txt", Answer::Unavailable), ("b.txt", Answer::Timeout)]);
    job.run("r1", Mode::Full).await;
    job.source.take_fetched();
    let selection = Selection { categories: vec![FailureCategory::Timeout], ids: Vec::new() };
    let report = job.run("archive1", Mode::Archive { selection, failed_before: Timestamp::now() }).await;
    assert_eq!((report.counts.items.total, report.counts.failures.archived), (1, 1));
    assert!(job.source.take_fetched().is_empty() && report.next_retry_time.is_some());
    assert_eq!(job.rows(), ["a.txt Failed 1 SourceServerError", "b.txt Archived 1 SourceTimeout"]);
}

#[tokio::test]
async fn the_archives_bounds_hold_whoever_gives_up() {
    let names: Vec<String> = (0..6).map(|number| format!("{number}.txt")).collect();
    let mut job = job(&[]);
    names.iter().for_each(|name| job.source.set(name, Answer::Unavailable));
    job.run("r1", Mode::Full).await;
    job.task.failure_policy.archive.max_items = 4;
    let mode = Mode::Archive { selection: Selection::default(), failed_before: Timestamp::now() };
    let report = job.run("archive1", mode).await;
    assert_eq!((report.counts.failures.archived, report.dead_letters.actions.archived), (6, 4));
    assert_eq!(count(&job.workspace.store(), "SELECT count(*) FROM documents"), 4);

    job.task.failure_policy.max_attempts = 1;
    job.task.failure_policy.archive.max_items = 3;
    let report = job.run("again1", again(Selection::default())).await;
    assert_eq!((report.counts.failures.archived, report.dead_letters.actions.archived), (4, 3));
    // what failed a minute ago is too old to be kept
    let connection = rusqlite::Connection::open(job.workspace.store()).unwrap();
    connection.execute("UPDATE documents SET last_failure = last_failure - 61000 WHERE id % 2 = 0", []).unwrap();
    let old: i32 =
        connection.query_row("SELECT count(*) FROM documents WHERE id % 2 = 0", [], |row| row.get(0)).unwrap();
    drop(connection);
    job.task.failure_policy.archive.retention_seconds = 60;
    assert_eq!(job.run("retry1", retry()).await.dead_letters.actions.archived, 3 - old);
}

/// A store with ten thousand dead letters beside one document that is done, and when they began to fail.
async fn ten_thousand() -> (Job, Timestamp) {
    let job = job(&[("done.txt", Answer::Text("text"))]);
    job.run("r1", Mode::Full).await;
    let began = Timestamp::now().checked_sub(Duration::from_secs(20_000)).unwrap();
    let connection = rusqlite::Connection::open(job.workspace.store()).unwrap();
    let fill = "WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < 10000)
        INSERT INTO documents (scope, name, state, run, outcome, attempts, stage, category, reason, message, action,
            first_failure, last_failure, next_attempt)
        SELECT 'persistentVolumeClaim/docs', printf('%s/%05d.txt', hex(zeroblob(200)), n),
            iif(n % 4, 'Failed', 'Archived'), 'r1', 'Failed', 3, 'Embed', iif(n % 2, 'Transient', 'Timeout'), 'Test',
            hex(zeroblob(400)), iif(n % 4, 'Retry', 'Archive'), ?1 + n, ?1 + n, iif(n % 4, ?1 + 1000 * n, NULL)
        FROM numbers";
    connection.execute(fill, [began.as_millisecond()]).unwrap();
    (job, began)
}

#[tokio::test]
async fn ten_thousand_dead_letters_make_a_small_report() {
    let (job, began) = ten_thousand().await;
    let mode = Mode::Retry { due_before: Timestamp::UNIX_EPOCH };
    let started = std::time::Instant::now();
    let report = job.run("retry1", mode).await;
    let message = report.to_termination_message().unwrap();
    println!(
        "10,000 dead letters: a run over none of them took {:?}, its report has {} bytes",
        started.elapsed(),
        message.len()
    );
    assert!(message.len() <= 4096, "{} bytes", message.len());
    assert_eq!((report.dead_letters.actions.retrying, report.dead_letters.actions.archived), (7500, 2500));
    let categories: Vec<i32> = report.dead_letters.categories.iter().map(|entry| entry.count).collect();
    assert_eq!(categories, [5000, 5000]);
    let after = |time: Option<Timestamp>| time.unwrap().as_millisecond() - began.as_millisecond();
    assert_eq!((after(report.dead_letters.oldest_failure_time), after(report.next_retry_time)), (1, 1000));
    assert_eq!(report.recent_failures.len(), 10);
    assert!(report.recent_failures[0].item.ends_with("/10000.txt"));
}

#[tokio::test]
async fn ten_thousand_are_selected_by_what_a_report_shows_of_them() {
    let (job, _) = ten_thousand().await;
    let message = job.run("retry1", Mode::Retry { due_before: Timestamp::UNIX_EPOCH }).await.to_termination_message();
    let shown: lexigram_api::contract::Report = serde_json::from_str(&message.unwrap()).unwrap();
    let id = shown.recent_failures[0].item.clone();
    assert!(id.ends_with('…'), "{id}");
    let selection = Selection { categories: vec![FailureCategory::Timeout], ids: vec![id] };
    let report = job.run("archive1", Mode::Archive { selection, failed_before: Timestamp::now() }).await;
    assert_eq!(report.counts.items.total, 2500, "names that look the same are the same to a person");
    assert_eq!(report.dead_letters.actions.archived, 5000);
}
