//! What is made in the cluster, as YAML.

use insta::assert_yaml_snapshot;
use serde_json::json;

use super::fixtures::*;
use crate::{
    controller::{
        job::{act::owner, tests::fixtures::settings},
        maintenance_schedule::{build, plan::Start},
    },
    names::DIGEST,
};

#[test]
fn the_cron_job_of_a_schedule_on_postgres() {
    let object = schedule(json!({
        "intervalSeconds": null,
        "schedule": "30 2 * * *",
        "timeZone": "Europe/Berlin",
        "startingDeadlineSeconds": 300,
        "concurrencyPolicy": "Replace",
        "store": {"postgres": {"connectionSecretRef": {"name": "db"}}},
        "embedding": {"openAI": {"url": "https://api.example/v1", "model": "m", "apiKeySecretRef": {"name": "key"}}},
        "collections": ["docs-*"],
    }));
    let built = build::cron(&object, &owner(&object).unwrap(), &settings()).unwrap().unwrap();
    assert_yaml_snapshot!(built.config_map);
    assert_yaml_snapshot!(built.cron_job);
}

#[test]
fn a_retry_has_only_its_tasks() {
    let object = schedule(json!({}));
    let start = Start { name: interval(600), tasks: vec!["cache".to_owned()], asked: None };
    let built = build::run(&object, &owner(&object).unwrap(), &start, &settings()).unwrap();
    let annotations = built.job.metadata.annotations.unwrap();
    assert_eq!(annotations["workers.lexigram.dev/tasks"], r#"[{"name":"cache","type":"CacheCleanup"}]"#);
    let all = Start { tasks: vec!["cache".to_owned(), "health".to_owned()], ..start };
    let other = build::run(&object, &owner(&object).unwrap(), &all, &settings()).unwrap();
    assert_ne!(built.config_map.metadata.name, other.config_map.metadata.name);
}

#[test]
fn the_digest_tells_of_every_change() {
    let digest = |spec| {
        let object = schedule(spec);
        let built = build::cron(&object, &owner(&object).unwrap(), &settings()).unwrap()?;
        Some(built.cron_job.metadata.annotations.unwrap()[DIGEST].clone())
    };
    let daily = json!({"intervalSeconds": null, "schedule": "0 3 * * *"});
    assert_eq!(digest(daily.clone()), digest(daily.clone()));
    assert_eq!(digest(json!({})), None);
    let mut other = daily.clone();
    other["tasks"] = json!([{"name": "health", "type": "HealthCheck", "healthCheck": {"minFreePercent": 5}}]);
    assert_ne!(digest(daily.clone()), digest(other));
    let mut zoned = daily.clone();
    zoned["timeZone"] = json!("Europe/Berlin");
    assert_ne!(digest(daily), digest(zoned));
}
