//! `lexigram-worker` by hand, as a person uses it: real program, real model, real files.

// helpers panic as tests do
#![allow(clippy::unwrap_used, clippy::panic)]

mod common;

use std::fs;

use common::{Workspace, count, query, run, worker};
use serde_json::Value;

const LEAVE: &str =
    "# Leave\n\n## Parental leave\n\nParents may stay at home for up to twelve months after a child is born.\n";
const TRAVEL: &str = "# Travel\n\n## Trains\n\nBook the second class. The company pays for the ticket and a seat.\n";

fn handbook() -> Workspace {
    let workspace = Workspace::new();
    workspace.write("leave.md", LEAVE);
    workspace.write("travel.md", TRAVEL);
    workspace
}

#[test]
fn a_document_is_found_by_its_meaning() {
    let workspace = handbook();
    let (code, output, errors) = workspace.ingest(&[]);
    assert_eq!(code, 0, "{errors}");
    assert!(output.starts_with("2 documents: 2 ingested, 0 unchanged, 0 failed, 0 removed; "), "{output}");
    let busy = output.lines().nth(1).unwrap();
    let stages: Vec<_> = busy.split(", ").map(|stage| stage.split_whitespace().nth_back(1).unwrap()).collect();
    assert!(busy.starts_with("  busy: list "), "{output}");
    assert_eq!(stages, ["list", "fetch", "parse", "chunk", "embed", "store"], "{output}");

    let search = |arguments: &[&str]| {
        let question = "how long can I stay away from work when my baby arrives?";
        run(worker().args(["search", question, "--store"]).arg(workspace.store()).args(arguments))
    };
    let (code, output, errors) = search(&["--limit", "1"]);
    assert_eq!(code, 0, "{errors}");
    let lines: Vec<_> = output.lines().collect();
    assert_eq!(lines.len(), 2, "{output}");
    assert!(lines[0].starts_with("SCORE  DOCUMENT"), "{output}");
    assert!(lines[1].contains("  leave.md  Leave  "), "{output}");

    let (_, output, _) = run(worker().args(["documents", "--json", "--store"]).arg(workspace.store()));
    let documents: Vec<Value> = serde_json::from_str(&output).unwrap();
    assert_eq!(documents[0]["about"]["format"], "Markdown", "{output}");
    assert_eq!(documents[0]["about"]["quality"]["characters"], LEAVE.len(), "{output}");

    let (_, output, _) = search(&["--json"]);
    let hits: Vec<Value> = serde_json::from_str(&output).unwrap();
    assert_eq!((&hits[0]["document"], &hits[0]["headings"]), (&"leave.md".into(), &vec!["Leave"].into()));
    assert!(hits[0]["text"].as_str().unwrap().contains("twelve months"), "{output}");
    assert!(hits[0]["score"].as_f64().unwrap() > hits[1]["score"].as_f64().unwrap(), "{output}");
    assert_eq!(hits[0]["scope"], format!("directory/{}", workspace.docs().canonicalize().unwrap().display()));
}

#[test]
fn what_has_not_changed_is_not_embedded_again() {
    let workspace = handbook();
    workspace.ingest(&[]);
    let first = common::contents(&workspace.store());
    let (_, output, _) = workspace.ingest(&[]);
    assert!(
        output.starts_with("2 documents: 0 ingested, 2 unchanged, 0 failed, 0 removed; 0 chunks, 0 tokens"),
        "{output}"
    );
    assert_eq!(common::contents(&workspace.store()), first);

    // written anew with the same text: fetched, found unchanged
    workspace.write("leave.md", LEAVE);
    workspace.write("travel.md", "# Travel\n\nTake the bicycle.\n");
    let (_, output, _) = workspace.ingest(&[]);
    assert!(output.starts_with("2 documents: 1 ingested, 1 unchanged, 0 failed"), "{output}");
    let texts = query(
        &workspace.store(),
        "SELECT text FROM chunks JOIN documents ON documents.id = document WHERE name = 'travel.md'",
    );
    assert_eq!(texts.len(), 1, "{texts:?}");
    assert!(texts[0][0].contains("bicycle"), "{texts:?}");

    // other chunks are another pipeline
    let (_, output, _) = workspace.ingest(&["--max-tokens", "16", "--overlap-tokens", "0"]);
    assert!(output.starts_with("2 documents: 2 ingested, 0 unchanged"), "{output}");
}

#[test]
fn a_mirror_removes_what_is_gone_and_append_does_not() {
    let workspace = handbook();
    workspace.ingest(&[]);
    fs::remove_file(workspace.docs().join("travel.md")).unwrap();
    let (_, output, _) = workspace.ingest(&[]);
    assert!(output.starts_with("1 documents: 0 ingested, 1 unchanged, 0 failed, 0 removed"), "{output}");
    let (_, output, _) = workspace.ingest(&["--sync", "mirror"]);
    assert!(output.starts_with("1 documents: 0 ingested, 1 unchanged, 0 failed, 1 removed"), "{output}");
    let names = query(&workspace.store(), "SELECT DISTINCT name FROM documents JOIN chunks ON documents.id = document");
    assert_eq!(names, [["leave.md"]]);
}

#[test]
fn a_single_file_is_the_same_document_as_in_its_folder() {
    let workspace = handbook();
    let (code, output, errors) =
        run(worker().arg("ingest").arg(workspace.docs().join("leave.md")).arg("--store").arg(workspace.store()));
    assert_eq!(code, 0, "{errors}");
    assert!(output.starts_with("1 documents: 1 ingested"), "{output}");
    let (_, output, _) = workspace.ingest(&[]);
    assert!(output.starts_with("2 documents: 1 ingested, 1 unchanged"), "{output}");
}

#[test]
fn bad_documents_fail_alone_and_say_why() {
    let workspace = handbook();
    workspace.write("empty.txt", "");
    workspace.write("cut off.pdf", "%PDF-1.7\n1 0 obj\n<< /Type /Catalog");
    workspace.write("line\nbreak.bin", [0u8, 159, 146, 150, 0, 1, 2, 3]);
    workspace.write("latin1.txt", b"Die Gr\xf6\xdfe der K\xfcche ist f\xfcr die Bewohner zu klein, sagt M\xfcller.");
    let huge = fs::File::create(workspace.docs().join("huge.txt")).unwrap();
    huge.set_len(200 * 1024 * 1024).unwrap();

    let (code, output, errors) = workspace.ingest(&[]);
    assert_eq!(code, 0, "{errors}");
    assert!(output.starts_with("7 documents: 3 ingested, 0 unchanged, 4 failed"), "{output}");
    assert!(output.contains("failed: empty.txt: the document is empty (InvalidInput)"), "{output}");
    assert!(output.contains("failed: line\\nbreak.bin: "), "{output}");
    assert!(output.contains("maxDocumentBytes"), "{output}");

    let (_, output, _) = run(worker().args(["documents", "--failed", "--json", "--store"]).arg(workspace.store()));
    let rows: Vec<Value> = serde_json::from_str(&output).unwrap();
    let reasons: Vec<_> = rows
        .iter()
        .map(|row| (row["document"].as_str().unwrap(), row["failure"]["reason"].as_str().unwrap()))
        .collect();
    assert_eq!(
        reasons,
        [
            ("cut off.pdf", "DocumentDamaged"),
            ("empty.txt", "DocumentEmpty"),
            ("huge.txt", "DocumentTooLarge"),
            ("line\nbreak.bin", "UnsupportedType"),
        ]
    );
    assert!(
        rows.iter().all(|row| row["state"] == "Archived" && row["failure"]["category"] == "InvalidInput"),
        "{output}"
    );

    let (_, output, _) = run(worker().args(["documents", "--store"]).arg(workspace.store()));
    assert_eq!(output.lines().count(), 8, "a header and one line a document:\n{output}");
    assert_eq!(count(&workspace.store(), "SELECT count(*) FROM chunks WHERE text LIKE '%Größe der Küche%'"), 1);
}

#[test]
fn mistakes_are_told_with_the_way_out() {
    let workspace = handbook();
    let (code, _, errors) = run(worker().args(["search", "x", "--store", "/nowhere/docs.db"]));
    assert_eq!(code, 78);
    assert!(
        errors.contains("there is no store at /nowhere/docs.db") && errors.contains("lexigram-worker ingest"),
        "{errors}"
    );

    workspace.write("notes.db", "these are notes and no database at all".repeat(100));
    let (code, _, errors) = run(worker().args(["documents", "--store"]).arg(workspace.docs().join("notes.db")));
    assert_eq!(code, 78);
    assert!(errors.contains("is not a store of lexigram-worker"), "{errors}");

    let (code, _, errors) = run(worker().args(["ingest", "/nowhere", "--store"]).arg(workspace.store()));
    assert_eq!(code, 78);
    assert!(errors.contains("there is no file or folder /nowhere"), "{errors}");

    let (code, _, errors) = workspace.ingest(&["--model", "gpt-17"]);
    assert_eq!(code, 78);
    assert!(errors.contains("no model 'gpt-17'") && errors.contains("just model"), "{errors}");

    let (code, _, errors) = workspace.ingest(&["--max-tokens", "20", "--overlap-tokens", "20"]);
    assert_eq!(code, 78);
    assert!(errors.contains("overlapTokens"), "{errors}");

    let (code, _, errors) = workspace.ingest(&["--max-tokens", "3"]);
    assert_eq!(code, 2);
    assert!(errors.contains("--max-tokens") && errors.contains("16"), "{errors}");

    let (code, _, errors) = workspace.ingest(&["--include", "a[b"]);
    assert_eq!(code, 78);
    assert!(errors.contains("include[0]"), "{errors}");
}
