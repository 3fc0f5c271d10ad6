//! Postgres with many workers, over TLS, and by hand; what goes wrong with it is told in one word.

// helpers panic as tests do
#![allow(clippy::unwrap_used, clippy::panic)]

mod common;
mod provider_common;

use std::process::{Child, Command, Stdio};

use common::{
    Workspace,
    chaos::{complete, spec, write},
    postgres::{Database, uri_file},
    proxy::Proxy,
    query, run, worker,
};
use lexigram_api::contract::{Counts, Report};
use lexigram_fault_provider::Script;
use provider_common::start;
use serde_json::{Value, json};

/// Everything of the chunks and of the ledger that does not depend on when it was written.
const CHUNKS: &str = "SELECT documents.scope, documents.name, ordinal, uuid, chunks.revision, text, headings, page,
         byte_start, byte_end, tokens, key, metadata, embedding
     FROM chunks JOIN documents ON documents.id = chunks.document ORDER BY 1, 2, 3, 4";
const LEDGER: &str =
    "SELECT scope, name, bucket, state, listed_version, version, revision, pipeline, about, chunks, weight,
         first_row, place, run, outcome, run_chunks, run_tokens, run_bytes, attempts, suspect, stage, category, reason,
         message, action
     FROM documents ORDER BY scope, name";

async fn state(database: &Database) -> (Vec<Vec<String>>, Vec<Vec<String>>) {
    (database.query("docs", CHUNKS).await, database.query("docs", LEDGER).await)
}

/// The work spec with this store, for so many workers.
fn on(database: &Database, mut spec: Value, shards: u32) -> Value {
    spec["task"]["store"] = serde_json::to_value(database.location("docs")).unwrap();
    spec["task"]["embedding"]["shards"] = shards.into();
    spec
}

/// The worker of one part, as the pod of an Indexed Job runs it.
fn shard(workspace: &Workspace, spec: &Value, index: u32) -> Command {
    let path = workspace.path(&format!("work-{index}.json"));
    std::fs::write(&path, spec.to_string()).unwrap();
    let mut command = worker();
    command.args(["run", "--listen", "127.0.0.1:0", "--spec"]).arg(path);
    command.arg("--termination-log").arg(workspace.path(&format!("report-{index}.json")));
    command.env("JOB_COMPLETION_INDEX", index.to_string());
    command
}

/// All parts at once, to their end; what they report.
fn run_all(workspace: &Workspace, spec: &Value, shards: u32) -> Vec<Report> {
    let start = |index| shard(workspace, spec, index).stderr(Stdio::piped()).spawn().unwrap();
    let started: Vec<Child> = (0..shards).map(start).collect();
    for child in started {
        let ended = child.wait_with_output().unwrap();
        assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
    }
    let report = |index| std::fs::read_to_string(workspace.path(&format!("report-{index}.json"))).unwrap();
    (0..shards).map(|index| serde_json::from_str(&report(index)).unwrap()).collect()
}

fn sum(reports: &[Report], of: impl Fn(&Counts) -> i64) -> i64 {
    reports.iter().map(|report| of(&report.counts)).sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_workers_write_row_for_row_what_one_writes() {
    let provider = start(Script::default()).await;
    let workspace = Workspace::new();
    let (many, one) = (Database::new().await, Database::new().await);
    for round in 1..=2 {
        write(&workspace, round);
        workspace.write("empty.md", "");
        let spec = spec(&workspace, &provider, round);
        let reports = run_all(&workspace, &on(&many, spec.clone(), 10), 10);
        complete(&workspace, &on(&one, spec, 1));
        let whole = workspace.report().counts;
        let items = |of: fn(&Counts) -> i32| sum(&reports, |counts| of(counts).into());
        assert_eq!(items(|counts| counts.items.total), i64::from(whole.items.total));
        assert_eq!(items(|counts| counts.items.done), i64::from(whole.items.done));
        assert_eq!(items(|counts| counts.items.skipped), i64::from(whole.items.skipped));
        assert_eq!(items(|counts| counts.items.deleted), i64::from(whole.items.deleted));
        assert_eq!(items(|counts| counts.failures.archived), 1);
        assert_eq!(sum(&reports, |counts| counts.chunks), whole.chunks);
        assert!(reports.iter().all(|report| report.counts.items.done > 0), "each has a part");
        let (found, expected) = (state(&many).await, state(&one).await);
        assert!(expected.0.len() > 180, "{} chunks", expected.0.len());
        assert_eq!(found, expected, "round {round}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_of_several_workers_is_that_of_one() {
    let provider = start(Script::default()).await;
    let workspace = Workspace::new();
    let rows = (0..4500).map(|row| match row {
        2500 => "{\"id\": \"bad\"}\n".to_owned(),
        row => format!("{{\"id\": \"r{row}\", \"text\": \"Row number {row}.\", \"lang\": \"en\"}}\n"),
    });
    std::fs::write(workspace.path("rows.jsonl"), rows.collect::<String>()).unwrap();
    let spec = |database: &Database, shards: u32| {
        let spec = json!({
            "contractVersion": "v1alpha1", "run": "rows-r1",
            "task": {
                "type": "Embed", "scope": "batch/rows", "mode": { "type": "Full" }, "deduplicate": true,
                "input": { "type": "File", "path": workspace.path("rows.jsonl") },
                "fields": { "textField": "text", "idField": "id", "metadataFields": ["lang"] },
                "embedding": provider_common::embedding(&provider, json!({})),
                "output": { "type": "Collection", "collection": "docs" },
            },
        });
        on(database, spec, shards)
    };
    let (many, one) = (Database::new().await, Database::new().await);
    let reports = run_all(&workspace, &spec(&many, 3), 3);
    complete(&workspace, &spec(&one, 1));
    assert_eq!(sum(&reports, |counts| counts.items.done.into()), 4499);
    assert_eq!(state(&many).await, state(&one).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn both_stores_hold_the_same_chunks() {
    let provider = start(Script::default()).await;
    let workspace = Workspace::new();
    let database = Database::new().await;
    write(&workspace, 1);
    complete(&workspace, &spec(&workspace, &provider, 1));
    complete(&workspace, &on(&database, spec(&workspace, &provider, 1), 1));
    let columns = "documents.name, ordinal, uuid, chunks.revision, text, byte_start, byte_end, tokens";
    let sql = format!(
        "SELECT {columns} FROM chunks JOIN documents ON documents.id = chunks.document ORDER BY documents.name, ordinal"
    );
    assert_eq!(database.query("docs", &sql).await, query(&workspace.store(), &sql));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_part_has_one_worker_and_a_source_one_run() {
    let provider = start(Script::default()).await;
    let (workspace, database) = (Workspace::new(), Database::new().await);
    workspace.write("a.md", "# A");
    let spec = on(&database, spec(&workspace, &provider, 1), 2);
    // part 1 waits for part 0, which lists the source
    let mut waiting = shard(&workspace, &spec, 1).stderr(Stdio::null()).spawn().unwrap();
    let runs = "SELECT 1 FROM pg_tables WHERE schemaname = 'lexigram_docs' AND tablename = 'runs'";
    while database.query("docs", runs).await.is_empty()
        || database.query("docs", "SELECT 1 FROM runs WHERE shard = 1").await.is_empty()
    {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    let by_hand = |action: &str| {
        let mut command = worker();
        command.args(["dead-letters", action, "--collection", "docs", "--store", &database.uri()]);
        command.args(["--scope", "persistentVolumeClaim/docs"]);
        run(&mut command)
    };
    let (code, _, message) = by_hand("retry");
    assert_eq!(code, 75, "{message}");
    assert!(message.contains("another run is writing persistentVolumeClaim/docs"), "{message}");
    let (code, _, log) = run(&mut shard(&workspace, &spec, 0));
    assert_eq!(code, 0, "{log}");
    assert!(waiting.wait().unwrap().success());
    assert_eq!(by_hand("retry").0, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn by_hand_with_a_uri() {
    let (workspace, database) = (Workspace::new(), Database::new().await);
    workspace.write("leave.md", "# Leave\n\nParental leave lasts twelve months.");
    workspace.write("canteen.md", "# Canteen\n\nThe canteen opens at noon.");
    workspace.write("empty.md", "");
    let uri = database.uri();
    let command = |arguments: &[&str]| {
        let mut command = worker();
        command.args(arguments).args(["--collection", "docs", "--store"]);
        command
    };
    let (code, output, log) = run(command(&["ingest", workspace.docs().to_str().unwrap()]).arg(&uri));
    assert_eq!(code, 0, "{log}");
    assert!(output.starts_with("3 documents: 2 ingested, 0 unchanged, 1 failed"), "{output}");
    // the same URI in a file
    let file = uri_file(workspace.docs().parent().unwrap(), &uri);
    for mode in ["vector", "text", "hybrid"] {
        let question = ["search", "--json", "--limit", "1", "--mode", mode, "how long is parental leave?"];
        let (code, output, log) = run(command(&question).arg(&file));
        assert_eq!(code, 0, "{log}");
        let hits: Value = serde_json::from_str(&output).unwrap();
        assert_eq!(hits[0]["document"], "leave.md", "{mode}: {output}");
    }
    let (code, output, _) = run(command(&["documents", "--failed"]).arg(&uri));
    assert!(code == 0 && output.contains("empty.md"), "{output}");
    let (code, output, _) = run(command(&["dead-letters", "retry"]).arg(&uri));
    assert_eq!((code, output.as_str()), (0, "1 due now; the next run takes them\n"));
    let (code, _, message) = run(worker().args(["documents", "--store", &uri]));
    assert!(code == 78 && message.contains("--collection"), "{message}");
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_checks_the_certificate_unless_told_otherwise() {
    let (workspace, database) = (Workspace::new(), Database::new().await);
    let (proxy, certificate) = Proxy::start_tls(database.port()).await;
    std::fs::write(workspace.path("ca.crt"), certificate).unwrap();
    let base = database.uri_by(proxy.port).replace("127.0.0.1", "localhost");
    let uri = |query: &str| base.replace("sslmode=disable", query);
    let ca = workspace.path("ca.crt").display().to_string();
    let documents = |uri: &str| run(worker().args(["documents", "--collection", "docs", "--store", uri]));
    // reached, and nothing is there
    let reached = |message: &str| message.contains("there is no collection in schema lexigram_docs");
    for query in
        [format!("sslrootcert={ca}"), format!("sslmode=verify-full&sslrootcert={ca}"), "sslmode=require".to_owned()]
    {
        let (code, _, message) = documents(&uri(&query));
        assert!(code == 78 && reached(&message), "{query}: {message}");
    }
    let (code, _, message) = documents(&uri(""));
    assert!(code == 78 && message.contains("the certificate of the database is not trusted"), "{message}");
    // the certificate is for another name
    let (code, _, message) = documents(&uri(&format!("sslrootcert={ca}")).replace("localhost", "127.0.0.1"));
    assert!(code == 78 && message.contains("the certificate of the database is not trusted"), "{message}");
    // a server without TLS
    let (code, _, message) = documents(&database.uri().replace("disable", "require"));
    assert!(code == 78 && message.contains("choose Disable"), "{message}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_is_said() {
    let (workspace, database) = (Workspace::new(), Database::new().await);
    workspace.write("a.md", "# A");
    let provider = start(Script::default()).await;
    let spec = on(&database, spec(&workspace, &provider, 1), 1);
    let fails = |uri: String| {
        let mut spec = spec.clone();
        spec["task"]["store"]["uri"] = uri.into();
        let (code, ..) = run(&mut workspace.pod(&spec));
        let error = workspace.report().error.unwrap();
        (code, error.reason, error.message)
    };
    let (code, reason, message) = fails(database.uri().replace("/test", "/gone"));
    assert_eq!((code, reason.as_str()), (78, "DatabaseNotFound"), "{message}");
    let (code, reason, message) = fails("postgresql://postgres@127.0.0.1:1/x?sslmode=disable".to_owned());
    assert_eq!((code, reason.as_str()), (75, "StoreUnavailable"), "{message}");
    let (code, reason, message) = fails(format!("file:{}", workspace.path("gone").display()));
    assert_eq!((code, reason.as_str()), (78, "StoreSettingInvalid"), "{message}");

    let client = database.connect().await;
    client.batch_execute("CREATE ROLE guest LOGIN").await.unwrap();
    let (code, reason, message) = fails(database.uri().replace("postgres@", "guest@"));
    assert_eq!((code, reason.as_str()), (77, "StoreAccessDenied"), "{message}");
    complete(&workspace, &spec);
    client.batch_execute("INSERT INTO lexigram_docs.migrations (version) VALUES (99)").await.unwrap();
    let (code, reason, message) = fails(database.uri());
    assert_eq!((code, reason.as_str()), (78, "StoreTooNew"), "{message}");
}
