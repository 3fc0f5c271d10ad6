//! `MaintenanceSchedule`s: exactly one timing, tasks with their settings, and what is filled in.

use lexigram_api::resource::MaintenanceSchedule;
use lexigram_tests::{bare, kubectl};
use serde_json::{Value, json};

use super::asked;

/// A schedule with these fields besides a task; null takes one away.
fn with(over: Value) -> Value {
    let mut spec = json!({"intervalSeconds": 3600, "tasks": [{"name": "health", "type": "HealthCheck"}]});
    let fields = spec.as_object_mut().unwrap();
    fields.extend(over.as_object().unwrap().clone());
    fields.retain(|_, value| !value.is_null());
    spec
}

fn cron(schedule: &str) -> Value {
    with(json!({"intervalSeconds": null, "schedule": schedule}))
}

fn task(task: Value) -> Value {
    let mut whole = json!({"name": "one"});
    whole.as_object_mut().unwrap().extend(task.as_object().unwrap().clone());
    with(json!({"tasks": [whole]}))
}

#[test]
fn good_specs_are_accepted() {
    let tasks: Vec<Value> = (0..16).map(|n| json!({"name": format!("t{n}"), "type": "CacheCleanup"})).collect();
    let cases = [
        ("the smallest one", with(json!({}))),
        ("a cron expression", cron("30 2 * * 1-5")),
        ("steps and names", cron("*/15 0,12 * JAN-MAR MON")),
        ("a name", cron("@daily")),
        (
            "a time zone",
            with(json!({"intervalSeconds": null, "schedule": "0 3 * * *", "timeZone": "America/Argentina/Salta"})),
        ),
        ("sixteen tasks", with(json!({"tasks": tasks}))),
        (
            "settings of every type",
            with(json!({"tasks": [
                {"name": "a", "type": "IndexOptimization", "indexOptimization": {"maxFreePercent": 50, "maxBlockSeconds": 5}},
                {"name": "b", "type": "CacheCleanup", "cacheCleanup": {"maxAgeSeconds": 3600, "maxMebibytes": 10, "removeUnusedModels": false}},
                {"name": "c", "type": "ArchiveCleanup", "archiveCleanup": {"maxItems": 10, "retentionSeconds": 3600}},
                {"name": "d", "type": "OrphanCleanup", "orphanCleanup": {"dryRun": true}, "timeoutSeconds": 60},
                {"name": "e", "type": "HealthCheck", "healthCheck": {"minFreePercent": 5, "maxDeadLetters": 0, "maxStalenessSeconds": 86400}},
                {"name": "f", "type": "Resync", "resync": {"ingestionJob": "guides"}},
            ]})),
        ),
        (
            "a database, a provider and some collections",
            with(json!({
                "store": {"postgres": {"connectionSecretRef": {"name": "db"}}}, "collections": ["docs", "team-*"],
                "embedding": {"openAI": {"url": "https://api.example.com/v1", "model": "small"}},
            })),
        ),
        (
            "policies",
            with(json!({
                "concurrencyPolicy": "Replace", "startingDeadlineSeconds": 60, "suspend": true,
                "successfulRunsHistoryLimit": 1, "failedRunsHistoryLimit": 10, "failurePolicy": {"maxAttempts": 2},
            })),
        ),
    ];
    bare(async |it| asked::accepted::<MaintenanceSchedule>(it, cases).await);
}

#[test]
fn bad_specs_are_refused_with_the_field_and_the_fix() {
    const ONE: &str = "spec: set exactly one of schedule";
    const FIELDS: &str = "spec.schedule: must have the five fields minute, hour, day of month, month and day of week";
    let twice = json!([{"name": "a", "type": "HealthCheck"}, {"name": "a", "type": "CacheCleanup"}]);
    let cases: Vec<(&str, Value, &[&str])> = vec![
        ("no timing", with(json!({"intervalSeconds": null})), &[ONE]),
        ("two timings", with(json!({"schedule": "0 3 * * *"})), &[ONE]),
        (
            "an interval that is too short",
            with(json!({"intervalSeconds": 59})),
            &["spec.intervalSeconds", "greater than or equal to 60"],
        ),
        ("seconds", cron("0 30 2 * * *"), &[FIELDS]),
        ("four fields", cron("30 2 * *"), &[FIELDS]),
        ("an unknown name", cron("@often"), &[FIELDS]),
        (
            "a zone in the expression",
            cron("TZ=UTC 0 3 * * *"),
            &["spec.schedule: must not name a time zone; set spec.timeZone"],
        ),
        (
            "a zone of an interval",
            with(json!({"timeZone": "UTC"})),
            &["spec.timeZone: only a schedule has a time zone"],
        ),
        ("no task", with(json!({"tasks": []})), &["spec.tasks", "at least 1"]),
        ("tasks of one name", with(json!({"tasks": twice})), &["spec.tasks: two tasks have one name"]),
        ("an unknown type", task(json!({"type": "Dance"})), &["spec.tasks[0].type", "supported values"]),
        (
            "settings of another type",
            task(json!({"type": "HealthCheck", "cacheCleanup": {}})),
            &["cacheCleanup is for tasks of type CacheCleanup; remove it, or change the type"],
        ),
        (
            "a resync of nothing",
            task(json!({"type": "Resync"})),
            &["has resync.ingestionJob, the name of an IngestionJob"],
        ),
        (
            "a resync that is none",
            task(json!({"type": "HealthCheck", "resync": {"ingestionJob": "guides"}})),
            &["a task of type Resync, and no other"],
        ),
        ("a name in capitals", with(json!({"tasks": [{"name": "A", "type": "HealthCheck"}]})), &["spec.tasks[0].name"]),
        ("no history", with(json!({"successfulRunsHistoryLimit": 0})), &["spec.successfulRunsHistoryLimit"]),
        (
            "two stores",
            with(json!({"store": {"embedded": {}, "postgres": {"connectionSecretRef": {"name": "db"}}}})),
            &["spec.store: set exactly one store"],
        ),
        ("a typo", with(json!({"colections": ["docs"]})), &["colections"]),
    ];
    bare(async |it| asked::refused::<MaintenanceSchedule>(it, cases).await);
}

#[test]
fn defaults_are_filled_in_and_a_spec_may_change() {
    bare(async |it| {
        let made = asked::create::<MaintenanceSchedule>(
            it,
            "nightly",
            task(json!({"type": "OrphanCleanup", "orphanCleanup": {}})),
        );
        let spec = made.await.unwrap()["spec"].clone();
        for (field, expected) in [
            ("/suspend", json!(false)),
            ("/concurrencyPolicy", json!("Forbid")),
            ("/successfulRunsHistoryLimit", json!(3)),
            ("/failedRunsHistoryLimit", json!(3)),
            ("/store", json!({"embedded": {}})),
            ("/tasks/0/timeoutSeconds", json!(600)),
            ("/tasks/0/orphanCleanup/dryRun", json!(false)),
            ("/failurePolicy/maxAttempts", json!(5)),
        ] {
            assert_eq!(spec.pointer(field), Some(&expected), "{field}");
        }
        it.schedules().apply("nightly", with(json!({"suspend": true}))).await;
        let changed =
            asked::change::<MaintenanceSchedule>(it, "nightly", json!({"intervalSeconds": 7200, "suspend": false}));
        assert_eq!(changed.await.unwrap().spec.interval_seconds, Some(7200));
    });
}

#[test]
fn columns_are_what_users_look_for() {
    bare(async |it| {
        it.schedules().apply("nightly", with(json!({}))).await;
        let columns = |wide: &[&str]| {
            let line = [&["--namespace", it.namespace.as_str(), "get", "ms"], wide].concat();
            let said = kubectl(&line).unwrap();
            said.lines().next().unwrap().split_whitespace().map(str::to_owned).collect::<Vec<_>>()
        };
        assert_eq!(columns(&[]), ["NAME", "SCHEDULE", "HEALTHY", "LAST", "NEXT", "ITEMS", "AGE"]);
        let wide = ["NAME", "SCHEDULE", "HEALTHY", "LAST", "NEXT", "ITEMS", "READY", "FAILED", "REASON", "AGE"];
        assert_eq!(columns(&["--output", "wide"]), wide);
    });
}
