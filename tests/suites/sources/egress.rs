//! Addresses that a source may not have: those of the worker's own machine and link, where clouds hand out credentials.

use std::collections::BTreeSet;

use lexigram_api::{
    failure::FailureCategory,
    resource::{ConditionType, IngestionJob, State},
};
use lexigram_tests::{Job, Objects, Sandbox, WebServer, condition_of, sandbox};
use serde_json::{Value, json};

use crate::counts;

/// Where clouds hand out the credentials of a node.
const METADATA: &str = "169.254.169.254/latest/meta-data/iam/security-credentials/";

/// What a refusal says: the address, and the way out.
fn assert_told(message: &str, address: &str, field: &str) {
    assert!(message.contains(&format!("{address} is a local address")), "{message}");
    assert!(message.contains(&format!("set {field}.allowLocalAddresses to true")), "{message}");
}

/// Applies an object, and checks that it fails because of an address.
async fn refused<K: Job>(objects: Objects<K>, name: &str, spec: Value, field: &str) {
    objects.apply(name, spec).await;
    let object = objects.until_true(name, ConditionType::Failed).await;
    assert_told(&condition_of(&object, ConditionType::Failed).unwrap().message, "169.254.169.254", field);
}

/// The same of a URL that is one document of a list: it waits for a person to mend the spec.
async fn held(objects: Objects<IngestionJob>, name: &str, url: &str, address: &str) {
    objects.apply(name, json!({"source": {"http": {"urls": [url]}}})).await;
    let job = objects.until_state(name, State::Stalled, "DeadLettersNotified").await;
    let [failure] = job.status.unwrap().job.dead_letters.unwrap().recent.try_into().unwrap();
    assert_eq!((failure.category, failure.attempts), (FailureCategory::Configuration, 1), "{name}");
    assert_told(&failure.message, address, "spec.source.http");
}

#[test]
fn a_job_with_a_local_address_is_refused_with_the_way_out() {
    sandbox(json!({}), async |it| {
        let metadata = format!("http://{METADATA}");
        let git = json!({"source": {"git": {"url": format!("{metadata}docs.git")}}});
        let s3 = json!({"source": {"s3": {"bucket": "docs", "endpoint": "http://169.254.169.254"}}});
        let batch = json!({"input": {"http": {"url": format!("{metadata}rows.jsonl")}}});
        let mapped = "::ffff:169.254.169.254";
        let by_mapped = format!("http://[{mapped}]/");
        tokio::join!(
            held(it.jobs(), "metadata", &metadata, "169.254.169.254"),
            held(it.jobs(), "loopback", "http://127.0.0.1:8080/", "127.0.0.1"),
            held(it.jobs(), "name", "http://localhost:8080/", "127.0.0.1"),
            held(it.jobs(), "mapped", &by_mapped, mapped),
            refused(it.jobs(), "repository", git, "spec.source.git"),
            refused(it.jobs(), "bucket", s3, "spec.source.s3"),
            refused(it.batches(), "batch", batch, "spec.input.http"),
        );
    });
}

#[test]
fn a_redirect_to_a_local_address_is_not_followed() {
    sandbox(json!({}), async |it| {
        WebServer::start(it, &[("otters.html", "<p>Otters hold hands while they sleep.</p>".to_owned())]).await;
        let otters = WebServer::url(it, "/otters.html");
        let metadata = WebServer::url(it, &format!("/to/{METADATA}"));
        let loopback = WebServer::url(it, "/to/127.0.0.1:8080/progress");
        it.ingest("pages", json!({"source": {"http": {"urls": [otters, metadata, loopback]}}})).await;
        let job = it.until_true("pages", ConditionType::Complete).await;
        assert_eq!(counts(&job), [1, 2, 0, 0]);
        assert_eq!(condition_of(&job, ConditionType::Complete).unwrap().reason, "CompletedWithFailures");
        let failures = job.status.unwrap().job.dead_letters.unwrap().recent;
        for (url, address) in [(metadata, "169.254.169.254"), (loopback, "127.0.0.1")] {
            let failure = failures.iter().find(|failure| failure.id == url).expect(&url);
            assert_eq!((failure.category, failure.attempts), (FailureCategory::InvalidInput, 1));
            assert_told(&failure.message, address, "spec.source.http");
        }
        assert_eq!(names(it, "pages").await, [otters].into());
    });
}

#[test]
fn links_of_a_site_lead_to_no_local_address() {
    sandbox(json!({}), async |it| {
        let links = format!(
            "<p>Welcome.</p><a href=\"http://{METADATA}\">out</a><a href=\"/to/{METADATA}\">round</a><a href=otters.html>in</a>"
        );
        let pages = [("index.html", links), ("otters.html", "<p>Otters hold hands while they sleep.</p>".to_owned())];
        WebServer::start(it, &pages).await;
        let start = WebServer::url(it, "/index.html");
        it.ingest("site", json!({"source": {"http": {"urls": [start], "crawl": {"follow": "Links"}}}})).await;
        let job = it.until_true("site", ConditionType::Complete).await;
        assert_eq!(counts(&job), [2, 0, 0, 0]);
        assert_eq!(names(it, "site").await, [start, WebServer::url(it, "/otters.html")].into());
    });
}

/// Names of the documents that a collection has.
async fn names(it: &Sandbox, collection: &str) -> BTreeSet<String> {
    it.documents(collection).await.into_iter().filter(|row| row.state == "Done").map(|row| row.document).collect()
}
