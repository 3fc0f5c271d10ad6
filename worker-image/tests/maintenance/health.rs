//! What is said of stores that are whole, damaged and away, and of the provider.

use super::*;

#[tokio::test]
async fn a_damaged_file_is_told_of_and_the_others_are_worked_on() {
    let folder = Folder::new();
    for name in ["docs", "other"] {
        fill(&folder.place(name), name, "r1", &documents(4, 100)).await;
    }
    let sound = fs::read(folder.path("docs.db")).unwrap();
    let mut damaged = sound.clone();
    damaged[8192..].fill(0x5a);
    fs::write(folder.path("docs.db"), damaged).unwrap();
    let health = task(&folder.root(), vec![MaintenanceWork::HealthCheck(HEALTH)]);
    let found = checks(&health).await;
    let intact = &found[&HealthCheckName::StoreIntact];
    assert!(!intact.passed && intact.message.contains("collection 'docs'"), "{intact:?}");
    assert!(found[&HealthCheckName::StoreReachable].passed);

    let archive = MaintenanceWork::ArchiveCleanup(ArchivePolicy { retention_seconds: 1000, max_items: 10 });
    let reports = run_task(&task(&folder.root(), vec![OPTIMIZE, archive])).await;
    let error = reports[0].error.as_ref().unwrap();
    assert_eq!((reports[0].result, reports[0].items), (TaskResult::Failed, 1), "{reports:?}");
    assert!(error.message.contains("collection 'docs'") && error.message.contains("1 other"), "{error:?}");
    assert_eq!(error.category, FailureCategory::Configuration, "{error:?}");
    assert_eq!(reports.len(), 2);

    for file in ["docs.db-wal", "docs.db-shm"] {
        let _none = fs::remove_file(folder.path(file));
    }
    fs::write(folder.path("docs.db"), sound).unwrap();
    assert!(checks(&health).await.values().all(|check| check.passed));
}

#[tokio::test]
async fn a_store_that_cannot_be_opened_is_unreachable() {
    let folder = Folder::new();
    // a folder where a file should be
    fs::create_dir(folder.path("docs.db")).unwrap();
    let health = task(&folder.root(), vec![MaintenanceWork::HealthCheck(HEALTH), OPTIMIZE]);
    let found = checks(&health).await;
    assert_eq!(holding(&found), [(HealthCheckName::StoreReachable, false), (HealthCheckName::FreeSpace, true)]);
    assert!(found[&HealthCheckName::StoreReachable].message.contains("collection 'docs'"), "{found:?}");
    let report = run_one(&folder.root(), OPTIMIZE).await;
    assert_eq!((report.result, report.error.unwrap().reason.as_str()), (TaskResult::Failed, "StoreUnavailable"));
}

#[tokio::test]
async fn health_has_limits() {
    let folder = Folder::new();
    fill(&folder.place("docs"), "docs", "r1", &documents(2, 3)).await;
    let limits = HealthCheck { max_dead_letters: Some(1), max_staleness_seconds: Some(3600), ..HEALTH };
    let health = task(&folder.root(), vec![MaintenanceWork::HealthCheck(limits)]);
    let fine = checks(&health).await;
    let all = [
        HealthCheckName::StoreReachable,
        HealthCheckName::StoreIntact,
        HealthCheckName::CountsAgree,
        HealthCheckName::FingerprintsAgree,
        HealthCheckName::FreeSpace,
        HealthCheckName::DeadLetters,
        HealthCheckName::Freshness,
    ];
    assert_eq!(holding(&fine), all.map(|name| (name, true)));

    folder.change(
        "docs.db",
        "UPDATE documents SET action = 'Notify', weight = 2 WHERE id = 1; UPDATE documents SET stored = 1000;
         DELETE FROM chunks WHERE id = 1",
    );
    let found = checks(&health).await;
    let failed: Vec<_> = found.values().filter(|check| !check.passed).collect();
    let names: Vec<_> = failed.iter().map(|check| check.name).collect();
    assert_eq!(names, [HealthCheckName::CountsAgree, HealthCheckName::DeadLetters, HealthCheckName::Freshness]);
    assert!(failed.iter().all(|check| check.message.contains("collection 'docs'")), "{failed:?}");
    assert!(failed[0].message.contains("OrphanCleanup"), "{failed:?}");
    assert!(failed[1].message.contains("2 dead letters, and maxDeadLetters is 1"), "{failed:?}");
}

#[tokio::test]
async fn the_provider_is_asked_and_its_model_compared() {
    let folder = Folder::new();
    fill(&folder.place("docs"), "docs", "r1", &documents(1, 1)).await;
    let mut health = task(&folder.root(), vec![MaintenanceWork::HealthCheck(HEALTH)]);
    health.embedding = Some(local_model());
    let found = checks(&health).await;
    assert!(found[&HealthCheckName::ProviderReady].passed, "{found:?}");
    let model = &found[&HealthCheckName::FingerprintsAgree];
    assert!(!model.passed && model.message.contains("tiny@1") && model.message.contains(common::MODEL), "{model:?}");

    health.embedding = Some(lexigram_api::contract::Embedding::local("gpt-17"));
    let found = checks(&health).await;
    let provider = &found[&HealthCheckName::ProviderReady];
    assert!(!provider.passed && provider.message.contains("gpt-17"), "{provider:?}");
    assert!(found[&HealthCheckName::FingerprintsAgree].passed);
}
