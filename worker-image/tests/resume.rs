//! `kill -9` at any point: the next worker of the run ends where one that was never killed would have ended.

// helpers panic as tests do
#![allow(clippy::unwrap_used, clippy::panic)]

mod common;

use std::{
    os::unix::process::ExitStatusExt,
    process::{Child, Stdio},
};

use common::{Workspace, contents, count, query, run, wait_until};

const DOCUMENTS: i64 = 60;

fn workspace() -> Workspace {
    let workspace = Workspace::new();
    for document in 0..DOCUMENTS {
        let paragraphs = (0..1 + document % 4).map(|paragraph| {
            format!(
                "## Section {paragraph}\n\nIn document {document}, section {paragraph} tells of the number {}.\n\n",
                document * paragraph
            )
        });
        workspace.write(
            &format!("{document:02}.md"),
            format!("# Document {document}\n\n{}", paragraphs.collect::<String>()),
        );
    }
    workspace
}

fn start(workspace: &Workspace) -> Child {
    workspace.pod(&workspace.spec("docs-r1")).stderr(Stdio::null()).spawn().unwrap()
}

fn done(workspace: &Workspace) -> i64 {
    count(&workspace.store(), "SELECT count(*) FROM documents WHERE outcome = 'Done'")
}

#[test]
fn nothing_is_lost_and_nothing_doubled() {
    let (killed, unkilled) = (workspace(), workspace());
    let (code, _, log) = run(&mut unkilled.pod(&unkilled.spec("docs-r1")));
    assert_eq!(code, 0, "{log}");

    // while the store is made; while the first documents are on their way; and in the middle of writing them
    let moments: [(&str, &dyn Fn() -> bool); 4] = [
        ("the store is there", &|| killed.store().exists()),
        ("documents are in flight", &|| {
            count(&killed.store(), "SELECT count(*) FROM documents WHERE state = 'InFlight'") > 0
        }),
        ("the first documents are done", &|| done(&killed) > 0),
        ("half the documents are done", &|| done(&killed) >= DOCUMENTS / 2),
    ];
    for (what, condition) in moments {
        let mut child = start(&killed);
        wait_until(what, condition);
        child.kill().unwrap();
        assert_eq!(child.wait().unwrap().signal(), Some(9), "it had ended before {what}");
    }
    let (code, _, log) = run(&mut killed.pod(&killed.spec("docs-r1")));
    assert_eq!(code, 0, "{log}");

    let report = killed.report();
    assert_eq!((report.counts.items.total, report.counts.items.done, report.counts.items.failed), (60, 60, 0));
    assert_eq!(
        report.counts.chunks,
        unkilled.report().counts.chunks,
        "chunks of the whole run, whatever process wrote them"
    );
    assert_eq!(contents(&killed.store()), contents(&unkilled.store()));
    let ledger = "SELECT name, state, revision, chunks, attempts, coalesce(reason, '') FROM documents ORDER BY name";
    assert_eq!(query(&killed.store(), ledger), query(&unkilled.store(), ledger));
}
