//! A folder that stays mirrored on a schedule.

use k8s_openapi::{ByteString, api::core::v1::ConfigMap};
use kube::api::{Patch, PatchParams};
use lexigram_api::{
    contract::TaskResult,
    resource::{ConditionType, IngestionJob},
};
use lexigram_tests::{Answer, FaultServer, bare, corpus, sandbox};
use serde_json::{Value, json};

use crate::{on_demand, task};

fn resync() -> Value {
    on_demand(json!([{"name": "mirror", "type": "Resync", "resync": {"ingestionJob": "guides"}}]))
}

/// The newest run of the job is this one, and it is over.
fn is_over(job: &IngestionJob, run: &str) -> bool {
    let Some(status) = &job.status else { return false };
    let complete =
        status.job.conditions.iter().any(|condition| condition.type_ == "Complete" && condition.status == "True");
    complete && status.job.latest_run.as_deref() == Some(run)
}

#[test]
fn a_new_file_is_picked_up() {
    sandbox(json!({}), async |it| {
        it.config_map("guides", [("otters.txt".to_owned(), b"Otters hold hands while they sleep.".to_vec())]).await;
        it.ingest("guides", json!({"source": {"configMap": {"name": "guides"}}, "sync": "Mirror"})).await;
        it.until_true("guides", ConditionType::Complete).await;
        it.schedules().apply("mirror", resync()).await;
        let files = ByteString(b"Volcanoes build islands.".to_vec());
        let patch = Patch::Merge(json!({"binaryData": {"volcanoes.txt": files, "otters.txt": null}}));
        it.api::<ConfigMap>().patch("guides", &PatchParams::default(), &patch).await.unwrap();
        let run = it.run_now("mirror", 0).await;
        let mirror = task(&run, "mirror");
        assert_eq!((mirror.result, mirror.items), (TaskResult::Succeeded, 1), "{mirror:?}");
        let job =
            it.until_job("guides", "is complete again", |job| is_over(job, "guides-r2").then(|| job.clone())).await;
        let status = job.status.unwrap();
        let documents = status.documents.unwrap();
        assert_eq!((documents.total, documents.done, documents.deleted), (1, 1, 1), "{documents:?}");
        let runs: Vec<_> = status.job.runs.iter().map(|run| run.name.as_str()).collect();
        assert_eq!(runs, ["guides-r2", "guides-r1"]);
        let hits = it.search("guides", "how land rises from the sea", 10).await;
        assert_eq!(hits.iter().map(|hit| hit.document.as_str()).collect::<Vec<_>>(), ["volcanoes.txt"]);
    });
}

#[test]
fn a_job_that_is_missing_is_told_to_the_webhook() {
    // the release comes second, since its operator reads the Secret that tells where the receiver is
    bare(async |it| {
        let receiver = FaultServer::start(&it.client).await;
        let hook = receiver.serve("/hook", [Answer::Status(204)]);
        it.secret("on-call", &json!({"url": hook})).await;
        it.release(&json!({"webhook": {"secretName": "on-call"}}));
        it.schedules().apply("mirror", resync()).await;
        let run = it.run_now("mirror", 0).await;
        let told = it.schedules().until_true("mirror", ConditionType::Notified).await;
        assert_eq!(told.status.unwrap().dead_letters.unwrap().notified, 1);
        let received = receiver.received("/hook");
        let event: Value = serde_json::from_str(&received[0]).unwrap();
        assert_eq!(
            (&event["data"]["kind"], &event["data"]["run"]),
            (&json!("MaintenanceSchedule"), &json!(run.job)),
            "{event}"
        );
        assert_eq!(received.len(), 1, "{received:?}");
    });
}

#[test]
fn a_job_that_is_at_work_is_left_alone_and_one_that_is_missing_is_named() {
    sandbox(json!({}), async |it| {
        it.schedules().apply("mirror", resync()).await;
        let run = it.run_now("mirror", 0).await;
        assert!(task(&run, "mirror").message.contains("there is no IngestionJob 'guides'"), "{run:?}");
        assert_eq!(run.result, Some(TaskResult::Failed));
        it.config_map("long", corpus::documents(90, 400)).await;
        it.ingest("guides", json!({"source": {"configMap": {"name": "long"}}, "suspend": true})).await;
        let run = it.run_now("mirror", 1).await;
        let mirror = task(&run, "mirror");
        assert_eq!(mirror.result, TaskResult::Skipped, "{mirror:?}");
        assert!(mirror.message.contains("'guides' is suspended"), "{mirror:?}");
    });
}
