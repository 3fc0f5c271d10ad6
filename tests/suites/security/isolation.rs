//! How far parsers are confined, as the worker's log tells: by Landlock and seccomp, under the runtime's own profile.

use k8s_openapi::api::core::v1::Pod;
use kube::{
    ResourceExt,
    api::{ListParams, LogParams},
};
use lexigram_api::resource::ConditionType;
use lexigram_tests::{Sandbox, WORKERS, sandbox};
use serde_json::{Value, json};

/// The lines of a run's only worker.
async fn log(it: &Sandbox, run: &str) -> Vec<Value> {
    let workers = it.api::<Pod>().list(&ListParams::default().labels(&format!("{WORKERS}={run}"))).await.unwrap().items;
    let [worker] = workers.as_slice() else { panic!("{run} has had {} workers", workers.len()) };
    let log = it.api::<Pod>().logs(&worker.name_any(), &LogParams::default()).await.unwrap();
    log.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))).collect()
}

#[test]
fn a_worker_says_once_what_keeps_parsers_from_files_and_network() {
    sandbox(json!({}), async |it| {
        let documents: Vec<_> = (0..3)
            .map(|number| json!({"name": format!("{number}.txt"), "text": format!("Document {number}.")}))
            .collect();
        it.ingest("texts", json!({"source": {"inline": documents}})).await;
        it.until_true("texts", ConditionType::Complete).await;
        let log = log(it, "texts-r1").await;
        let lines: Vec<_> = log.iter().filter(|line| line.get("landlock").is_some()).collect();
        let [line] = lines.as_slice() else { panic!("{log:?}") };
        // the runtime's profile is seccomp as well: a node without it runs no pod of ours
        assert_eq!(line["seccomp"], "in force", "{line}");
        let expected = match line["landlock"].as_str() {
            Some("in force") => ("INFO", "parsers reach no file, network or other process"),
            Some("the kernel has none") => ("WARN", "parsers reach no file, network or other process by seccomp alone"),
            _ => panic!("the runtime refuses Landlock, or its state is not told: {line}"),
        };
        assert_eq!((line["level"].as_str(), line["message"].as_str()), (Some(expected.0), Some(expected.1)));
    });
}
