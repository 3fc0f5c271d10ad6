//! Work that fails for a while and lands in the end, or is given up for good.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{ContainerState, Pod};
use kube::runtime::watcher::Config;
use lexigram_api::{
    failure::{FailureAction, FailureCategory},
    resource::{ConditionType, EmbeddingBatch},
};
use lexigram_fault_provider::{Fault, FaultProvider, Script};
use lexigram_tests::{
    Answer, FaultServer, OPERATORS, Sandbox, WORKERS, address, condition_of, fixture, kubectl, poll, sandbox, until,
};
use serde_json::{Value, json};

use crate::{dead_letters, documents, hurry, policy, runs};

#[test]
fn a_provider_that_is_down_for_a_while_loses_no_text() {
    sandbox(hurry(), async |it| {
        let script = Script::first(std::iter::repeat_n(Fault::status(503), 12));
        let server = FaultProvider::start(address(&it.client).await, script).await.unwrap();
        let texts: Value = (0..300).map(|n| json!({"id": n.to_string(), "text": format!("text number {n}")})).collect();
        let spec = json!({
            "input": {"texts": texts},
            "embedding": {"openAI": {"url": server.url(), "model": "stand-in", "dimensions": 8}},
            // long enough for the wait to be seen
            "failurePolicy": {"maxAttempts": 20, "backoffBaseSeconds": 10, "backoffCapSeconds": 10},
        });
        it.batches().apply("texts", spec).await;
        let batches = it.batches();
        let waiting = batches.until("texts", "has texts that wait for their retry", |batch| {
            let dead = dead_letters(batch);
            (dead.retrying > 0 && dead.next_retry_time.is_some()).then_some(dead)
        });
        let waiting = waiting.await;
        assert_eq!(waiting.by_category[0].category, FailureCategory::Transient, "{waiting:?}");
        let batch = it.batches().until_true("texts", ConditionType::Complete).await;
        assert_eq!(condition_of(&batch, ConditionType::Complete).unwrap().reason, "Completed");
        assert_eq!(dead_letters(&batch).summary, "0");
        let texts = batch.status.unwrap().texts.unwrap();
        assert_eq!((texts.total, texts.done, texts.failed), (300, 300, 0), "{texts:?}");
        let ranges = it.documents("texts").await;
        let vectors: i64 = ranges.iter().map(|range| range.chunks).sum();
        assert!(vectors == 300 && ranges.iter().all(|range| range.state == "Done"), "{ranges:?}");
    });
}

#[test]
fn of_sixty_documents_exactly_the_bad_ones_are_given_up() {
    sandbox(hurry(), async |it| {
        let server = FaultServer::start(&it.client).await;
        let text = |n: usize| Answer::Text(format!("Note number {n} tells of the harbour and its lanterns."));
        let mut urls: Vec<_> = (0..52).map(|n| server.serve(&format!("/good-{n}.txt"), [text(n)])).collect();
        let bad: Vec<_> = ["truncated.pdf", "truncated.docx", "encrypted.pdf"]
            .map(|name| server.serve(&format!("/{name}"), [Answer::File(fixture(&format!("bad/{name}")))]))
            .into();
        let down = || Answer::Status(503);
        let flaky: Vec<_> =
            (60..62).map(|n| server.serve(&format!("/flaky-{n}.txt"), [down(), down(), text(n)])).collect();
        // the process that parses it takes more memory than it may have
        let hungry = server.serve("/hungry.html", [Answer::File(hungry())]);
        // it was there when it was listed, and is not when it is tried again
        let gone = server.serve("/gone.txt", [down(), Answer::Status(404)]);
        // the worker itself is killed whenever it has this one in hand
        let fatal = server.serve("/fatal.txt", [Answer::Never]);
        urls.extend(bad.iter().chain(&flaky).chain([&hungry, &gone, &fatal]).cloned());
        assert_eq!(urls.len(), 60);
        let mut policy = policy(3);
        policy["onExhausted"] = json!("Archive");
        it.ingest("sixty", json!({"source": {"http": {"urls": urls}}, "failurePolicy": policy})).await;
        it.until_job("sixty", "has one document left", |job| {
            let documents = job.status.as_ref()?.documents.as_ref()?;
            (documents.done + documents.failed == 59).then_some(())
        })
        .await;
        for death in 0..3 {
            until_at_work(it, "sixty-r1", death).await;
            poll("the document is asked for", async || (server.received("/fatal.txt").len() > death).then_some(()))
                .await;
            it.crash("sixty-r1").await;
        }

        let job = it.until_true("sixty", ConditionType::Complete).await;
        assert_eq!(condition_of(&job, ConditionType::Complete).unwrap().reason, "CompletedWithFailures");
        let dead = dead_letters(&job);
        // the second run passed over what the first one had done before its last worker died
        let all = job.status.as_ref().unwrap().documents.clone().unwrap();
        assert_eq!((all.total, all.done + all.skipped, all.failed), (60, 54, 6), "{all:?}");
        assert_eq!(dead.summary, "6 archived");
        let failures: BTreeMap<_, _> = dead.recent.iter().map(|letter| (&letter.id, letter)).collect();
        let expected = |id| (failures[id].category, failures[id].attempts, failures[id].action);
        for id in &bad {
            assert_eq!(expected(id), (FailureCategory::InvalidInput, 1, FailureAction::Archive), "{id}");
        }
        assert_eq!(expected(&hungry), (FailureCategory::ResourceExhausted, 3, FailureAction::Archive));
        assert_eq!(expected(&gone).0, FailureCategory::InvalidInput);
        assert_eq!((failures[&gone].reason.as_str(), expected(&gone).2), ("SourceGone", FailureAction::Archive));
        // found by the mark of what the worker had in hand
        assert_eq!(failures[&fatal].reason, "WorkerDied");
        assert_eq!(expected(&fatal), (FailureCategory::Unknown, 3, FailureAction::Archive));
        let rows = it.documents("sixty").await;
        let done = rows.iter().filter(|row| row.state == "Done" && row.chunks == 1).count();
        assert_eq!((rows.len(), done), (60, 54), "{rows:?}");
        let hits = it.search("sixty", "lanterns in the harbour", 100).await;
        let found: std::collections::BTreeSet<_> = hits.iter().map(|hit| &hit.document).collect();
        assert_eq!((hits.len(), found.len()), (54, 54), "each of the rest is found, and once");
    });
}

/// Waits until a worker of a run is at work after so many others have died.
async fn until_at_work(it: &Sandbox, run: &str, dead: usize) {
    let pods = Config::default().labels(&format!("{WORKERS}={run}"));
    until(it.api::<Pod>(), pods, "a worker is at work", |pods: &[&Pod]| {
        let statuses = pods.iter().filter_map(|pod| pod.status.as_ref()?.container_statuses.as_ref()).flatten();
        let states: Vec<_> = statuses.filter_map(|container| container.state.as_ref()).collect();
        let of = |wanted: fn(&ContainerState) -> bool| states.iter().filter(|state| wanted(state)).count();
        (of(|state| state.terminated.is_some()) == dead && of(|state| state.running.is_some()) == 1).then_some(())
    })
    .await;
}

/// HTML that takes more memory than a parser may have, out of far fewer bytes.
fn hungry() -> Vec<u8> {
    format!("<html><body>{}</body></html>", "<p>a</p>".repeat(7_500_000)).into_bytes()
}

#[test]
fn a_worker_that_runs_out_of_memory_gets_more() {
    sandbox(hurry(), async |it| {
        let spec = json!({
            "source": {"inline": [{"name": "a.txt", "text": "Hello."}]},
            "worker": {"resources": {"requests": {"memory": "16Mi"}, "limits": {"memory": "16Mi"}}},
            "failurePolicy": {
                "maxAttempts": 5, "backoffBaseSeconds": 1, "backoffCapSeconds": 1,
                "memoryFactor": 10, "memoryLimit": "1Gi",
            },
        });
        it.ingest("small", spec).await;
        let job = it.until_true("small", ConditionType::Complete).await;
        assert_eq!(documents(&job), [1, 1, 0]);
        let newest = job.status.unwrap().job.latest_run.unwrap();
        let run = it.api::<k8s_openapi::api::batch::v1::Job>().get(&newest).await.unwrap();
        let container = run.spec.unwrap().template.spec.unwrap().containers.remove(0);
        let limit = &container.resources.unwrap().limits.unwrap()["memory"].0;
        assert!(["160Mi", "1Gi"].contains(&limit.as_str()), "{newest}: {limit}");
    });
}

#[test]
fn ten_thousand_dead_letters_are_one_sweep_and_a_small_status() {
    sandbox(hurry(), async |it| {
        it.claim("exports").await;
        let script =
            "n=0; while [ $n -lt 10000 ]; do echo \"{\\\"id\\\": $n}\"; n=$((n + 1)); done > /files/rows.jsonl";
        it.shell("exports", script).await;
        let mut policy = policy(2);
        policy["actions"] = json!([{"category": "InvalidInput", "action": "Retry"}]);
        let input = json!({"persistentVolumeClaim": {"claimName": "exports", "path": "rows.jsonl"}});
        it.batches().apply("bad", json!({"input": input, "failurePolicy": policy})).await;
        let batches = it.batches();
        let waiting = batches.until("bad", "has 10,000 texts that wait", |batch| {
            (dead_letters(batch).retrying == 10_000).then(|| batch.clone())
        });
        let size = |batch: &EmbeddingBatch| serde_json::to_string(&batch.status).unwrap().len();
        let waiting = size(&waiting.await);
        let batch = it.batches().until_true("bad", ConditionType::Complete).await;
        assert_eq!(dead_letters(&batch).summary, "10000 archived");
        assert_eq!(runs(it).await.into_iter().collect::<Vec<_>>(), ["bad-br1", "bad-bretry1"].map(str::to_owned));
        let largest = size(&batch).max(waiting);
        assert!(largest < 16 * 1024, "{largest} bytes");
        let retries = runs(it).await.len() - 1;
        println!("status with 10,000 dead letters: {largest} bytes; retry Jobs: {retries}; {}", sweeps(it).await);
    });
}

/// How long the operator took for its sweeps.
async fn sweeps(it: &Sandbox) -> String {
    let list = ["--namespace", &it.namespace, "get", "pods", "--selector", OPERATORS, "--output", "name"];
    let pod = kubectl(&list).unwrap().trim().trim_start_matches("pod/").to_owned();
    let metrics = it.metrics(&pod);
    let lines = metrics.lines().filter(|line| {
        line.starts_with("lexigram_sweep_duration_seconds_sum")
            || line.starts_with("lexigram_sweep_duration_seconds_count")
    });
    lines.collect::<Vec<_>>().join("; ")
}
