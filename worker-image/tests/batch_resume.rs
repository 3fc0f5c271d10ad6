//! `kill -9` in the middle of ten thousand rows, with the real program and model: the next worker of the run completes
//! them, each once.

// helpers panic as tests do
#![allow(clippy::unwrap_used, clippy::panic)]

mod common;

use std::{collections::BTreeSet, fs, os::unix::process::ExitStatusExt, process::Stdio};

use common::{MODEL, Workspace, count, query, run, wait_until, worker};
use serde_json::{Value, json};

const ROWS: i64 = 10_000;

fn input(workspace: &Workspace) {
    let lines: String = (1..=ROWS)
        .map(|row| format!("{}\n", json!({ "id": format!("r{row}"), "text": format!("number {row}") })))
        .collect();
    fs::write(workspace.path("input.jsonl"), lines).unwrap();
}

fn spec(workspace: &Workspace, output: &Value) -> Value {
    json!({
        "contractVersion": "v1alpha1",
        "run": "numbers-r1",
        "task": {
            "type": "Embed",
            "scope": "batch/numbers",
            "mode": { "type": "Full" },
            "input": { "type": "File", "path": workspace.path("input.jsonl") },
            "fields": { "idField": "id" },
            "deduplicate": true,
            "embedding": { "provider": { "type": "Local", "model": MODEL } },
            "output": output,
            "store": { "type": "Sqlite", "path": workspace.store(), "cache": workspace.path("cache.db") },
        },
    })
}

#[test]
fn ten_thousand_rows_survive_a_kill_exactly_once() {
    let workspace = Workspace::new();
    input(&workspace);
    let spec = spec(&workspace, &json!({ "type": "Collection", "collection": "numbers" }));
    let done = || count(&workspace.store(), "SELECT coalesce(sum(weight), 0) FROM documents WHERE outcome = 'Done'");
    for (what, condition) in [
        (
            "ranges are in flight",
            &(|| count(&workspace.store(), "SELECT count(*) FROM documents WHERE state = 'InFlight'") > 0)
                as &dyn Fn() -> bool,
        ),
        ("half the rows are done", &|| done() >= ROWS / 2),
    ] {
        let mut child = workspace.pod(&spec).stderr(Stdio::null()).spawn().unwrap();
        wait_until(what, condition);
        child.kill().unwrap();
        assert_eq!(child.wait().unwrap().signal(), Some(9), "it had ended before {what}");
    }
    let (code, _, log) = run(&mut workspace.pod(&spec));
    assert_eq!(code, 0, "{log}");

    let report = workspace.report();
    assert_eq!((report.counts.items.total, report.counts.items.done, report.counts.items.failed), (10_000, 10_000, 0));
    assert_eq!(count(&workspace.store(), "SELECT count(*) FROM vectors"), ROWS);
    let rows = query(&workspace.store(), "SELECT key, text FROM chunks JOIN vectors ON vectors.rowid = chunks.id");
    let distinct: BTreeSet<_> = rows.iter().collect();
    assert_eq!((rows.len(), distinct.len()), (10_000, 10_000));
    assert!(report.counts.cached > 0, "what was embedded before the kill came out of the cache");

    // into files, with the vectors that are known: killed too, and each row is there once
    let directory = workspace.path("vectors");
    let output = json!({ "type": "Files", "directory": directory, "format": "JSONL", "owner": "numbers" });
    let mut files = self::spec(&workspace, &output);
    files["task"]["store"]["path"] = json!(workspace.path("ledger.db"));
    let mut child = workspace.pod(&files).stderr(Stdio::null()).spawn().unwrap();
    wait_until("a part is being written", || {
        fs::read_dir(&directory).is_ok_and(|mut entries| {
            entries.any(|entry| entry.unwrap().file_name().to_str().unwrap().starts_with(".part-"))
        })
    });
    child.kill().unwrap();
    assert_eq!(child.wait().unwrap().signal(), Some(9), "it had ended before its part was written");
    let (code, _, log) = run(&mut workspace.pod(&files));
    assert_eq!(code, 0, "{log}");
    let text = fs::read_to_string(directory.join("part-00000.jsonl")).unwrap();
    assert_eq!(text.lines().count(), 10_000);
    let report = workspace.report();
    assert_eq!((report.counts.items.done, report.counts.cached, report.counts.tokens), (10_000, 10_000, 0));
}

#[test]
fn a_person_embeds_and_searches_by_hand() {
    let workspace = Workspace::new();
    let lines = [
        "{\"id\": \"cat\", \"text\": \"the cat sleeps\"}",
        "{\"id\": \"tax\", \"text\": \"taxes are due in May\"}",
        "{",
    ];
    fs::write(workspace.path("input.jsonl"), lines.join("\n")).unwrap();
    let embed = |arguments: &[&str]| {
        run(worker().arg("embed").arg(workspace.path("input.jsonl")).args(["--id-field", "id"]).args(arguments))
    };
    let store = workspace.store();
    let store = store.to_str().unwrap();
    let (code, output, errors) = embed(&["--dry-run"]);
    assert_eq!(code, 0, "{errors}");
    assert!(output.starts_with("3 texts: ") && output.contains("1 invalid"), "{output}");
    let (code, output, errors) = embed(&["--store", store]);
    assert_eq!(code, 0, "{errors}");
    assert!(output.starts_with("3 texts: 2 embedded (0 from the cache), 0 unchanged, 1 failed"), "{output}");
    assert!(output.contains("failed: line 3: line 3 is no JSON object"), "{output}");
    let (_, output, _) = run(worker().args(["search", "when do I pay?", "--store", store, "--limit", "1"]));
    assert!(output.contains("tax"), "{output}");
    let directory = workspace.path("vectors");
    let (code, output, errors) = embed(&["--output", directory.to_str().unwrap()]);
    assert_eq!(code, 0, "{output}{errors}");
    assert!(directory.join("part-00000.parquet").exists());
    let (code, output, _) = embed(&["--output", directory.to_str().unwrap()]);
    assert_eq!(code, 0, "{output}");
    let (code, _, errors) = embed(&["--store", store, "--format", "parquet"]);
    assert_eq!(code, 78, "{errors}");
    let (code, _, errors) = embed(&["--store", store, "--format", "csv"]);
    assert_eq!(code, 78, "{errors}");
    assert!(errors.contains("spec.input.textField"), "{errors}");
}
