//! Parsers in processes of their own: a document that crashes, eats memory or hangs fails alone.

#![allow(clippy::unwrap_used, clippy::panic)]

mod common;

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use common::until;
use futures::future::join_all;
use lexigram_api::failure::FailureCategory;
use lexigram_worker::{
    content::Content,
    failure::Classified,
    parse::{Limits, Markup, ParseError, ParserPool, isolate::CHILD_ARGUMENT},
};
use rstest::rstest;

const WORKER: &str = env!("CARGO_BIN_EXE_lexigram-worker");

/// Far longer than any of these documents takes, on any machine.
const DEADLINE: Duration = Duration::from_secs(120);

const MEBIBYTE: u64 = 1024 * 1024;

fn pool(limits: Limits) -> ParserPool {
    ParserPool::with_executable(WORKER.into(), limits, 2)
}

fn fixture(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(path)
}

async fn assert_still_works(pool: &ParserPool) {
    assert_eq!(pool.parse("a.txt", None, &b"still here".to_vec().into()).await.unwrap().text, "still here");
}

#[tokio::test]
async fn documents_and_their_errors_come_through() {
    let pool = pool(Limits { documents: 2, ..Limits::with_deadline(DEADLINE) });
    let handbook = fs::read(fixture("good/handbook.pdf")).unwrap();
    let parsed = pool.parse("handbook.pdf", None, &handbook.into()).await.unwrap();
    assert_eq!(parsed.markup, Markup::Markdown);
    assert_eq!(parsed.pages.iter().map(|page| page.page).collect::<Vec<_>>(), [1, 2, 3, 4, 5]);

    let encrypted = fs::read(fixture("bad/encrypted.pdf")).unwrap();
    let error = pool.parse("encrypted.pdf", None, &encrypted.into()).await.unwrap_err();
    assert_eq!(error, ParseError::Encrypted { format: "PDF".to_owned() });

    // larger than the pipes between the processes, more than there are processes, and past what one process does
    let texts: Vec<String> = (0..7).map(|number: u8| number.to_string().repeat(1_000_000)).collect();
    let contents: Vec<Content> = texts.iter().map(|text| text.clone().into_bytes().into()).collect();
    let parsed = join_all(contents.iter().map(|content| pool.parse("a.txt", None, content))).await;
    for (text, parsed) in texts.iter().zip(parsed) {
        assert!(parsed.unwrap().text == *text);
    }
}

#[tokio::test]
async fn a_document_that_crashes_the_parser_fails_alone() {
    let pool = pool(Limits::with_deadline(DEADLINE));
    let deep = format!("<html>{}deep", "<div>".repeat(15_000));
    let error = pool.parse("deep.html", None, &deep.as_bytes().to_vec().into()).await.unwrap_err();
    assert_eq!((error.category(), error.reason()), (FailureCategory::InvalidInput, "ParserCrashed"), "{error}");
    assert!(error.to_string().ends_with("its parts are nested too deeply"), "{error}");
    assert_still_works(&pool).await;
}

#[tokio::test]
async fn a_document_that_eats_memory_fails_alone() {
    let pool = pool(Limits { memory_bytes: 256 * MEBIBYTE, ..Limits::with_deadline(DEADLINE) });
    let wide = "<p><b>x</b> <i>y</i></p>".repeat(500_000);
    let error = pool.parse("wide.html", None, &wide.as_bytes().to_vec().into()).await.unwrap_err();
    assert_eq!(error.category(), FailureCategory::ResourceExhausted, "{error}");
    assert_eq!(error.to_string(), "parsing needed more than 256 MiB of memory");
    assert_still_works(&pool).await;
}

#[tokio::test]
async fn a_parser_that_hangs_is_killed_at_the_deadline() {
    // no other process has this number among its arguments
    let memory_bytes = 1_073_741_823 - u64::from(std::process::id());
    let limits = Limits { memory_bytes, ..Limits::with_deadline(Duration::from_secs(1)) };
    let pool = ParserPool::with_executable(fixture("fake-parsers/hangs.sh"), limits, 1);
    let error = pool.parse("a.txt", None, &b"hello".to_vec().into()).await.unwrap_err();
    assert_eq!((error.category(), error.reason()), (FailureCategory::Timeout, "ParserTimeout"));
    assert_eq!(error.to_string(), "parsing took longer than 1 s (spec.parsing.documentTimeoutSeconds)");
    until("the process has ended", || (!runs_with_argument(&memory_bytes.to_string())).then_some(())).await;
}

fn runs_with_argument(argument: &str) -> bool {
    let processes = fs::read_dir("/proc").unwrap();
    processes
        .filter_map(|process| fs::read(process.unwrap().path().join("cmdline")).ok())
        .any(|arguments| arguments.split(|byte| *byte == 0).any(|seen| seen == argument.as_bytes()))
}

#[rstest]
#[case::ends_at_once("/bin/false")]
#[case::does_not_exist("/does/not/exist")]
#[tokio::test]
async fn a_parser_that_cannot_work_is_not_held_against_the_document(#[case] program: &str) {
    let pool = ParserPool::with_executable(program.into(), Limits::with_deadline(DEADLINE), 1);
    let error = pool.parse("a.txt", None, &b"hello".to_vec().into()).await.unwrap_err();
    assert_eq!((error.category(), error.reason()), (FailureCategory::Transient, "ParserUnavailable"), "{error}");
}

#[tokio::test]
async fn a_parser_limits_itself_and_ends_with_its_parent() {
    let memory_bytes = 512 * MEBIBYTE;
    let mut parser = Command::new(WORKER)
        .args([CHILD_ARGUMENT, &memory_bytes.to_string()])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let limits = || fs::read_to_string(format!("/proc/{}/limits", parser.id())).unwrap();
    let hard_limit = |name: &str| {
        let limits = limits();
        let line = limits.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        line.split_whitespace().nth(1).unwrap().to_owned()
    };
    // the last one that it sets
    until("the limits are set", || (hard_limit("Max open files") == "16").then_some(())).await;
    assert_eq!(hard_limit("Max address space"), memory_bytes.to_string());
    assert_eq!(hard_limit("Max file size"), "0");
    assert_eq!(hard_limit("Max core file size"), "0");

    drop(parser.stdin.take());
    assert!(parser.wait().unwrap().success());
}
