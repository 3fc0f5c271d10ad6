//! What is said of the health of a store that breaks, and is mended.

use k8s_openapi::api::core::v1::Service;
use kube::api::DeleteParams;
use lexigram_api::{
    contract::TaskResult,
    resource::{ConditionType, MaintenanceSchedule},
};
use lexigram_tests::{Postgres, Sandbox, condition_of, ended_runs, kubectl, sandbox};
use serde_json::{Value, json};

use crate::on_demand;

fn check() -> Value {
    json!([{"name": "health", "type": "HealthCheck", "healthCheck": {"minFreePercent": 0}}])
}

/// Asks for a check, and returns status, reason and message of `Healthy`.
async fn checked(it: &Sandbox, name: &str, number: i64) -> (String, String, String) {
    it.run_now(name, number).await;
    let schedule = it.api::<MaintenanceSchedule>().get(name).await.unwrap();
    let healthy = condition_of(&schedule, ConditionType::Healthy).unwrap().clone();
    (healthy.status, healthy.reason, healthy.message)
}

#[test]
fn a_damaged_file_is_named_and_so_is_its_recovery() {
    sandbox(json!({}), async |it| {
        let text = "# Otters\n\nOtters hold hands while they sleep. ".repeat(40);
        for name in ["whole", "broken"] {
            it.ingest(name, json!({"source": {"inline": [{"name": "otters.md", "text": text}]}})).await;
            it.until_true(name, ConditionType::Complete).await;
        }
        let mut spec = on_demand(check());
        spec["embedding"] = json!({"embedded": {}});
        it.schedules().apply("health", spec).await;
        let (status, reason, message) = checked(it, "health", 0).await;
        assert_eq!((status.as_str(), reason.as_str()), ("True", "ChecksPassed"), "{message}");

        let damage = "cp -p broken.db kept; for page in 1 2 3 4 5 6 7 8; do \
                      dd if=/dev/urandom of=broken.db bs=4096 seek=$((page * 3)) count=1 conv=notrunc; done";
        it.on_claim("lexigram-store", damage).await;
        let (status, reason, message) = checked(it, "health", 1).await;
        assert_eq!((status.as_str(), reason.as_str()), ("False", "StoreDamaged"), "{message}");
        assert!(message.contains("broken") && !message.contains("whole"), "{message}");
        let events =
            kubectl(&["--namespace", &it.namespace, "get", "events", "--field-selector", "reason=StoreDamaged"]);
        assert!(events.unwrap().contains("maintenanceschedule/health"));

        it.on_claim("lexigram-store", "mv kept broken.db").await;
        let (status, reason, message) = checked(it, "health", 2).await;
        assert_eq!((status.as_str(), reason.as_str()), ("True", "ChecksPassed"), "{message}");
    });
}

/// Takes the Service of the database away, and returns it as it can be created again.
async fn take_away(it: &Sandbox) -> Service {
    let service: Service = it.api().get("database").await.unwrap();
    it.api::<Service>().delete("database", &DeleteParams::default()).await.unwrap();
    let back = json!({"metadata": {"name": "database"}, "spec": {
        "selector": service.spec.unwrap().selector, "ports": [{"port": 5432, "targetPort": 5432}],
    }});
    serde_json::from_value(back).unwrap()
}

#[test]
fn a_task_that_fails_is_tried_again_by_itself() {
    sandbox(json!({"ai_workers": {"dlq_check_interval": 5}}), async |it| {
        let _database = Postgres::start(it).await;
        let service = take_away(it).await;
        let mut spec = on_demand(json!([{"name": "archive", "type": "ArchiveCleanup"}]));
        spec["store"] = Postgres::store();
        spec["failurePolicy"] = json!({"maxAttempts": 50, "backoffBaseSeconds": 10, "backoffCapSeconds": 10});
        it.schedules().apply("tidy", spec).await;
        let run = it.run_now("tidy", 0).await;
        assert_eq!(run.result, Some(TaskResult::Failed), "{run:?}");
        let dead = it
            .schedules()
            .until("tidy", "tells of the task that failed", |schedule| schedule.status.as_ref()?.dead_letters.clone())
            .await;
        assert_eq!((dead.summary.as_str(), dead.recent[0].id.as_str()), ("1 retrying", "archive"), "{dead:?}");
        assert!(dead.next_retry_time.is_some(), "{dead:?}");
        it.create(&service).await;
        let mended = |schedule: &MaintenanceSchedule| {
            let newest = ended_runs(schedule).into_iter().next()?;
            let dead = schedule.status.as_ref()?.dead_letters.as_ref()?;
            (newest.result == Some(TaskResult::Succeeded) && dead.total == 0).then_some(newest.job)
        };
        let job = it.schedules().until("tidy", "has mended it by itself", mended).await;
        assert!(job.starts_with("tidy-mretry"), "{job}");
    });
}

#[test]
fn a_database_that_is_away_is_named_and_so_is_its_return() {
    sandbox(json!({}), async |it| {
        let _database = Postgres::start(it).await;
        let text = json!([{"name": "a.md", "text": "# A\n\nOf a."}]);
        it.ingest("docs", json!({"source": {"inline": text}, "store": Postgres::store()})).await;
        it.until_true("docs", ConditionType::Complete).await;
        let mut spec = on_demand(check());
        spec["store"] = Postgres::store();
        it.schedules().apply("health", spec).await;
        let (status, _, message) = checked(it, "health", 0).await;
        assert_eq!(status, "True", "{message}");

        let service = take_away(it).await;
        let (status, reason, message) = checked(it, "health", 1).await;
        assert_eq!((status.as_str(), reason.as_str()), ("False", "StoreUnreachable"), "{message}");

        it.create(&service).await;
        // the Service needs a moment until it leads to the database again
        for number in 2..30 {
            if checked(it, "health", number).await.0 == "True" {
                return;
            }
        }
        panic!("the database has not come back: {:?}", checked(it, "health", 30).await);
    });
}
