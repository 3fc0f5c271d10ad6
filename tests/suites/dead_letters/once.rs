//! Nothing is started twice, whoever dies.

use lexigram_api::resource::{ConditionType, State};
use lexigram_tests::{Answer, FaultServer, OPERATORS, sandbox};
use serde_json::json;

use crate::{dead_letters, documents, hurry, policy};

/// Attempts that fail before the one that does not.
const FAILURES: usize = 5;
/// Times that the operator is killed.
const KILLS: usize = 30;

#[test]
fn operators_that_die_in_their_sweeps_start_each_due_item_once() {
    let mut values = hurry();
    values["operator"] = json!({"replicas": 2});
    sandbox(values, async |it| {
        let server = FaultServer::start(&it.client).await;
        let names: Vec<_> = (0..4).map(|n| format!("/{n}.txt")).collect();
        let urls: Vec<_> = names
            .iter()
            .map(|name| {
                let answers = std::iter::repeat_n(Answer::Status(503), FAILURES);
                server.serve(name, answers.chain([Answer::Text(format!("This is {name}."))]))
            })
            .collect();
        it.ingest("flaky", json!({"source": {"http": {"urls": urls}}, "failurePolicy": policy(20)})).await;
        for _ in 0..KILLS {
            it.until_operators(2).await;
            it.kill(OPERATORS).await;
        }
        let job = it.until_true("flaky", ConditionType::Complete).await;
        assert_eq!((documents(&job), dead_letters(&job).summary.as_str()), ([4, 4, 0], "0"));
        for name in &names {
            // each request is an attempt: one more would be one that was started twice
            assert_eq!(server.received(name).len(), FAILURES + 1, "{name}");
        }
        it.assert_whole("flaky", 4).await;
    });
}

#[test]
fn a_retry_whose_pod_is_killed_costs_one_attempt() {
    sandbox(hurry(), async |it| {
        let server = FaultServer::start(&it.client).await;
        let (down, text) = (|| Answer::Status(503), Answer::Text("Otters hold hands while they sleep.".to_owned()));
        let url = server.serve("/a.txt", [down(), Answer::Never, down(), text]);
        // long enough that the second wait can be looked at
        let policy = json!({"backoffBaseSeconds": 4, "backoffCapSeconds": 20});
        it.ingest("killed", json!({"source": {"http": {"urls": [url]}}, "failurePolicy": policy})).await;
        it.until_state("killed", State::Recovering, "RetryRunning").await;
        let in_hand = it
            .until_job("killed", "has the document in hand", |_| (server.received("/a.txt").len() == 2).then_some(()));
        in_hand.await;
        it.crash("killed-retry1").await;
        let dead = it.until_job("killed", "waits for its next retry", |job| {
            let dead = dead_letters(job);
            (dead.recent.first()?.attempts >= 2 && dead.next_retry_time.is_some()).then_some(dead)
        });
        assert_eq!(dead.await.recent[0].attempts, 3, "the first one, the one that was killed, and the one after that");
        let job = it.until_true("killed", ConditionType::Complete).await;
        assert_eq!((documents(&job), server.received("/a.txt").len()), ([1, 1, 0], 4));
    });
}
