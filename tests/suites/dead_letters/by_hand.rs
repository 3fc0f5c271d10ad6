//! What a person asks for by annotation.

use k8s_openapi::api::events::v1::Event;
use kube::api::ListParams;
use lexigram_api::{
    failure::FailureCategory,
    resource::{ConditionType, IngestionJob, State},
};
use lexigram_tests::{Answer, FaultServer, condition_of, fixture, sandbox};
use serde_json::json;

use crate::{dead_letters, documents, hurry, runs};

const RETRY: &str = "workers.lexigram.dev/retry";
const RETRY_CATEGORIES: &str = "workers.lexigram.dev/retry-categories";
const ARCHIVE: &str = "workers.lexigram.dev/archive";

#[test]
fn a_retry_takes_exactly_what_it_names_and_each_request_acts_once() {
    sandbox(hurry(), async |it| {
        let server = FaultServer::start(&it.client).await;
        let text = |text: &str| Answer::Text(text.to_owned());
        let corrupt = || Answer::File(fixture("bad/truncated.pdf"));
        let urls = [
            server.serve("/corrupt.pdf", [corrupt(), Answer::File(b"# Mended\n\nNow it is text.".to_vec())]),
            server.serve("/down.txt", [Answer::Status(503), text("The server is back.")]),
            server.serve("/good.txt", [text("All is well.")]),
        ];
        let policy = json!({"maxAttempts": 1});
        it.ingest("docs", json!({"source": {"http": {"urls": urls}}, "failurePolicy": policy})).await;
        let job = it.until_true("docs", ConditionType::Complete).await;
        assert_eq!((documents(&job), dead_letters(&job).summary.as_str()), ([3, 1, 2], "2 archived"));

        let first = [(RETRY, "2027-01-15T08:00:00Z"), (RETRY_CATEGORIES, "Transient")];
        it.jobs().annotate("docs", &first).await;
        let mended = |job: &IngestionJob, done| {
            (documents(job)[1] == done && job.status.as_ref()?.job.state == Some(State::Complete)).then(|| job.clone())
        };
        let job = it.until_job("docs", "has the one that was asked for", |job| mended(job, 2)).await;
        let dead = dead_letters(&job);
        assert_eq!((dead.summary.as_str(), dead.last_retry_request.as_deref()), ("1 archived", Some(first[0].1)));
        assert_eq!(dead.by_category[0].category, FailureCategory::InvalidInput);
        assert_eq!(condition_of(&job, ConditionType::RequestAccepted).unwrap().reason, "RequestDone");
        assert_eq!(["/corrupt.pdf", "/down.txt", "/good.txt"].map(|path| server.received(path).len()), [1, 2, 1]);

        // the same again is nothing new
        it.jobs().annotate("docs", &[first[0], first[1], ("example.com/note", "seen")]).await;
        it.jobs().annotate("docs", &[(RETRY, "soon")]).await;
        let refused = it.until_job("docs", "says that it does not understand", |job| {
            let condition = condition_of(job, ConditionType::RequestAccepted)?;
            (condition.reason == "InvalidRequest").then(|| condition.message.clone())
        });
        assert!(refused.await.contains("'soon' is no time such as 2027-01-15T08:00:00Z"));
        let events = it.api::<Event>().list(&ListParams::default()).await.unwrap();
        assert!(events.iter().any(|event| event.reason.as_deref() == Some("InvalidRequest")), "{events:?}");

        it.jobs().annotate("docs", &[(RETRY, "2027-01-15T09:00:00Z"), (RETRY_CATEGORIES, "InvalidInput")]).await;
        let job = it.until_job("docs", "has both", |job| mended(job, 3)).await;
        assert_eq!((documents(&job), dead_letters(&job).summary.as_str()), ([3, 3, 0], "0"));
        assert_eq!(runs(it).await.into_iter().collect::<Vec<_>>(), ["docs-r1", "docs-retry1", "docs-retry2"]);
    });
}

#[test]
fn what_waits_for_a_person_can_be_given_up_and_the_archive_is_bounded() {
    sandbox(hurry(), async |it| {
        let server = FaultServer::start(&it.client).await;
        let corrupt = || Answer::File(fixture("bad/truncated.pdf"));
        let urls: Vec<_> = (0..4).map(|n| server.serve(&format!("/{n}.pdf"), [corrupt()])).collect();
        let policy = json!({
            "actions": [{"category": "InvalidInput", "action": "Notify"}],
            "archive": {"maxItems": 3, "retentionSeconds": 3600},
        });
        it.ingest("docs", json!({"source": {"http": {"urls": urls}}, "failurePolicy": policy})).await;
        it.until_state("docs", State::Stalled, "DeadLettersNotified").await;
        it.jobs().annotate("docs", &[(ARCHIVE, "2027-01-15T08:00:00Z")]).await;
        let job = it.until_true("docs", ConditionType::Complete).await;
        assert_eq!(condition_of(&job, ConditionType::Complete).unwrap().reason, "CompletedWithFailures");
        assert_eq!(dead_letters(&job).notified, 0);
        let rows = it.documents("docs").await;
        assert_eq!(rows.iter().filter(|row| row.state == "Archived").count(), 3, "{rows:?}");
    });
}
