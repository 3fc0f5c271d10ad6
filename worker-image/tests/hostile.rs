//! Documents that have taken over their parser, and documents that try to: what the kernel refuses, and what a run makes
//! of it.

#![allow(clippy::unwrap_used, clippy::panic)]

mod common;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    net::TcpListener,
    path::Path,
    thread,
    time::Duration,
};

use common::{Workspace, job::Job, query, run, source::Answer};
use lexigram_api::contract::{Mode, SourceLocation};
use lexigram_worker::parse::{Limits, ParseError, Parsed, ParserPool};
use rstest::rstest;
use seccompiler::{SeccompAction, SeccompFilter, apply_filter};

const HOSTILE: &str = env!("CARGO_BIN_EXE_hostile-parser");

/// Far longer than any of these documents takes, on any machine.
const DEADLINE: Duration = Duration::from_secs(120);

const LANDLOCK: &[i64] = &[libc::SYS_landlock_create_ruleset];
const SECCOMP: &[i64] = &[libc::SYS_seccomp];
const BOTH: &[i64] = &[libc::SYS_landlock_create_ruleset, libc::SYS_seccomp];

/// Does something on a kernel that lacks some system calls: this thread's, and that of every process started here.
fn without<T: Send + 'static>(calls: &[i64], something: impl FnOnce() -> T + Send + 'static) -> T {
    let rules = calls.iter().map(|call| (*call, Vec::new())).collect();
    let missing = SeccompAction::Errno(libc::ENOSYS.unsigned_abs());
    let arch = std::env::consts::ARCH.try_into().unwrap();
    let filter = SeccompFilter::new(rules, SeccompAction::Allow, missing, arch).unwrap();
    let filter = seccompiler::BpfProgram::try_from(filter).unwrap();
    thread::spawn(move || {
        apply_filter(&filter).unwrap();
        something()
    })
    .join()
    .unwrap()
}

/// What a parser that obeys makes of its orders, one process after the other.
fn obey(orders: &[String]) -> Vec<Result<Parsed, ParseError>> {
    let pool = ParserPool::with_executable(HOSTILE.into(), Limits::with_deadline(DEADLINE), 1);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut results = Vec::new();
        for order in orders {
            results.push(pool.parse("order.txt", None, &order.as_bytes().to_vec().into()).await);
        }
        results
    })
}

fn file(workspace: &Workspace, name: &str) -> String {
    workspace.path(name).to_str().unwrap().to_owned()
}

#[rstest]
#[case::by_both(&[])]
#[case::by_seccomp(LANDLOCK)]
#[case::by_landlock(SECCOMP)]
fn files_and_connections_are_refused(#[case] missing: &[i64]) {
    let workspace = Workspace::new();
    fs::write(workspace.path("secret"), "kept").unwrap();
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let orders = [
        format!("write {}", file(&workspace, "new")),
        format!("write {}", file(&workspace, "secret")),
        format!("read {}", file(&workspace, "secret")),
        format!("remove {}", file(&workspace, "secret")),
        format!("connect {}", server.local_addr().unwrap()),
        "listen 127.0.0.1:0".to_owned(),
        "start /bin/true".to_owned(),
    ];
    let asked = orders.clone();
    let results = without(missing, move || obey(&asked));
    for (order, result) in orders.iter().zip(results) {
        let error = result.expect_err(order).to_string();
        assert!(error.contains("not permitted") || error.contains("denied"), "{order}: {error}");
    }
    assert_eq!(fs::read_to_string(workspace.path("secret")).unwrap(), "kept");
    assert!(!workspace.path("new").exists());
    server.set_nonblocking(true).unwrap();
    assert!(server.accept().is_err(), "a connection has come");
}

#[rstest]
#[case::datagrams("datagram 127.0.0.1:0")]
#[case::local_sockets("local /run/docker.sock")]
#[case::other_processes("kill")]
fn what_only_seccomp_knows_is_refused(#[case] order: &str) {
    let results = without(LANDLOCK, {
        let order = order.to_owned();
        move || obey(&[order])
    });
    let error = results[0].as_ref().expect_err(order).to_string();
    assert!(error.contains("Operation not permitted"), "{error}");
}

#[test]
fn parsers_may_use_threads() {
    let text = obey(&["thread".to_owned()]).remove(0).unwrap().text;
    assert_eq!(text, "done");
}

#[rstest]
#[case::all_of_it(&[], "INFO", "parsers reach no file, network or other process")]
#[case::no_landlock(LANDLOCK, "WARN", "by seccomp alone")]
#[case::no_seccomp(SECCOMP, "WARN", "by Landlock alone")]
#[case::neither(BOTH, "WARN", "nothing in this kernel keeps parsers from files and network")]
fn a_worker_says_once_how_parsers_are_confined(#[case] missing: &[i64], #[case] level: &str, #[case] tells: &str) {
    let workspace = Workspace::new();
    for number in 0..3 {
        workspace.write(&format!("{number}.txt"), format!("Document {number}."));
    }
    let mut worker = workspace.pod(&workspace.spec("r1"));
    let (code, _, log) = without(missing, move || run(&mut worker));
    assert_eq!(code, 0, "{log}");
    assert_eq!(workspace.report().counts.items.done, 3, "{log}");
    let lines: Vec<_> = log.lines().filter(|line| line.contains(tells)).collect();
    assert_eq!(lines.len(), 1, "{log}");
    assert!(lines[0].contains(&format!("\"level\":\"{level}\"")), "{log}");
}

#[tokio::test]
async fn a_parser_is_replaced_after_its_share_of_documents() {
    let limits = Limits { documents: 2, ..Limits::with_deadline(DEADLINE) };
    let pool = ParserPool::with_executable(HOSTILE.into(), limits, 1);
    let mut processes = Vec::new();
    for _ in 0..5 {
        processes.push(pool.parse("a.txt", None, &b"pid".to_vec().into()).await.unwrap().text);
    }
    assert_eq!(processes[0], processes[1]);
    assert_eq!(processes[2], processes[3]);
    assert_eq!(processes.iter().collect::<BTreeSet<_>>().len(), 3, "{processes:?}");
}

#[tokio::test]
async fn each_document_that_takes_over_its_parser_fails_alone() {
    let mut job = Job::new();
    job.parser_program = HOSTILE.into();
    job.task.parsing.document_timeout_seconds = 5;
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let connect = format!("connect {}", server.local_addr().unwrap());
    let write = format!("write {}", file(&job.workspace, "new"));
    let orders = [
        ("abort", "abort"),
        ("allocate", "allocate"),
        ("connect", &*connect.leak()),
        ("good-1", "one two three"),
        ("good-2", "four five six"),
        ("loop", "loop"),
        ("write", &*write.leak()),
    ];
    for (name, order) in orders {
        job.source.set(name, Answer::Text(order));
    }
    let report = job.run("r1", Mode::Full).await;
    assert_eq!((report.counts.items.done, report.counts.items.failed), (2, 5));
    let sql = "SELECT name, state, category, reason FROM documents ORDER BY name";
    let rows: Vec<_> = query(&job.workspace.store(), sql).into_iter().map(|row| row.join(" ")).collect();
    assert_eq!(
        rows,
        [
            "abort Archived InvalidInput ParserCrashed",
            "allocate Failed ResourceExhausted ParserOutOfMemory",
            "connect Archived InvalidInput DocumentDamaged",
            "good-1 Done Null Null",
            "good-2 Done Null Null",
            "loop Failed Timeout ParserTimeout",
            "write Archived InvalidInput DocumentDamaged",
        ]
    );
    assert!(!job.workspace.path("new").exists());
}

/// Bombs, a page tree that is a circle, passwords, cut-off files: with the parser that ships.
#[tokio::test]
async fn each_bad_document_costs_itself_only() {
    let mut job = Job::new();
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    let mut expected = BTreeMap::new();
    for path in fs::read_dir(fixtures.join("bad")).unwrap().map(|entry| entry.unwrap().path()) {
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        fs::copy(&path, job.workspace.docs().join(&name)).unwrap();
        expected.insert(name, "Archived InvalidInput");
    }
    // read as far as it goes, with a warning
    expected.insert("truncated.eml".to_owned(), "Done Null");
    for name in ["billion-laughs.xml", "handbook.pdf"] {
        fs::copy(fixtures.join("good").join(name), job.workspace.docs().join(name)).unwrap();
        expected.insert(name.to_owned(), "Done Null");
    }
    job.task.source = SourceLocation::Directory { path: file(&job.workspace, "docs") };
    let ended = job.run_of_task("r1", Mode::Full).await;
    assert_eq!(ended.report.error, None);
    let sql = "SELECT name, state, category FROM documents ORDER BY name";
    let rows: BTreeMap<_, _> =
        query(&job.workspace.store(), sql).into_iter().map(|mut row| (row.remove(0), row.join(" "))).collect();
    assert_eq!(rows, expected.into_iter().map(|(name, end)| (name, end.to_owned())).collect());
}
