//! The kubectl plugin against a real API server and operator.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a panic is how a test fails")]

use k8s_openapi::api::core::v1::Pod;
use kube::api::ListParams;
use lexigram_api::resource::{ConditionType, IngestionJob};
use lexigram_tests::{Said, sandbox};
use serde_json::{Value, json};

fn document(said: &Said) -> Value {
    serde_json::from_str(&said.out).unwrap_or_else(|error| panic!("{error}: {said:?}"))
}

fn succeeded(said: Said) -> Said {
    assert_eq!(said.code, Some(0), "{said:?}");
    said
}

#[test]
fn a_job_is_followed_searched_and_run_again_and_nothing_is_wrong() {
    sandbox(json!({}), async |it| {
        it.ingest("pets", json!({"source": {"inline": [
            {"name": "cats.md", "text": "# Felines\n\nA kitten sleeps sixteen hours a day and purrs when it is content."},
            {"name": "tax.md", "text": "# Levies\n\nDeclarations are due by the end of May; late ones cost interest."},
        ]}})).await;
        let said = succeeded(it.plugin(&["status", "ij/pets", "--watch"]));
        let last = said.out.lines().last().unwrap();
        assert!(last.contains("Complete") && last.contains("2/2"), "{said:?}");

        let list = document(&succeeded(it.plugin(&["status", "--output", "json"])));
        assert_eq!(list["items"][0]["metadata"]["name"], "pets");
        assert_eq!(list["items"][0]["status"]["state"], "Complete");
        let said = succeeded(it.plugin(&["status"]));
        assert!(said.out.starts_with("NAME") && said.out.contains("ij/pets") && said.out.contains("2/2"), "{said:?}");

        let search = ["search", "pets", "how long do young animals rest", "--limit", "1", "--output", "json"];
        let here = ["--operator-namespace", &it.namespace];
        let hits = document(&succeeded(it.plugin(&[&search[..], &here[..]].concat())));
        assert_eq!((hits.as_array().unwrap().len(), hits[0]["document"].as_str()), (1, Some("cats.md")));
        let made = ListParams::default().labels("app.kubernetes.io/managed-by=kubectl-lexigram");
        let left = it.api::<Pod>().list(&made).await.unwrap();
        assert!(left.items.iter().all(|pod| pod.metadata.deletion_timestamp.is_some()), "{left:?}");

        let _ = succeeded(it.plugin(&["run", "ij/pets", "--wait"]));
        let runs = it.api::<IngestionJob>().get("pets").await.unwrap().status.unwrap().job.runs;
        assert_eq!(runs.len(), 2, "{runs:?}");

        let tasks = json!([{"name": "archive", "type": "ArchiveCleanup"}]);
        it.schedules().apply("nightly", json!({"intervalSeconds": 31_536_000, "tasks": tasks})).await;
        let said = succeeded(it.plugin(&["run", "nightly", "--wait"]));
        assert!(said.out.lines().last().unwrap().contains("1/1"), "{said:?}");

        let said = succeeded(it.plugin(&[&["doctor", "--output", "json"][..], &here[..]].concat()));
        let verdicts: Vec<Value> = document(&said).as_array().unwrap().iter().map(|of| of["verdict"].clone()).collect();
        assert!(verdicts.len() >= 8 && verdicts.iter().all(|verdict| verdict == "Ok"), "{said:?}");

        it.release(&json!({"operator": {"replicas": 0}}));
        let said = it.plugin(&[&["doctor"][..], &here[..]].concat());
        assert_eq!(said.code, Some(3), "{said:?}");
        assert!(said.out.contains("fix: kubectl --namespace ") && said.out.contains("scale deployment"), "{said:?}");
    });
}

#[test]
fn dead_letters_are_listed_and_tried_again_by_category() {
    sandbox(json!({}), async |it| {
        let documents = json!([{"name": "good.md", "text": "# A\n\nSwans nest."}, {"name": "empty.md", "text": " "}]);
        it.ingest("mixed", json!({"source": {"inline": documents}})).await;
        it.until_true("mixed", ConditionType::Complete).await;

        let said = succeeded(it.plugin(&["dead-letters", "list", "ij/mixed"]));
        assert!(said.out.starts_with("ij/mixed: 1 archived\n") && said.out.contains("empty.md"), "{said:?}");
        let dead = document(&succeeded(it.plugin(&["dead-letters", "list", "ij/mixed", "--output", "json"])));
        assert_eq!((&dead["archived"], &dead["recent"][0]["category"]), (&json!(1), &json!("InvalidInput")));

        // what is empty is so the next time too
        let retry = ["dead-letters", "retry", "ij/mixed", "--category", "invalidinput", "--wait"];
        let said = it.plugin(&retry);
        assert_eq!(said.code, Some(3), "{said:?}");
        let job = it.api::<IngestionJob>().get("mixed").await.unwrap();
        let status = job.status.unwrap().job;
        assert_eq!(status.latest_run.as_deref(), Some("mixed-retry1"));
        assert_eq!(status.dead_letters.unwrap().recent[0].id, "empty.md");

        let said = it.plugin(&["dead-letters", "retry", "ij/nothing"]);
        assert_eq!(said.code, Some(1), "{said:?}");
        assert!(said.err.contains("ij/nothing is not there in the namespace"), "{said:?}");
    });
}
