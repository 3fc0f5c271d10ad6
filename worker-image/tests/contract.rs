//! `lexigram-worker contract`: what an author of a worker reads of a good one, and of bad ones. The good one is
//! examples/own-worker; the bad ones are it with one thing spoilt.

// helpers panic as tests do
#![allow(clippy::unwrap_used, clippy::panic)]

mod common;

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use common::run;
use rstest::rstest;
use serde_json::{Value, json};
use tempfile::TempDir;

/// Works only once it has been looked at, and in its second launch, which is told to stop, not before it is: however slow
/// the machine, each is seen at work.
const PATIENCE: &str = r#"
marker = Path(__file__ + ".launches")
marker.touch()
launches, asked = marker.stat().st_size, []
marker.write_text("x" * (launches + 1))
def patience():
    while launches == 0 and not {"/progress", "/healthz"} <= set(asked):
        time.sleep(0.01)
    while launches == 1 and not stop:
        time.sleep(0.01)
"#;

fn contract() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_lexigram-worker"));
    command.arg("contract");
    command
}

fn replaced(text: &str, from: &str, to: &str) -> String {
    assert!(text.contains(from), "the example has no '{from}'");
    text.replace(from, to)
}

/// The example worker with one part replaced.
fn example(folder: &Path, part: &str, by: &str) -> PathBuf {
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/own-worker/worker.py");
    let text = replaced(&fs::read_to_string(example).unwrap(), part, by);
    let text = replaced(&text, "\ndef moment(", &format!("{PATIENCE}\ndef moment("));
    let text = replaced(&text, "        answer = {", "        asked.append(self.path)\n        answer = {");
    let text = replaced(&text, "    time.sleep(0.2)", "    patience()");
    let path = folder.join("worker.py");
    fs::write(&path, text).unwrap();
    path
}

/// Exit code and findings of a check of the worker at that path.
fn check(worker: &Path) -> (i32, String) {
    let (code, printed, _) = run(contract().args(["check", "--", "python3"]).arg(worker));
    (code, printed)
}

#[test]
fn nothing_is_wrong_with_the_example() {
    let folder = TempDir::new().unwrap();
    let worker = example(folder.path(), "stop = ", "stop = ");
    assert_eq!(check(&worker), (0, "Nothing is wrong.\n".to_owned()));
}

const LISTEN: &str =
    "threading.Thread(target=ThreadingHTTPServer((host, int(port)), Server).serve_forever, daemon=True).start()";
const REPORT: &str = r#"write_text(json.dumps(report | more))"#;

#[rstest]
#[case::no_progress(r#""/progress": json.dumps(progress), "#, "", "GET /progress was answered with HTTP 404")]
#[case::no_server(LISTEN, "launches = 2", "GET /progress was not answered within a second")]
#[case::no_health(r#", "/healthz": "ok""#, "", "GET /healthz was not answered with 200")]
#[case::wrong_progress("len(texts), \"Working\"", "len(texts), \"Busy\"", "progress: phase: unknown variant `Busy`")]
#[case::wrong_run(
    r#""run": spec["run"]"#,
    r#""run": "mine""#,
    "progress: run is 'mine', and the work spec's is 'sample-r1."
)]
#[case::misspelt(
    r#"dict.fromkeys(("total", "#,
    r#"dict.fromkeys(("total", "lost", "#,
    "progress: counts.items.lost: there is no such field"
)]
#[case::no_report(REPORT, "exists()", "the worker ended with exit code 0 and left no report")]
#[case::a_long_report(
    REPORT,
    "write_text(json.dumps(report | more).ljust(5000))",
    "report: is 4097 bytes long or more"
)]
#[case::no_json(REPORT, "write_text('done')", "report: .: expected value at line 1 column 1")]
#[case::lost_items(
    "items[outcome] += 1",
    "pass",
    "report: 0 items are done, failed or skipped, and counts.items.total is 3"
)]
#[case::failed_without_a_word("end(0, **", "end(75, **", "report: the exit code is 75, and there is no error")]
#[case::failed_well(
    "items[\"total\"], progress",
    "end(0, error={'category': 'Authentication', 'reason': 'Refused', 'message': ''})\nitems[\"total\"], progress",
    "report: error is Refused (Authentication), and the exit code is 0"
)]
#[case::unknown_code("end(0, **", "end(3, **", "the worker ended with exit code 3, which says nothing to the operator")]
#[case::crashed(
    "items[\"total\"], progress",
    "patience() or None.crash\nitems[\"total\"], progress",
    "exit code 1, which says nothing"
)]
#[case::deaf(
    "signal.signal(signal.SIGTERM, lambda *_: stop.append(True))",
    "pass",
    "the worker has no handler for SIGTERM"
)]
#[case::fails_when_stopped("end(143)", "end(75)", "the worker ended with exit code 75 after SIGTERM")]
#[case::any_version(
    r#"if spec["contractVersion"] != "v1alpha1":"#,
    "if False:",
    "was given a work spec of contract version 'v0', and ended with exit code 0"
)]
fn what_is_wrong_is_said_with_the_fix(#[case] part: &str, #[case] by: &str, #[case] problem: &str) {
    let folder = TempDir::new().unwrap();
    let (code, printed) = check(&example(folder.path(), part, by));
    let found = printed.lines().any(|line| line.starts_with("problem: ") && line.contains(problem));
    assert!(code == 1 && found, "exit code {code}:\n{printed}");
    let count = |start: &str| printed.lines().filter(|line| line.starts_with(start)).count();
    assert_eq!(count("problem: "), count("    fix: "), "{printed}");
}

#[test]
fn a_worker_that_hangs_is_ended_with_all_that_it_has_started() {
    let folder = TempDir::new().unwrap();
    let pid = folder.path().join("pid");
    let script = format!("sleep 600 & echo $! > {}; wait", pid.display());
    let (code, printed, _) = run(contract().args(["check", "--timeout", "2", "--", "sh", "-c", &script]));
    assert!(code == 1 && printed.contains("problem: the worker did not end within 2 s"), "{printed}");
    let process = fs::read_to_string(&pid).unwrap();
    let state = || fs::read_to_string(format!("/proc/{}/stat", process.trim())).unwrap_or_default();
    // killed, though whoever inherits it may not have waited for it yet
    common::wait_until("nothing is left", || state().is_empty() || state().contains(") Z "));
}

#[test]
fn a_command_that_cannot_be_started_is_named() {
    let (code, _, said) = run(contract().args(["check", "--", "/no/such/worker"]));
    assert_eq!(code, 78);
    assert!(said.contains("'/no/such/worker' cannot be started"), "{said}");
}

#[test]
fn a_worker_is_given_the_work_spec_of_its_author() {
    let folder = TempDir::new().unwrap();
    let spec = folder.path().join("work.json");
    let write = |task: Value| {
        fs::write(&spec, json!({"contractVersion": "v1alpha1", "run": "mine", "task": task}).to_string()).unwrap();
        let worker = example(folder.path(), "stop = ", "stop = ");
        let arguments = ["check", "--spec", spec.to_str().unwrap(), "--", "python3", worker.to_str().unwrap()];
        run(contract().args(arguments))
    };
    let task =
        json!({"type": "Maintain", "store": {"type": "Sqlite", "directory": "/no", "cache": "/no"}, "tasks": []});
    let (code, printed, _) = write(task);
    assert_eq!(code, 1);
    assert!(printed.contains("the worker ended with exit code 78: this worker cannot do Maintain Sqlite"), "{printed}");
    let (code, printed, _) = write(json!({"type": "Bake"}));
    assert_eq!(code, 1);
    assert!(printed.contains("problem: work-spec: task.type: unknown variant `Bake`"), "{printed}");
}

#[test]
fn messages_are_checked_in_files() {
    let folder = TempDir::new().unwrap();
    let file = |name: &str, content: Value| {
        let path = folder.path().join(name);
        fs::write(&path, content.to_string()).unwrap();
        path
    };
    let report = json!({"contractVersion": "v1alpha1", "run": "r1", "counts": {}});
    let good = file("report.json", report);
    let (code, printed, _) = run(contract().arg("check").arg(&good));
    assert_eq!((code, printed.as_str()), (0, "Nothing is wrong.\n"));
    let bad = file("progress.json", json!({"contractVersion": "v1alpha1", "run": "r1", "phase": "Working"}));
    let (code, printed, _) = run(contract().arg("check").args([&good, &bad]));
    assert_eq!(code, 1);
    assert!(printed.starts_with(&format!("problem: {}: progress: ", bad.display())), "{printed}");
    assert!(printed.contains("missing field `heartbeat`"), "{printed}");
    let (code, ..) = run(contract().arg("check"));
    assert_eq!(code, 2);
}

#[test]
fn the_schemas_in_the_documentation_are_those_of_this_program() {
    let documented = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/contract");
    let folder = TempDir::new().unwrap();
    let (code, ..) = run(contract().args(["schema", "--output", folder.path().to_str().unwrap()]));
    assert_eq!(code, 0);
    let (_, printed, _) = run(contract().arg("schema"));
    let printed: Value = serde_json::from_str(&printed).unwrap();
    for name in ["work-spec", "progress", "report"] {
        let read = |folder: &Path| fs::read_to_string(folder.join(format!("{name}.schema.json"))).unwrap();
        assert_eq!(read(folder.path()), read(&documented), "run `just generate`");
        assert_eq!(serde_json::from_str::<Value>(&read(folder.path())).unwrap(), printed[name]);
    }
}
