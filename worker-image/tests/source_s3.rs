//! Objects of a bucket: against a real S3 server, and against a mock where the server has to misbehave or be large.

// helpers panic as tests do
#![allow(clippy::unwrap_used, clippy::panic)]

mod common;
mod provider_common;

use std::{collections::BTreeSet, process::Stdio, time::Instant};

use axum::{
    Router,
    http::{StatusCode, Uri},
    response::IntoResponse,
    routing::get,
};
use common::{
    Workspace,
    arrivals::{job, names, run, searchable},
    count, memory_kib,
    s3::S3Server,
    wait_until,
};
use futures::StreamExt;
use lexigram_api::{
    contract::{ExitCode, Mode, NetworkAccess, SourceLocation},
    document::SyncMode,
};
use lexigram_fault_provider::Script;
use lexigram_worker::source;
use provider_common::{embedding, start};
use serde_json::json;

#[tokio::test]
async fn every_object_below_the_prefix_arrives_whatever_its_key() {
    let server = S3Server::start().await;
    let keys = ["d/a.txt", "d/b c.txt", "d/plus+and%41.txt", "d/ä/🦀.txt", "d/x=1&y=2?#.txt"];
    for key in keys {
        server.put(key, &format!("text of {key}")).await;
    }
    server.put("d/folder/", "").await;
    server.put("elsewhere.txt", "not below the prefix").await;
    let mut job = job(server.source("d/"), SyncMode::Append);
    job.task.exclude = vec!["**/*.log".to_owned()];
    server.put("d/noise.log", "left out").await;
    assert_eq!(run(&job, "r1").await.items.done, 5);
    assert_eq!(searchable(&job), names(keys));
}

#[tokio::test]
async fn only_what_changed_is_downloaded_again_and_what_is_gone_goes() {
    let server = S3Server::start().await;
    for key in ["a.txt", "b.txt", "c.txt"] {
        server.put(key, &format!("text of {key}")).await;
    }
    let job = job(server.source(""), SyncMode::Mirror);
    assert_eq!((run(&job, "r1").await.items.done, server.downloads()), (3, 3));
    let again = run(&job, "r2").await.items;
    assert_eq!((again.skipped, again.done, server.downloads()), (3, 0, 3));
    server.put("b.txt", "another text").await;
    server.delete("c.txt").await;
    let changed = run(&job, "r3").await.items;
    assert_eq!((changed.done, changed.skipped, changed.deleted, server.downloads()), (1, 1, 1, 4));
    assert_eq!(searchable(&job), names(["a.txt", "b.txt"]));
}

#[tokio::test]
async fn more_objects_than_a_page_holds_arrive_all() {
    let server = S3Server::start().await;
    let keys: BTreeSet<String> = (0..1001).map(|number| format!("{number:04}.txt")).collect();
    futures::stream::iter(&keys).for_each_concurrent(8, |key| server.put(key, "text")).await;
    let job = job(server.source(""), SyncMode::Append);
    let source = source::open(&job.task).unwrap();
    let listed: BTreeSet<String> = source.list().map(|listed| listed.unwrap().name).collect().await;
    assert_eq!(listed, keys);
}

#[tokio::test]
async fn an_object_that_is_too_large_costs_itself_only() {
    let server = S3Server::start().await;
    server.put("large.txt", &"large ".repeat(100)).await;
    server.put("small.txt", "small").await;
    let mut job = job(server.source(""), SyncMode::Append);
    job.task.parsing.max_document_bytes = 100;
    let items = run(&job, "r1").await.items;
    assert_eq!((items.done, items.failed), (1, 1));
    assert_eq!(job.rows(), ["large.txt Archived 1 DocumentTooLarge", "small.txt Done 0 -"]);
}

#[tokio::test]
async fn a_wrong_secret_or_bucket_ends_the_job_at_once_and_names_the_field() {
    let server = S3Server::start().await;
    let mut job = job(server.source(""), SyncMode::Append);
    server.secret("wrong");
    let ended = job.run_of_task("r1", Mode::Full).await;
    let error = ended.report.error.unwrap();
    assert_eq!((ended.exit, error.reason.as_str()), (ExitCode::Authentication, "SourceAccessDenied"));
    assert!(error.message.contains("SignatureDoesNotMatch"), "{}", error.message);
    assert!(error.message.contains("check spec.source.s3.credentialsSecretRef"), "{}", error.message);

    job.task.source = server.source("");
    let SourceLocation::S3 { settings, .. } = &mut job.task.source else { unreachable!() };
    settings.bucket = "no-such-bucket".to_owned();
    let ended = job.run_of_task("r2", Mode::Full).await;
    let error = ended.report.error.unwrap();
    assert_eq!(ended.exit, ExitCode::Configuration);
    assert_eq!(error.message, "spec.source.s3.bucket: there is no bucket 'no-such-bucket' at this endpoint");
}

#[tokio::test]
async fn a_local_endpoint_is_refused_unless_allowed() {
    let server = S3Server::start().await;
    let mut source = server.source("");
    let SourceLocation::S3 { access, .. } = &mut source else { unreachable!() };
    access.allow_local_addresses = false;
    let ended = job(source, SyncMode::Append).run_of_task("r1", Mode::Full).await;
    let error = ended.report.error.unwrap();
    assert_eq!((ended.exit, error.reason.as_str()), (ExitCode::Configuration, "LocalAddress"));
    assert!(error.message.contains("set spec.source.s3.allowLocalAddresses to true"), "{}", error.message);
}

/// As long as a key may be.
const KEY_BYTES: usize = 1024;

/// A mock of an S3 server with so many objects, whose page with that number fails.
async fn mock_s3(objects: usize, broken_page: Option<usize>) -> SourceLocation {
    const PAGE: usize = 1000;
    let listing = move |uri: Uri| async move {
        let mut query = url::form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes());
        let token = query.find(|(key, _)| key == "continuation-token");
        let first = token.map_or(0, |(_, token)| token.parse::<usize>().unwrap());
        if Some(first / PAGE) == broken_page {
            return (StatusCode::FORBIDDEN, "<Error><Code>AccessDenied</Code></Error>".to_owned()).into_response();
        }
        let last = (first + PAGE).min(objects);
        let object = |number| {
            let key = format!("{number:07}{}.txt", "k".repeat(KEY_BYTES - 11));
            format!("<Contents><Key>{key}</Key><ETag>\"{number}\"</ETag><Size>4</Size></Contents>")
        };
        let contents: String = (first..last).map(object).collect();
        let next = match last < objects {
            true => format!("<IsTruncated>true</IsTruncated><NextContinuationToken>{last}</NextContinuationToken>"),
            false => "<IsTruncated>false</IsTruncated>".to_owned(),
        };
        let xmlns = "http://s3.amazonaws.com/doc/2006-03-01/";
        format!("<ListBucketResult xmlns=\"{xmlns}\">{next}{contents}</ListBucketResult>").into_response()
    };
    let object = async || "text";
    let router = Router::new().route("/docs/", get(listing)).route("/docs/{key}", get(object));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    lexigram_worker::install_tls_provider();
    SourceLocation::S3 {
        settings: serde_json::from_value(json!({"bucket": "docs", "endpoint": endpoint})).unwrap(),
        credentials_directory: None,
        access: NetworkAccess { allow_local_addresses: true, ca_file: None },
    }
}

#[tokio::test]
async fn a_listing_that_breaks_half_way_removes_nothing() {
    let mut job = job(mock_s3(1010, None).await, SyncMode::Mirror);
    // a few of both pages
    job.task.include = vec!["00000{00,01}*".to_owned(), "000100*".to_owned()];
    assert_eq!(run(&job, "r1").await.items.done, 12);
    job.task.source = mock_s3(1010, Some(1)).await;
    let ended = job.run_of_task("r2", Mode::Full).await;
    assert_eq!(ended.report.error.unwrap().reason, "ListingPartial");
    assert_eq!((ended.report.counts.items.deleted, searchable(&job).len()), (0, 12));
    // and the whole listing shows that it would have
    job.task.source = mock_s3(1000, None).await;
    assert_eq!(run(&job, "r3").await.items.deleted, 10);
}

/// `LEXIGRAM_KEYS=1000000` makes it a million; what is printed stands in docs/sources.md.
#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_thousand_keys_go_into_the_ledger_in_little_memory() {
    const STEP: usize = 10_000;
    let keys = std::env::var("LEXIGRAM_KEYS").map_or(100_000, |keys| keys.parse().unwrap());
    let (workspace, provider) = (Workspace::new(), start(Script::default()).await);
    let mut spec = workspace.spec("r1");
    spec["task"]["source"] = json!(mock_s3(keys, None).await);
    // no model, whose size would hide what keys take
    spec["task"]["embedding"] = json!(embedding(&provider, json!({})));
    let begun = Instant::now();
    let mut worker = workspace.pod(&spec).stderr(Stdio::null()).spawn().unwrap();
    let mut memory = Vec::new();
    for listed in (STEP..=keys).step_by(STEP) {
        wait_until(&format!("{listed} keys are in the ledger"), || {
            assert_eq!(worker.try_wait().unwrap(), None, "the worker has ended");
            count(&workspace.store(), "SELECT coalesce(max(id), 0) FROM documents") >= i64::try_from(listed).unwrap()
        });
        memory.push(memory_kib(worker.id(), "VmRSS"));
    }
    let (seconds, most) = (begun.elapsed().as_secs_f64(), memory.iter().max().unwrap());
    worker.kill().unwrap();
    worker.wait().unwrap();
    println!("{keys} keys in {seconds:.1} s; memory {} KiB after {STEP}, {most} KiB at the most", memory[0]);
    let (grown, bytes) = (most - memory[0], keys * KEY_BYTES);
    assert!(grown * 1024 < bytes / 4, "{grown} KiB more after {} KiB of keys", bytes / 1024);
}
