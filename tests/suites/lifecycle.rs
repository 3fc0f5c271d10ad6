//! What users do to a job while it lives: queue it, stop it, let it go on, give it a deadline, delete it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a panic is how a test fails")]

use k8s_openapi::api::{
    batch::v1::Job,
    core::v1::{ConfigMap, PersistentVolumeClaim, Pod},
};
use kube::{
    Api, ResourceExt,
    api::{DeleteParams, ListParams, Patch, PatchParams},
    runtime::watcher::Config,
};
use lexigram_api::resource::{ConditionType, IngestionJob, State};
use lexigram_tests::{OPERATORS, Sandbox, condition_of, corpus, kubectl, sandbox, until};
use serde_json::{Value, json};

fn hello() -> Value {
    json!({"source": {"inline": [{"name": "a.txt", "text": "Hello."}]}})
}

fn with(mut spec: Value, key: &str, value: Value) -> Value {
    spec[key] = value;
    spec
}

/// Documents that take a worker a while: some ten seconds, where it has the processor to itself.
async fn long_work(it: &Sandbox) -> Value {
    it.config_map("long", corpus::documents(90, 400)).await;
    json!({"source": {"configMap": {"name": "long"}}})
}

fn position(job: &IngestionJob) -> Option<i32> {
    job.status.as_ref()?.job.queue_position
}

#[test]
fn jobs_beyond_the_limit_wait_by_priority_and_then_by_age() {
    sandbox(json!({"ai_workers": {"document_ingestion_concurrency": 1}}), async |it| {
        let long = long_work(it).await;
        it.ingest("first", long).await;
        it.until_state("first", State::Running, "Running").await;
        it.ingest("second", hello()).await;
        let second = it.until_state("second", State::Queued, "Queued").await;
        assert_eq!(position(&second), Some(1));
        let message = &condition_of(&second, ConditionType::Reconciling).unwrap().message;
        assert!(message.contains("ai_workers.document_ingestion_concurrency"), "{message}");
        it.ingest("urgent", with(hello(), "priority", json!(10))).await;
        let in_place = |place| move |job: &IngestionJob| (position(job) == Some(place)).then_some(());
        it.until_job("urgent", "is next", in_place(1)).await;
        it.until_job("second", "has moved back", in_place(2)).await;

        it.change("second", json!({"priority": 20})).await;
        it.until_job("second", "is next", in_place(1)).await;
        it.until_job("urgent", "has moved back", in_place(2)).await;

        // stopping the first one makes room
        it.change("first", json!({"suspend": true})).await;
        let second = it.until_true("second", ConditionType::Complete).await;
        let urgent = it.until_true("urgent", ConditionType::Complete).await;
        let began = |job: IngestionJob| job.status.unwrap().job.start_time.unwrap().0;
        assert!(began(second) <= began(urgent), "the job with the higher priority began later");
    });
}

#[test]
fn a_suspended_job_goes_on_where_it_stopped() {
    sandbox(json!({}), async |it| {
        let long = long_work(it).await;
        it.ingest("long", long).await;
        it.until_midway("long").await;
        it.change("long", json!({"suspend": true})).await;
        it.until_true("long", ConditionType::Suspended).await;
        it.until_no_workers().await;
        let stopped = it.documents("long").await;
        let done = stopped.iter().filter(|row| row.state == "Done").count();
        assert!(done > 0 && done < 90, "{done} documents were done when the job was suspended");

        it.change("long", json!({"suspend": false})).await;
        let job = it.until_true("long", ConditionType::Complete).await;
        assert_eq!(condition_of(&job, ConditionType::Suspended).unwrap().status, "False");
        let documents = job.status.unwrap().documents.unwrap();
        assert_eq!((documents.total, documents.done + documents.skipped, documents.failed), (90, 90, 0));
        it.assert_whole("long", 90).await;
        let jobs = it.api::<Job>().list(&ListParams::default()).await.unwrap();
        assert_eq!(jobs.items.len(), 1, "the run was resumed, not made anew");
    });
}

#[test]
fn a_job_created_suspended_starts_nothing() {
    sandbox(json!({}), async |it| {
        it.ingest("later", with(hello(), "suspend", json!(true))).await;
        it.until_state("later", State::Suspended, "Suspended").await;
        assert!(it.api::<Job>().list(&ListParams::default()).await.unwrap().items.is_empty());
        it.change("later", json!({"suspend": false})).await;
        it.until_true("later", ConditionType::Complete).await;
    });
}

#[test]
fn the_deadline_stops_the_work() {
    sandbox(json!({}), async |it| {
        let long = long_work(it).await;
        it.ingest("long", with(long, "activeDeadlineSeconds", json!(5))).await;
        let job = it.until_true("long", ConditionType::Failed).await;
        let failed = condition_of(&job, ConditionType::Failed).unwrap();
        assert_eq!(failed.reason, "DeadlineExceeded");
        assert!(failed.message.contains("spec.activeDeadlineSeconds"), "{}", failed.message);
        assert_eq!(job.status.as_ref().unwrap().job.state, Some(State::Failed));
        let running = |pods: &[&Pod]| {
            let over = |pod: &&Pod| {
                ["Succeeded", "Failed"]
                    .contains(&pod.status.as_ref().and_then(|status| status.phase.as_deref()).unwrap_or_default())
            };
            pods.iter().all(over).then_some(())
        };
        let workers = Config::default().labels(lexigram_tests::WORKERS);
        until(it.api::<Pod>(), workers, "no worker runs", running).await;
    });
}

#[test]
fn a_finished_job_goes_after_its_ttl_and_leaves_the_store() {
    sandbox(json!({}), async |it| {
        it.ingest("brief", with(hello(), "ttlSecondsAfterFinished", json!(2))).await;
        it.until_gone("brief").await;
        assert_eq!(it.search("brief", "greeting", 1).await[0].document, "a.txt");
    });
}

#[test]
fn deletion_leaves_nothing_but_the_store_claim() {
    sandbox(json!({}), async |it| {
        let long = long_work(it).await;
        it.ingest("long", long).await;
        it.until_midway("long").await;
        it.api::<IngestionJob>().delete("long", &DeleteParams::default()).await.unwrap();
        it.until_gone("long").await;
        it.until_no_workers().await;
        until(it.api::<Job>(), Config::default(), "no Job is there", |jobs: &[&Job]| jobs.is_empty().then_some(()))
            .await;
        let ours = Config::default().labels("app.kubernetes.io/managed-by=lexigram-operator");
        until(it.api::<ConfigMap>(), ours, "no work spec is there", |maps: &[&ConfigMap]| {
            maps.is_empty().then_some(())
        })
        .await;
        let claims = it.api::<PersistentVolumeClaim>().list(&ListParams::default()).await.unwrap();
        let names: Vec<_> = claims.iter().map(|claim| (claim.name_any(), claim.owner_references().len())).collect();
        assert_eq!(names, [("lexigram-store".to_owned(), 0)]);
    });
}

/// Makes the kubelet look at mounted ConfigMaps now, not within its minute: it does so whenever a pod changes.
async fn hurry_configuration(it: &Sandbox) {
    let pods: Api<Pod> = it.api();
    for pod in pods.list(&ListParams::default().labels(OPERATORS)).await.unwrap() {
        let patch = Patch::Merge(json!({"metadata": {"annotations": {"example.com/hurry": pod.resource_version()}}}));
        pods.patch(&pod.name_any(), &PatchParams::default(), &patch).await.unwrap();
    }
}

#[test]
fn the_configuration_is_reloaded_while_the_operator_runs() {
    sandbox(json!({"ai_workers": {"enabled": false}}), async |it| {
        it.ingest("waiting", hello()).await;
        let job = it.until_state("waiting", State::Suspended, "WorkersDisabled").await;
        let message = &condition_of(&job, ConditionType::Suspended).unwrap().message;
        assert!(message.contains("ai_workers.enabled is false"), "{message}");
        let operators = ListParams::default().labels(OPERATORS);
        let before = it.api::<Pod>().list(&operators).await.unwrap().items[0].uid();

        it.release(&json!({"ai_workers": {"stub": true}}));
        hurry_configuration(it).await;
        let job = it.until_true("waiting", ConditionType::Complete).await;
        assert_eq!(job.status.unwrap().chunks_created.unwrap_or_default(), 0, "a stub ingests nothing");
        let after = it.api::<Pod>().list(&operators).await.unwrap().items[0].uid();
        assert_eq!(before, after, "the operator was replaced instead of reading its configuration again");
    });
}

#[test]
fn a_spec_that_cannot_be_used_says_which_field_and_why() {
    sandbox(json!({}), async |it| {
        let policy = json!({"rules": [{"message": "(unclosed", "category": "Transient"}]});
        it.ingest("regex", with(hello(), "failurePolicy", policy)).await;
        let mut globs = hello();
        globs["source"]["include"] = json!(["*.txt", "[a"]);
        it.ingest("glob", globs).await;
        for (name, field) in
            [("regex", "spec.failurePolicy.rules[0].message: '(unclosed'"), ("glob", "spec.source.include[1]: '[a'")]
        {
            let job = it.until_true(name, ConditionType::Stalled).await;
            let stalled = condition_of(&job, ConditionType::Stalled).unwrap();
            assert_eq!(stalled.reason, "InvalidSpec");
            assert!(
                stalled.message.starts_with(field) && stalled.message.contains("correct it"),
                "{}",
                stalled.message
            );
        }
        let events = kubectl(&["--namespace", &it.namespace, "events", "--for", "ingestionjob/regex"]).unwrap();
        assert!(events.contains("InvalidSpec"), "{events}");
    });
}
