//! A provider that is down, and one that has just recovered: what is held, what is spent, how fast it is asked.

// helpers panic as tests do
#![allow(clippy::unwrap_used, clippy::panic)]

mod common;

use std::{sync::atomic::Ordering, time::Duration};

use common::{
    job::{Job, QUICK_CIRCUIT, again, retry},
    source::Answer,
    until,
};
use jiff::{SignedDuration, Timestamp};
use lexigram_api::contract::{CircuitSubject, ExitCode, Mode, Selection};
use lexigram_worker::{report::Tracker, run::CircuitSettings};
use tokio_util::sync::CancellationToken;

/// Documents of a chunk, and a call for each.
fn job(documents: usize) -> Job {
    let mut job = Job::new();
    for document in 0..documents {
        job.source.set(&format!("{document:02}.txt"), Answer::Text("text"));
    }
    job.embedder.batch_texts.store(1, Ordering::Relaxed);
    job.circuit = QUICK_CIRCUIT;
    job
}

/// Rows of the ledger that end so.
fn ending(job: &Job, end: &str) -> usize {
    job.rows().iter().filter(|row| row.ends_with(end)).count()
}

#[tokio::test]
async fn a_run_that_makes_no_progress_ends_and_spends_no_more_attempts() {
    let job = job(6);
    job.embedder.outage.store(true, Ordering::Relaxed);
    let report = job.run("r1", Mode::Full).await;
    let circuit = report.circuit.unwrap();
    assert_eq!(circuit.subject, CircuitSubject::EmbeddingProvider);
    assert!(circuit.message.contains("HTTP 503") && circuit.message.chars().count() <= 160, "{}", circuit.message);
    // the first call failed and counts, if there was time to write that down; the second opened the circuit
    assert_eq!((report.counts.items.total, report.dead_letters.actions.retrying), (6, 6));
    let spent = ending(&job, "Failed 1 ProviderUnavailable");
    assert!(spent <= 1 && ending(&job, "Failed 0 CircuitOpen") == 6 - spent, "{:?}", job.rows());
    assert_eq!(report.next_retry_time.map(Timestamp::as_millisecond), Some(circuit.until.as_millisecond()));

    // the next run asks for one vector of its own before it gives any text to the provider
    job.embedder.calls.lock().unwrap().clear();
    let report = job.run("retry1", retry()).await;
    assert!(report.circuit.is_some());
    assert!(job.embedder.calls.lock().unwrap().iter().all(|texts| *texts == ["probe"]));
    assert_eq!((ending(&job, "Failed 1 CircuitOpen"), ending(&job, "Failed 0 CircuitOpen")), (spent, 6 - spent));

    job.embedder.outage.store(false, Ordering::Relaxed);
    let report = job.run("retry2", retry()).await;
    assert_eq!((report.counts.items.done, report.circuit), (6, None));
    assert_eq!(report.dead_letters, Default::default());
}

#[tokio::test]
async fn a_provider_that_recovers_in_time_is_waited_for() {
    let mut job = job(4);
    job.circuit = CircuitSettings { patience: SignedDuration::from_mins(5), ..QUICK_CIRCUIT };
    job.embedder.outage.store(true, Ordering::Relaxed);
    let (tracker, stop) = (Tracker::new("r1"), CancellationToken::new());
    let run = job.run_with("r1", Mode::Full, &tracker, &stop);
    let seen = async {
        let seen = until("the circuit shows", || tracker.progress().circuit).await;
        // several probes that fail, one at a time
        let probes = || job.embedder.calls.lock().unwrap().iter().filter(|texts| **texts == ["probe"]).count();
        until("it was probed", || (probes() >= 3).then_some(())).await;
        job.embedder.outage.store(false, Ordering::Relaxed);
        seen
    };
    let (ended, seen) = futures::join!(run, seen);
    assert_eq!((ended.exit, ended.report.circuit), (ExitCode::Finished, None));
    assert_eq!((seen.subject, tracker.progress().circuit), (CircuitSubject::EmbeddingProvider, None));
    // only what failed before the circuit opened has spent an attempt
    assert_eq!((ended.report.counts.items.done, ended.report.dead_letters.actions.retrying), (3, 1));
    assert_eq!(ending(&job, "Failed 1 ProviderUnavailable"), 1);
}

#[tokio::test]
async fn texts_that_fail_by_themselves_open_no_circuit() {
    let mut job = job(0);
    for document in 0..8 {
        job.source.set(&format!("{document}.txt"), Answer::Text("this is poison"));
    }
    job.task.failure_policy.max_attempts = 2;
    let report = job.run("r1", Mode::Full).await;
    assert_eq!((report.circuit, report.dead_letters.actions.retrying), (None, 8));
    assert_eq!(job.run("retry1", retry()).await.dead_letters.actions.notified, 8, "attempts are spent as ever");
}

#[tokio::test]
async fn retries_begin_at_the_pace_of_the_policy_and_the_oldest_first() {
    for by_hand in [false, true] {
        let mut job = Job::new();
        for name in ["b.txt", "a.txt", "c.txt"] {
            job.source.set(name, Answer::Unavailable);
            job.run(&format!("r-{name}"), Mode::Full).await;
        }
        for (second, name) in (1..).zip(["b.txt", "a.txt", "c.txt"]) {
            let connection = rusqlite::Connection::open(job.workspace.store()).unwrap();
            let age = "UPDATE documents SET first_failure = ?1 WHERE name = ?2";
            connection.execute(age, rusqlite::params![1000 * second, name]).unwrap();
            job.source.set(name, Answer::Text("text"));
        }
        job.source.take_fetched();
        job.task.failure_policy.max_retries_per_minute = Some(1);
        let mode = if by_hand { again(Selection::default()) } else { retry() };
        let (tracker, stop) = (Tracker::new("retry1"), CancellationToken::new());
        let run = job.run_with("retry1", mode, &tracker, &stop);
        let stopped = async {
            until("one is done", || (tracker.progress().counts.items.done == 1).then_some(())).await;
            let heartbeat = tracker.progress().heartbeat;
            until("the run lives", || (tracker.progress().heartbeat > heartbeat).then_some(())).await;
            stop.cancel();
        };
        let (ended, ()) = futures::join!(run, stopped);
        assert_eq!(ended.exit, ExitCode::Interrupted);
        assert_eq!(job.source.take_fetched(), ["b.txt"]);
        assert_eq!(ended.report.dead_letters.actions.retrying, 2, "the others are due still");
    }
}

#[tokio::test]
async fn a_full_run_has_no_pace_and_a_retry_does_not_wait_after_its_last() {
    let mut job = job(5);
    job.task.failure_policy.max_retries_per_minute = Some(1);
    assert_eq!(job.run("r1", Mode::Full).await.counts.items.done, 5);
    job.source.set("new.txt", Answer::Unavailable);
    job.run("r2", Mode::Full).await;
    job.source.set("new.txt", Answer::Text("text"));
    let run = job.run("retry1", retry());
    let report = tokio::time::timeout(Duration::from_secs(50), run).await.expect("it waits for nothing");
    assert_eq!(report.counts.items.done, 1);
    assert!(report.next_retry_time.is_none_or(|time| time > Timestamp::UNIX_EPOCH));
}
