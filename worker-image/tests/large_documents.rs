//! Large documents from a web server: the memory of the real worker does not grow with them, and what is larger than it may
//! be is cut off.

// helpers panic as tests do
#![allow(clippy::unwrap_used, clippy::panic)]

mod common;
mod provider_common;

use std::{
    convert::Infallible,
    fs,
    io::{Cursor, Write},
    path::Path,
    process::Stdio,
};

use axum::{
    Router,
    body::{Body, Bytes},
    routing::get,
};
use common::{Workspace, arrivals, memory_kib, query, wait_until, web::WebServer};
use futures::stream;
use lexigram_api::{
    contract::{NetworkAccess, SourceLocation},
    document::SyncMode,
};
use lexigram_fault_provider::Script;
use provider_common::{embedding, start};
use serde_json::json;
use zip::{CompressionMethod, ZipWriter, write::SimpleFileOptions};

const MEBIBYTE: usize = 1024 * 1024;
/// As many as are fetched at once.
const DOCUMENTS: usize = 4;

/// A real document with a picture of so many bytes.
fn with_picture(bytes: usize) -> Vec<u8> {
    let document = fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/good/coffee.docx")).unwrap();
    let mut archive = ZipWriter::new_append(Cursor::new(document)).unwrap();
    let stored = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
    archive.start_file("word/media/picture.bmp", stored).unwrap();
    archive.write_all(&vec![7; bytes]).unwrap();
    archive.finish().unwrap().into_inner()
}

/// The most memory that a worker has had while it ingested documents with such pictures, in bytes.
async fn peak(picture: usize) -> usize {
    let (workspace, server, provider) = (Workspace::new(), WebServer::start().await, start(Script::default()).await);
    let paths: Vec<String> = (0..DOCUMENTS).map(|number| format!("/{number}.docx")).collect();
    let document = Bytes::from(with_picture(picture));
    paths.iter().for_each(|path| server.bytes(path, document.clone()));
    let paths: Vec<&str> = paths.iter().map(String::as_str).collect();
    let mut spec = workspace.spec("r1");
    spec["task"]["source"] = json!(server.source(&paths, None));
    spec["task"]["embedding"] = json!(embedding(&provider, json!({})));
    let scratch = workspace.path("scratch");
    fs::create_dir(&scratch).unwrap();
    let mut worker = workspace.pod(&spec).env("TMPDIR", &scratch).stderr(Stdio::null()).spawn().unwrap();
    let mut peak = 0;
    wait_until("the worker has ended", || {
        peak = peak.max(memory_kib(worker.id(), "VmHWM"));
        worker.try_wait().unwrap().is_some()
    });
    let rows = query(&workspace.store(), "SELECT state, coalesce(reason, '-') FROM documents");
    assert_eq!(rows, vec![["Done", "-"]; DOCUMENTS]);
    assert_eq!(fs::read_dir(&scratch).unwrap().count(), 0, "a temporary file has stayed");
    peak * 1024
}

#[tokio::test(flavor = "multi_thread")]
async fn memory_does_not_grow_with_documents() {
    const PICTURE: usize = 32 * MEBIBYTE;
    let (small, large) = (peak(1).await, peak(PICTURE).await);
    println!("peak with small documents {} MiB, with large ones {} MiB", small / MEBIBYTE, large / MEBIBYTE);
    // not even by half a document of the four that are fetched at once
    assert!(large < small + PICTURE / 2, "{small} and {large} bytes");
}

#[tokio::test]
async fn a_document_without_an_end_is_cut_off_and_fails_alone() {
    let part = Ok::<_, Infallible>(Bytes::from_static(&[b'x'; 4096]));
    let endless = async move || Body::from_stream(stream::repeat(part.clone()));
    let router = Router::new().route("/endless.txt", get(endless)).route("/small.txt", get(async || "small"));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let origin = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    lexigram_worker::install_tls_provider();
    let source = SourceLocation::Http {
        urls: ["endless", "small"].map(|name| format!("{origin}/{name}.txt")).into(),
        crawl: None,
        headers_directory: None,
        access: NetworkAccess { allow_local_addresses: true, ca_file: None },
    };
    let mut job = arrivals::job(source, SyncMode::Append);
    job.task.parsing.max_document_bytes = 1_000_000;
    let items = arrivals::run(&job, "r1").await.items;
    assert_eq!((items.done, items.failed), (1, 1));
    let rows = [format!("{origin}/endless.txt Archived 1 DocumentTooLarge"), format!("{origin}/small.txt Done 0 -")];
    assert_eq!(job.rows(), rows);
}
