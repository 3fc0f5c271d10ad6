//! A database as the store: several workers fill one collection, and no claim is made.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a panic is how a test fails")]

use k8s_openapi::api::{
    batch::v1::Job,
    core::v1::{PersistentVolumeClaim, Pod},
};
use kube::api::ListParams;
use lexigram_api::resource::{ConditionType, IngestionJob, State};
use lexigram_tests::{Postgres, WORKERS, condition_of, sandbox};
use serde_json::{Value, json};

/// Done, failed, skipped and deleted documents.
fn counts(job: &IngestionJob) -> [i32; 4] {
    let documents = job.status.as_ref().unwrap().documents.clone().unwrap();
    assert_eq!(documents.total, documents.processed(), "{documents:?}");
    [documents.done, documents.failed, documents.skipped, documents.deleted]
}

#[test]
fn three_workers_fill_one_collection() {
    sandbox(json!({}), async |it| {
        let database = Postgres::start(it).await;
        let mut documents: Vec<Value> = (0..30)
            .map(|number| json!({"name": format!("{number:02}.md"), "text": format!("# Rule {number}\n\nOf rule {number}.")}))
            .collect();
        documents.push(json!({"name": "cats.md", "text": "# Felines\n\nA kitten sleeps sixteen hours a day."}));
        documents.push(json!({"name": "empty.md", "text": " "}));
        let spec = json!({"source": {"inline": documents}, "store": Postgres::store(), "parallelism": 3});
        it.ingest("rules", spec.clone()).await;
        let job = it.until_true("rules", ConditionType::Complete).await;
        assert_eq!(counts(&job), [31, 1, 0, 0]);
        assert_eq!(condition_of(&job, ConditionType::Complete).unwrap().reason, "CompletedWithFailures");
        assert_eq!(job.status.as_ref().unwrap().job.dead_letters.as_ref().unwrap().recent[0].id, "empty.md");
        let run = it.api::<Job>().get("rules-r1").await.unwrap();
        assert_eq!(run.status.unwrap().completed_indexes.as_deref(), Some("0-2"));
        let workers = it.api::<Pod>().list(&ListParams::default().labels(WORKERS)).await.unwrap();
        // nodes may learn of the database's address a moment after it is ready, and workers that came before are replaced
        let succeeded = |pod: &&Pod| pod.status.as_ref().and_then(|it| it.phase.as_deref()) == Some("Succeeded");
        assert_eq!(workers.iter().filter(succeeded).count(), 3);
        assert!(it.api::<PersistentVolumeClaim>().list(&ListParams::default()).await.unwrap().items.is_empty());

        let hits = database.search("rules", "how long do young pets rest").await;
        assert_eq!(hits[0].document, "cats.md", "{hits:?}");
        let rows = database.documents("rules").await;
        assert_eq!(rows.iter().filter(|row| row.state == "Done" && row.chunks > 0).count(), 31);

        // another object over the same collection, by another number of workers: nothing has changed
        it.ingest("again", {
            let mut again = spec;
            again["collection"] = "rules".into();
            again["parallelism"] = 2.into();
            again
        })
        .await;
        it.until_true("again", ConditionType::Complete).await;
        assert_eq!(database.documents("rules").await.len(), 64, "documents of another job are others");
    });
}

#[test]
fn a_database_that_is_not_there_is_named_and_waited_for() {
    sandbox(json!({}), async |it| {
        let spec = json!({"source": {"inline": [{"name": "a.md", "text": "# A"}]}, "store": Postgres::store()});
        it.ingest("early", spec).await;
        it.until_state("early", State::Stalled, "SecretNotFound").await;
        Postgres::start(it).await;
        it.until_true("early", ConditionType::Complete).await;
    });
}
