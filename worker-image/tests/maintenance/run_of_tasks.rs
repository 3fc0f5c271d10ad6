//! A run goes through its tasks: in their time, one run at a time, and says what came of each.

use super::*;

#[tokio::test]
async fn a_task_that_takes_too_long_is_stopped_and_the_next_one_goes_on() {
    let folder = Folder::new();
    fill(&folder.place("docs"), "docs", "r1", &documents(1, 1)).await;
    // a writer that does not end
    let writer = Connection::open(folder.path("docs.db")).unwrap();
    writer.execute_batch("BEGIN IMMEDIATE").unwrap();
    let policy = ArchivePolicy { retention_seconds: 1000, max_items: 10 };
    let cache = MaintenanceWork::CacheCleanup(CacheCleanup { remove_unused_models: false, ..CacheCleanup::default() });
    let mut both = task(&folder.root(), vec![MaintenanceWork::ArchiveCleanup(policy), cache]);
    both.tasks[0].timeout_seconds = 1;
    let reports = run_task(&both).await;
    let error = reports[0].error.as_ref().unwrap();
    assert_eq!((error.category, error.reason.as_str()), (FailureCategory::Timeout, "TaskTimedOut"));
    assert_eq!((reports[0].result, reports[1].result), (TaskResult::Failed, TaskResult::Succeeded), "{reports:?}");
    writer.execute_batch("ROLLBACK").unwrap();
}

#[tokio::test]
async fn one_run_maintains_a_store_at_a_time() {
    let folder = Folder::new();
    let limits = Limits { stop: CancellationToken::new(), timeout: Duration::from_secs(60) };
    let held = upkeep_of(&folder.root(), limits).hold().await.unwrap().unwrap();
    let both = || task(&folder.root(), vec![OPTIMIZE, MaintenanceWork::HealthCheck(HEALTH)]);
    let reports = run_task(&both()).await;
    assert!(reports.iter().all(|report| report.result == TaskResult::Skipped), "{reports:?}");
    assert!(reports[0].message.contains("another run maintains this store"), "{reports:?}");
    drop(held);
    let reports = run_task(&both()).await;
    assert!(reports.iter().all(|report| report.result == TaskResult::Succeeded), "{reports:?}");
}

#[test]
fn a_pod_reports_each_task_and_ends_well() {
    let workspace = Workspace::new();
    let spec = |tasks: serde_json::Value| {
        json!({
            "contractVersion": "v1alpha1",
            "run": "m1",
            "task": {
                "type": "Maintain",
                "store": { "type": "Sqlite", "directory": workspace.path("missing"), "cache": workspace.path("c.db") },
                "tasks": tasks,
            },
        })
    };
    assert_eq!(run(&mut workspace.pod(&spec(json!([])))).0, 0);
    assert_eq!(workspace.report().maintenance, []);
    // a folder that is not there is an empty store
    let work = json!({ "type": "IndexOptimization" });
    let tasks = json!([{ "name": "index", "timeoutSeconds": 60, "work": work }]);
    assert_eq!(run(&mut workspace.pod(&spec(tasks))).0, 0);
    let report = workspace.report().maintenance.remove(0);
    assert_eq!((report.name.as_str(), report.result, report.items), ("index", TaskResult::Succeeded, 0));
    assert!(!workspace.path("missing").exists());
}
