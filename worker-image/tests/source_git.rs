//! Files of a git repository, against a real git server.

// helpers panic as tests do
#![allow(clippy::unwrap_used, clippy::panic)]

mod common;

use std::{collections::BTreeSet, fs};

use common::{
    arrivals::{failure, mirror, names, run, searchable},
    git::GitServer,
};
use lexigram_api::contract::{ExitCode, SourceLocation};
use rstest::rstest;

#[rstest]
#[case::server_that_leaves_out(true)]
#[case::server_that_does_not(false)]
#[tokio::test]
async fn files_arrive_and_only_changed_ones_again(#[case] filter: bool) {
    let server = GitServer::start(filter).await;
    server.write("readme.md", "# Readme");
    server.write("docs/a.md", "# A\n\nfirst");
    server.write("docs/deep/b.txt", "b");
    server.commit();
    let job = mirror(server.source("main", ""));
    assert_eq!(run(&job, "r1").await.items.done, 3);
    assert_eq!(searchable(&job), names(["readme.md", "docs/a.md", "docs/deep/b.txt"]));

    server.take_wants();
    let again = run(&job, "r2").await.items;
    assert_eq!((again.skipped, again.done), (3, 0));
    let commit = server.run(&["rev-parse", "HEAD"]);
    assert_eq!(server.take_wants(), [commit]);

    server.write("docs/a.md", "# A\n\nsecond");
    server.remove("docs/deep/b.txt");
    server.write("new.txt", "new");
    server.commit();
    let changed = run(&job, "r3").await.items;
    assert_eq!((changed.done, changed.skipped, changed.deleted), (2, 1, 1));
    assert_eq!(searchable(&job), names(["readme.md", "docs/a.md", "new.txt"]));
    let mut expected = BTreeSet::from([server.run(&["rev-parse", "HEAD"])]);
    if filter {
        expected.extend(["HEAD:docs/a.md", "HEAD:new.txt"].map(|file| server.run(&["rev-parse", file])));
    }
    assert_eq!(server.take_wants().into_iter().collect::<BTreeSet<_>>(), expected);
}

#[tokio::test]
async fn many_files_come_in_one_pack() {
    let server = GitServer::start(true).await;
    (0..200).for_each(|number| server.write(&format!("{number}.txt"), format!("text {number}")));
    server.write("large.txt", "large ".repeat(1000));
    server.commit();
    let mut job = mirror(server.source("HEAD", ""));
    job.task.parsing.max_document_bytes = 1000;
    let items = run(&job, "r1").await.items;
    assert_eq!((items.done, items.failed), (200, 1));
    assert_eq!(job.rows()[200], "large.txt Archived 1 DocumentTooLarge");
    let wants = server.take_wants().len();
    assert!(wants <= 40, "{wants} requests");
}

#[tokio::test]
async fn a_folder_of_a_tag_or_of_a_commit_is_taken() {
    let server = GitServer::start(true).await;
    server.write("docs/a.txt", "old");
    server.write("docsbeside/b.txt", "beside");
    server.commit();
    server.run(&["tag", "--annotate", "--message", "release", "v1"]);
    let first = server.run(&["rev-parse", "HEAD"]);
    server.write("docs/c.txt", "newer");
    server.commit();
    for reference in ["v1", "refs/tags/v1", &first] {
        let job = mirror(server.source(reference, "docs/"));
        run(&job, "r1").await;
        assert_eq!(searchable(&job), names(["docs/a.txt"]), "{reference}");
    }
    let single = mirror(server.source("main", "docs/c.txt"));
    run(&single, "r1").await;
    assert_eq!(searchable(&single), names(["docs/c.txt"]));
}

#[tokio::test]
async fn what_is_no_file_of_the_repository_is_left_out_or_refused() {
    use std::os::unix::ffi::OsStrExt;
    let server = GitServer::start(true).await;
    server.write("a.txt", "a");
    server.link("link.txt", "/etc/passwd");
    server.write("lfs.bin", "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n");
    let odd = std::ffi::OsStr::from_bytes(b"not-utf8-\xff 100%.txt");
    fs::write(std::path::Path::new(&server.run(&["rev-parse", "--show-toplevel"])).join(odd), "odd").unwrap();
    // a submodule is an entry like any other, of a kind of its own
    server.run(&["add", "--all"]);
    server.run(&["update-index", "--add", "--cacheinfo", "160000,0123456789012345678901234567890123456789,module"]);
    server.commit_index();
    let job = mirror(server.source("main", ""));
    let items = run(&job, "r1").await.items;
    assert_eq!((items.done, items.failed), (2, 1));
    assert_eq!(searchable(&job), names(["a.txt", "not-utf8-%FF 100%25.txt"]));
    assert!(job.rows().contains(&"lfs.bin Archived 1 SourceRejected".to_owned()), "{:?}", job.rows());
}

#[tokio::test]
async fn a_private_repository_needs_its_credentials() {
    let server = GitServer::start(true).await;
    server.write("a.txt", "a");
    server.commit();
    server.require("Basic Z2l0OnQwa2Vu"); // git:t0ken
    let mut job = mirror(server.source("main", ""));
    let (exit, message) = failure(&job).await;
    assert_eq!(exit, ExitCode::Authentication);
    assert!(message.contains("check spec.source.git.credentialsSecretRef"), "{message}");
    let secret = tempfile::tempdir().unwrap();
    fs::write(secret.path().join("password"), "t0ken\n").unwrap();
    let SourceLocation::Git { credentials_directory, .. } = &mut job.task.source else { unreachable!() };
    *credentials_directory = secret.path().to_str().map(str::to_owned);
    assert_eq!(run(&job, "r2").await.items.done, 1);
}

#[rstest]
#[case::branch("gone", "", "spec.source.git.ref: the repository has no branch or tag 'gone'")]
#[case::path("main", "gone/", "spec.source.git.path: the repository has no folder or file 'gone' at this ref")]
#[tokio::test]
async fn what_is_not_there_is_a_wrong_setting(#[case] reference: &str, #[case] path: &str, #[case] expected: &str) {
    let server = GitServer::start(true).await;
    server.write("a.txt", "a");
    server.commit();
    let job = mirror(server.source(reference, path));
    assert_eq!(failure(&job).await, (ExitCode::Configuration, expected.to_owned()));
}

#[tokio::test]
async fn a_repository_that_is_not_there_or_local_is_refused() {
    let server = GitServer::start(true).await;
    server.write("a.txt", "a");
    server.commit();
    let mut job = mirror(server.source("main", ""));
    let SourceLocation::Git { settings, access, .. } = &mut job.task.source else { unreachable!() };
    access.allow_local_addresses = false;
    let url = std::mem::replace(&mut settings.url, "http://169.254.169.254/docs.git".to_owned());
    let (exit, message) = failure(&job).await;
    assert_eq!(exit, ExitCode::Configuration);
    assert!(message.contains("set spec.source.git.allowLocalAddresses to true"), "{message}");
    let SourceLocation::Git { settings, access, .. } = &mut job.task.source else { unreachable!() };
    access.allow_local_addresses = true;
    settings.url = url.replace("docs.git", "gone.git");
    let (exit, message) = failure(&job).await;
    assert_eq!(exit, ExitCode::Configuration);
    assert!(message.starts_with("spec.source.git.url: there is no repository (HTTP 404)"), "{message}");
}
