//! Nothing changes, and nothing is written: what operators cost that have nothing to do.

use std::time::{Duration, Instant};

use lexigram_api::resource::{ConditionType, State};
use lexigram_tests::{Answer, FaultServer, Sandbox, holder, poll};
use serde_json::json;

use crate::{setting, with_two_operators, work::Work};

/// The sum of a counter's values whose labels are wanted.
fn sum(metrics: &str, counter: &str, wanted: impl Fn(&str) -> bool) -> u64 {
    let lines = metrics.lines().filter_map(|line| line.strip_prefix(counter)?.strip_prefix('{')?.split_once("} "));
    lines.filter(|(labels, _)| wanted(labels)).map(|(_, value)| value.parse::<u64>().unwrap()).sum()
}

/// Requests that change something: all but those by which the lease is kept.
fn writes(metrics: &str) -> u64 {
    let reads = ["get", "list", "watch"].map(|verb| format!("verb=\"{verb}\""));
    sum(metrics, "lexigram_api_requests_total", |labels| {
        !labels.contains("resource=\"leases\"") && !reads.iter().any(|verb| labels.contains(verb))
    })
}

/// Waits until the leader has looked at its jobs in two more sweeps, and for at least so long; gives its metrics.
async fn two_sweeps(it: &Sandbox, leader: &str, least: Duration) -> String {
    let looks = |metrics: &str| sum(metrics, "lexigram_reconciles_total", |labels| labels.contains("IngestionJob"));
    let (begun, before) = (Instant::now(), looks(&it.metrics(leader)));
    loop {
        let metrics = poll("two sweeps have passed", async || {
            let metrics = it.metrics(leader);
            (looks(&metrics) >= before + 2).then_some(metrics)
        })
        .await;
        if begun.elapsed() >= least {
            return metrics;
        }
        // each look at the metrics has the API server work
        tokio::time::sleep(Duration::from_secs(5)).await;
    }
}

#[test]
fn operators_with_nothing_to_do_write_nothing() {
    with_two_operators(json!({"ai_workers": {"dlq_check_interval": 5}}), async |it| {
        it.until_operators(2).await;
        let server = FaultServer::start(&it.client).await;
        let done = Work::begin(it, 0).await;
        let inline = json!([{"name": "a.txt", "text": "Hello."}]);
        it.ingest("suspended", json!({"source": {"inline": inline}, "suspend": true})).await;
        it.until_state("suspended", State::Suspended, "Suspended").await;
        // looked at again with every sweep, until a person comes
        let url = server.serve("/secret.txt", [Answer::Status(401)]);
        it.ingest("refused", json!({"source": {"http": {"urls": [url]}}})).await;
        it.until_true("refused", ConditionType::Stalled).await;
        done.until_done(it).await;

        let lease = it.until_lease(None).await;
        let leader = holder(&lease).unwrap();
        // what belongs to the last change, its event for instance, may still be on its way
        let mut before = two_sweeps(it, leader, Duration::ZERO).await;
        assert!(writes(&before) > 0, "{before}");
        poll("nothing is on its way any more", async || {
            let after = two_sweeps(it, leader, Duration::ZERO).await;
            let earlier = std::mem::replace(&mut before, after);
            (writes(&earlier) == writes(&before)).then_some(())
        })
        .await;
        let period = Duration::from_secs(setting("LEXIGRAM_IDLE_SECONDS", 0).into());
        let after = two_sweeps(it, leader, period).await;
        assert_eq!(writes(&after), writes(&before), "{after}");
        assert_eq!(holder(&it.until_lease(None).await), Some(leader));
    });
}
