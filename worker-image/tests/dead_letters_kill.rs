//! `kill -9` in the middle of a retry, with the real program: the death counts, and counts once.

// helpers panic as tests do
#![allow(clippy::unwrap_used, clippy::panic)]

mod common;

use std::{
    os::unix::process::ExitStatusExt,
    process::{Child, Stdio},
    time::Duration,
};

use common::{Workspace, query, run, wait_until};
use jiff::Timestamp;
use serde_json::{Value, json};
use wiremock::{Mock, MockServer, ResponseTemplate, matchers::any};

async fn answer(server: &MockServer, template: ResponseTemplate) {
    server.reset().await;
    Mock::given(any()).respond_with(template).mount(server).await;
}

fn row(workspace: &Workspace) -> String {
    let sql = "SELECT state, attempts, suspect, coalesce(reason, '-') FROM documents";
    query(&workspace.store(), sql).first().map(|row| row.join(" ")).unwrap_or_default()
}

/// A pod of the retry, once it has the document in hand.
fn start(workspace: &Workspace, spec: &Value, in_hand: &str) -> Child {
    let child = workspace.pod(spec).stderr(Stdio::null()).spawn().unwrap();
    wait_until(&format!("the row is '{in_hand}'"), || row(workspace) == in_hand);
    child
}

fn kill(mut child: Child) {
    child.kill().unwrap();
    assert_eq!(child.wait().unwrap().signal(), Some(9));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retry_that_is_killed_costs_one_attempt_and_goes_on() {
    let (workspace, server) = (Workspace::new(), MockServer::start().await);
    let spec = |run: &str, mode: Value| {
        let mut spec = workspace.spec(run);
        spec["task"]["mode"] = mode;
        spec["task"]["source"] = json!({
            "type": "Http", "urls": [format!("{}/a.txt", server.uri())], "allowLocalAddresses": true,
        });
        spec
    };
    answer(&server, ResponseTemplate::new(503)).await;
    let (code, _, log) = run(&mut workspace.pod(&spec("r1", json!({ "type": "Full" }))));
    assert_eq!((code, row(&workspace).as_str()), (0, "Failed 1 0 SourceServerError"), "{log}");

    answer(&server, ResponseTemplate::new(200).set_body_string("text").set_delay(Duration::from_secs(600))).await;
    let due = Timestamp::now().checked_add(Duration::from_secs(3600)).unwrap();
    let retry = spec("retry1", json!({ "type": "Retry", "dueBefore": due }));
    kill(start(&workspace, &retry, "InFlight 1 0 SourceServerError"));
    // the second pod of the run counts the death of the first
    kill(start(&workspace, &retry, "InFlight 2 1 WorkerDied"));
    answer(&server, ResponseTemplate::new(503)).await;
    let (code, _, log) = run(&mut workspace.pod(&retry));
    assert_eq!((code, row(&workspace).as_str()), (0, "Failed 4 0 SourceServerError"), "{log}");

    // a third pod of the same run finds nothing left to do
    assert_eq!(run(&mut workspace.pod(&retry)).0, 0);
    assert_eq!(row(&workspace), "Failed 4 0 SourceServerError");
    answer(&server, ResponseTemplate::new(200).set_body_string("text")).await;
    let (code, _, log) = run(&mut workspace.pod(&spec("retry2", json!({ "type": "Retry", "dueBefore": due }))));
    assert_eq!((code, row(&workspace).as_str()), (0, "Done 0 0 -"), "{log}");
    assert_eq!(workspace.report().dead_letters, Default::default());
}
