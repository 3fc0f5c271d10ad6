//! What the chart ships asks only for metrics that there are, and the documentation names all of them. Tests.

use std::{collections::BTreeSet, time::Duration};

use jiff::Timestamp;
use lexigram_api::{
    contract::{CategoryCount, ProviderRequests, Report, TaskReport},
    resource::{CheckStatus, RunResult},
};
use regex::Regex;
use rstest::rstest;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::{EndedRun, Metrics, api_requests::Answer};

const RULES: &str = include_str!("../../../charts/lexigram-workers/files/rules.yaml");
const DASHBOARD: &str = include_str!("../../../charts/lexigram-workers/files/dashboard.json");
const DOCUMENTATION: &str = include_str!("../../../docs/operations.md");

const KIND: &str = "IngestionJob";

fn read<T: DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).unwrap()
}

/// All metrics as Prometheus gets them, each with a value at least once: one without any is left out.
fn served() -> String {
    let metrics = Metrics::default();
    let object = ("team-a".to_owned(), "a".to_owned());
    let dead: CategoryCount =
        read(json!({"category": "Timeout", "count": 3, "retrying": 1, "archived": 1, "notified": 1}));
    let report: Report = read(json!({"contractVersion": "v1", "run": "a-r1", "counts": {}}));
    let task: TaskReport = read(json!({"name": "cache", "result": "Failed"}));
    let check: CheckStatus = read(json!({"name": "FreeSpace", "passed": false, "message": "full"}));
    metrics.reconciled(KIND, Duration::ZERO, true);
    metrics.reconcile_error(KIND, "Forbidden");
    metrics.queue(KIND, 1, 1);
    metrics.admitted(KIND, Duration::ZERO);
    metrics.at_work(KIND, &object, 1);
    for result in [RunResult::Succeeded, RunResult::Failed] {
        let (counts, provider) = (report.counts.clone(), ProviderRequests::default());
        metrics.run_ended(KIND, &EndedRun { result, seconds: Some(1.0), counts, provider });
    }
    metrics.dead_letters(KIND, &object, &[dead], Some(Timestamp::UNIX_EPOCH));
    metrics.retry_started(KIND, Duration::ZERO, Duration::ZERO);
    metrics.retried(KIND, &report);
    metrics.notified(KIND, false);
    metrics.task_ended("CacheCleanup", &task);
    metrics.health(&object, &[check]);
    metrics.api_requests().answered(&http::Method::GET, &http::Uri::from_static("/api/v1/pods"), Answer::Status(200));
    metrics.encode().unwrap()
}

/// The words of a text that are names of metrics.
fn names(text: &str) -> BTreeSet<&str> {
    let words = text.split(|character: char| !character.is_ascii_alphanumeric() && character != '_');
    words.filter(|word| word.starts_with("lexigram_")).collect()
}

#[rstest]
#[case::rules(RULES)]
#[case::dashboard(DASHBOARD)]
fn every_metric_that_is_asked_for_exists(#[case] shipped: &str) {
    let served = served();
    let samples = served.lines().filter(|line| !line.starts_with('#'));
    let known: BTreeSet<_> = samples.filter_map(|line| line.split(['{', ' ']).next()).collect();
    let asked = names(shipped);
    assert!(!asked.is_empty(), "nothing is asked for");
    let unknown: Vec<_> = asked.difference(&known).collect();
    assert!(unknown.is_empty(), "{unknown:?} are not among {known:?}");
}

/// An alert on a label's value that never comes would be silent for ever.
#[rstest]
#[case::rules(RULES)]
#[case::dashboard(DASHBOARD)]
fn every_value_of_a_label_that_is_asked_for_exists(#[case] shipped: &str) {
    let served = served();
    // within JSON, quotes are escaped
    let shipped = shipped.replace('\\', "");
    let asked: Vec<_> = Regex::new(r#"[{ ](\w+="\w+")"#).unwrap().find_iter(&shipped).collect();
    assert!(!asked.is_empty(), "nothing is asked for");
    for label in asked.iter().map(|found| &found.as_str()[1..]) {
        assert!(served.contains(label), "{label} is not in\n{served}");
    }
}

#[test]
fn every_metric_is_documented() {
    let served = served();
    let families = served.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '));
    let documented = names(DOCUMENTATION);
    for (family, kind) in families {
        let name = if kind == "counter" { format!("{family}_total") } else { family.to_owned() };
        assert!(documented.contains(name.as_str()), "docs/operations.md does not name {name}");
    }
}
