//! Batches into part files, in this process, with an embedder that is a fake.

// helpers panic as tests do
#![allow(clippy::unwrap_used, clippy::panic)]

mod common;

use std::{fs, sync::atomic::Ordering};

use common::{
    batch::{Batch, texts},
    fake::DIMENSION,
    query,
};
use lexigram_api::{
    contract::{ExitCode, Mode, OutputLocation},
    text::VectorFormat,
};
use lexigram_worker::run::Ended;
use rstest::rstest;
use serde_json::json;
use tokio_util::sync::CancellationToken;

#[rstest]
#[case::collection(None)]
#[case::json_lines(Some(VectorFormat::JsonLines))]
#[case::parquet(Some(VectorFormat::Parquet))]
#[tokio::test]
async fn a_retry_embeds_what_failed_and_nothing_else(#[case] format: Option<VectorFormat>) {
    let mut lines = texts(1..=1200);
    lines[6] = json!({ "id": 7, "text": "poison for a while" });
    lines[1100] = json!({ "id": 1101, "text": "more poison" });
    let batch = match format {
        None => Batch::new(&lines),
        Some(format) => Batch::files(&lines, format),
    };
    let report = batch.run("r1").await;
    assert_eq!((report.counts.items.done, report.counts.failures.retrying), (1198, 2));

    let report = batch.retry("retry1").await;
    assert_eq!((report.counts.items.total, report.counts.items.failed), (2, 2));
    let attempts = "SELECT count(*) FROM documents WHERE attempts = 2";
    assert_eq!(batch.count(attempts), 2);

    batch.embedder.antidote.store(true, Ordering::Relaxed);
    batch.embedder.take_embedded();
    let report = batch.retry("retry2").await;
    assert_eq!((report.counts.items.total, report.counts.items.done, batch.embedder.take_embedded()), (2, 2, 2));
    assert_eq!(report.next_retry_time, None);
    let keys = if format.is_some() { batch.parts().into_iter().map(|(key, _)| key).collect() } else { batch.keys() };
    assert_eq!(keys, (1..=1200).map(|number| number.to_string()).collect::<Vec<_>>());

    // everything is there: the next full run has nothing to do
    let report = batch.run("r2").await;
    assert_eq!((report.counts.items.skipped, report.counts.items.total), (1200, 1200));
    if format.is_some() {
        assert_eq!(batch.parts().len(), 1200);
    }
}

#[rstest]
#[case::json_lines(VectorFormat::JsonLines)]
#[case::parquet(VectorFormat::Parquet)]
#[tokio::test]
async fn vectors_are_written_to_part_files(#[case] format: VectorFormat) {
    let mut lines = texts(1..=10_500);
    lines[2] = json!({ "id": 3, "text": null });
    lines[3] = json!({ "id": 4, "text": "no metadata" });
    let batch = Batch::files(&lines, format);
    let report = batch.run("r1").await;
    assert_eq!((report.counts.items.done, report.counts.items.failed), (10_499, 1));
    assert_eq!(batch.part_names().len(), 2);
    let parts = batch.parts();
    assert_eq!(parts.len(), 10_499);
    assert_eq!(
        parts[0].1,
        json!({ "id": "1", "text": "text number 1", "vector": [1.0, 13.0, 0.0, -0.5], "metadata": { "lang": "en" } })
    );
    assert_eq!(parts[2].1, json!({ "id": "4", "text": "no metadata", "vector": [1.0, 11.0, 0.0, -0.5] }));
    assert_eq!(parts[0].1["vector"].as_array().unwrap().len(), DIMENSION);

    batch.input(&texts(1..=20));
    let report = batch.run("r2").await;
    assert_eq!((report.counts.items.done, report.counts.items.deleted), (20, 10_479));
    assert_eq!((batch.part_names().len(), batch.parts().len()), (1, 20));
}

#[tokio::test]
async fn a_part_file_that_was_removed_is_written_again() {
    let batch = Batch::files(&texts(1..=20), VectorFormat::JsonLines);
    batch.run("r1").await;
    assert_eq!(batch.run("r2").await.counts.items.skipped, 20);
    fs::remove_file(batch.directory().join("part-00000.jsonl")).unwrap();
    assert_eq!(batch.run("r3").await.counts.items.done, 20);
    assert_eq!(batch.parts().len(), 20);
}

#[tokio::test]
async fn hidden_parts_get_their_name_only_if_the_ledger_knows_them() {
    let batch = Batch::files(&texts(1..=20), VectorFormat::JsonLines);
    batch.run("r1").await;
    // as a process leaves it that died between the ledger and the renaming
    let revision = query(&batch.workspace.store(), "SELECT revision FROM documents")[0][0].clone();
    fs::rename(batch.directory().join("part-00000.jsonl"), batch.directory().join(format!(".{revision}"))).unwrap();
    fs::write(batch.directory().join(".part-00001.jsonl#1-1"), "{}").unwrap();
    assert_eq!(batch.run("r2").await.counts.items.skipped, 20);
    assert_eq!((batch.part_names(), batch.parts().len()), (vec!["part-00000.jsonl".to_owned()], 20));
}

#[tokio::test]
async fn a_directory_that_is_another_s_is_left_alone() {
    let mut batch = Batch::files(&texts(1..=3), VectorFormat::JsonLines);
    batch.run("r1").await;
    if let OutputLocation::Files { owner, .. } = &mut batch.task.output {
        "EmbeddingBatch a/other".clone_into(owner);
    }
    let refused = |ended: Ended| {
        let error = ended.report.error.unwrap();
        assert_eq!((ended.exit, error.reason.as_str()), (ExitCode::Configuration, "OutputTaken"));
        assert!(error.message.starts_with("spec.output.files.path: the directory "), "{}", error.message);
        error.message
    };
    let message = refused(batch.run_with("r2", Mode::Full, &CancellationToken::new()).await);
    assert!(message.contains("holds the output of EmbeddingBatch a/reviews"), "{message}");

    let batch = Batch::files(&texts(1..=3), VectorFormat::JsonLines);
    fs::create_dir(batch.directory()).unwrap();
    fs::write(batch.directory().join("theirs.txt"), "theirs").unwrap();
    let message = refused(batch.run_with("r1", Mode::Full, &CancellationToken::new()).await);
    assert!(message.contains("'theirs.txt'"), "{message}");
    assert!(!batch.workspace.store().exists());
}
