//! Documents go in and are found by their meaning; those that cannot go in fail alone and say why.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a panic is how a test fails")]

use lexigram_api::{
    failure::{FailureAction, FailureCategory},
    resource::{ConditionType, DeadLetter, IngestionJob},
};
use lexigram_tests::{Answer, FaultServer, condition_of, fixture, kubectl, sandbox};
use serde_json::json;

fn files(files: &[(&str, &str)]) -> Vec<(String, Vec<u8>)> {
    files.iter().map(|(name, text)| ((*name).to_owned(), text.as_bytes().to_vec())).collect()
}

fn failures(job: &IngestionJob) -> &[DeadLetter] {
    &job.status.as_ref().unwrap().job.dead_letters.as_ref().unwrap().recent
}

/// Done, failed, skipped and deleted documents.
fn counts(job: &IngestionJob) -> [i32; 4] {
    let documents = job.status.as_ref().unwrap().documents.clone().unwrap();
    assert_eq!(documents.total, documents.processed(), "{documents:?}");
    [documents.done, documents.failed, documents.skipped, documents.deleted]
}

fn reason(job: &IngestionJob) -> &str {
    &condition_of(job, ConditionType::Complete).unwrap().reason
}

#[test]
fn inline_documents_are_found_by_their_meaning() {
    sandbox(json!({}), async |it| {
        it.ingest("pets", json!({"source": {"inline": [
            {"name": "cats.md", "text": "# Felines\n\nA kitten sleeps sixteen hours a day and purrs when it is content."},
            {"name": "tax.md", "text": "# Levies\n\nDeclarations are due by the end of May; late ones cost interest."},
            {"name": "bread.txt", "text": "Knead flour, water, salt and yeast, and bake the loaf until its crust is brown."},
        ]}})).await;
        let namespace = ["--namespace", &it.namespace];
        let wait = ["wait", "ingestionjob/pets", "--for=condition=Complete", "--timeout=300s"];
        kubectl(&[&namespace[..], &wait[..]].concat()).unwrap();
        let job = it.until_true("pets", ConditionType::Complete).await;
        assert_eq!((counts(&job), reason(&job)), ([3, 0, 0, 0], "Completed"));
        let status = job.status.unwrap();
        assert_eq!((status.job.progress.as_deref(), status.collection.as_deref()), (Some("3/3"), Some("pets")));
        assert_eq!(status.chunks_created, Some(3));
        assert!(status.job.tokens > Some(30) && status.bytes > Some(200), "{status:?}");
        assert!(
            status.job.completion_time.is_some()
                && status.job.duration.is_some()
                && status.job.queue_position.is_none()
        );

        // no question shares a word with its answer
        for (question, document) in [
            ("how long do young pets rest", "cats.md"),
            ("when must I pay the government", "tax.md"),
            ("recipe for something from an oven", "bread.txt"),
        ] {
            let hits = it.search("pets", question, 3).await;
            assert_eq!(hits[0].document, document, "{question}: {hits:?}");
            assert!(hits[0].score > hits[1].score);
        }
    });
}

#[test]
fn bad_documents_fail_alone() {
    sandbox(json!({}), async |it| {
        let mut documents: Vec<(String, Vec<u8>)> = [
            "bad/empty.txt",
            "bad/truncated.pdf",
            "bad/encrypted.pdf",
            "bad/bomb.docx",
            "good/notes-broken-utf8.txt",
            "good/handbook.docx",
            "good/handbook.pdf",
        ]
        .map(|name| (name.rsplit_once('/').unwrap().1.to_owned(), fixture(name)))
        .into();
        documents.push(("program.bin".to_owned(), [0x7f, b'E', b'L', b'F', 2, 1, 1, 0].repeat(64)));
        it.config_map("mixed", documents).await;
        it.ingest("mixed", json!({"source": {"configMap": {"name": "mixed"}}})).await;
        let job = it.until_true("mixed", ConditionType::Complete).await;
        assert_eq!((counts(&job), reason(&job)), ([3, 5, 0, 0], "CompletedWithFailures"));

        let mut failed: Vec<_> = failures(&job).iter().collect();
        failed.sort_by_key(|failure| &failure.id);
        let expected = [
            ("bomb.docx", "DecompressionBomb", "unpacks to more than is allowed"),
            ("empty.txt", "DocumentEmpty", "the document is empty"),
            ("encrypted.pdf", "DocumentEncrypted", "the PDF is encrypted: remove its password"),
            ("program.bin", "UnsupportedType", "is not a supported type of document"),
            ("truncated.pdf", "DocumentDamaged", "the PDF is damaged or cut off"),
        ];
        assert_eq!(failed.len(), expected.len());
        for (failure, (document, reason, message)) in failed.into_iter().zip(expected) {
            assert_eq!((failure.id.as_str(), failure.reason.as_str()), (document, reason));
            assert!(failure.message.contains(message), "{failure:?}");
            assert_eq!((failure.category, failure.action), (FailureCategory::InvalidInput, FailureAction::Archive));
            assert_eq!(failure.attempts, 1);
        }

        let hits = it.search("mixed", "how to remove limescale from the espresso maker", 10).await;
        assert!(hits[0].document.starts_with("handbook."), "{hits:?}");
        let mut stored = it.documents("mixed").await;
        stored.sort_by(|a, b| a.document.cmp(&b.document));
        let done: Vec<_> =
            stored.iter().filter(|row| row.state == "Done" && row.chunks > 0).map(|row| &row.document).collect();
        assert_eq!(done, ["handbook.docx", "handbook.pdf", "notes-broken-utf8.txt"]);
        assert_eq!(stored.iter().filter(|row| row.state == "Archived" && row.chunks == 0).count(), 5);
    });
}

#[test]
fn a_text_of_200_megabytes_is_refused_and_the_others_stay() {
    sandbox(json!({}), async |it| {
        let server = FaultServer::start(&it.client).await;
        let huge = server.serve("/huge.txt", [Answer::Endless(200)]);
        let small = server.serve("/small.txt", [Answer::Text("Swans nest by the reeds.".to_owned())]);
        it.ingest("web", json!({"source": {"http": {"urls": [huge, small]}}})).await;
        let job = it.until_true("web", ConditionType::Complete).await;
        assert_eq!((counts(&job), reason(&job)), ([1, 1, 0, 0], "CompletedWithFailures"));
        let failure = &failures(&job)[0];
        assert_eq!((&failure.id, failure.category), (&huge, FailureCategory::InvalidInput));
        assert!(failure.message.contains("raise spec.parsing.maxDocumentBytes or split it"), "{failure:?}");
        assert_eq!(it.search("web", "birds at the lake", 5).await[0].document, small);
    });
}

#[test]
fn a_folder_of_a_claim_with_awkward_names_is_ingested() {
    sandbox(json!({}), async |it| {
        let script = "mkdir -p '/files/docs/old papers'
            echo 'Herons fish at dawn.' > '/files/docs/field notes.txt'
            echo 'Frost breaks clay pots.' > '/files/docs/winter\nnotes.md'
            echo 'Kept out.' > '/files/docs/old papers/draft.txt'
            echo 'Not in the folder.' > /files/other.txt
            : > '/files/docs/nothing\nat all.txt'";
        it.claim("papers").await;
        it.shell("papers", script).await;
        it.ingest("papers", json!({"source": {
            "persistentVolumeClaim": {"claimName": "papers", "path": "docs"}, "include": ["**/*.{md,txt}", "*.{md,txt}"], "exclude": ["old papers/**"],
        }})).await;
        let job = it.until_true("papers", ConditionType::Complete).await;
        assert_eq!((counts(&job), reason(&job)), ([2, 1, 0, 0], "CompletedWithFailures"));
        assert_eq!(failures(&job)[0].id, "nothing\\nat all.txt");
        assert_eq!(it.search("papers", "birds that catch their breakfast", 1).await[0].document, "field notes.txt");
        assert_eq!(
            it.search("papers", "cold weather damages flower containers", 1).await[0].document,
            "winter\nnotes.md"
        );
    });
}

#[test]
fn a_second_job_skips_what_is_there_and_mirrors_what_has_gone() {
    sandbox(json!({}), async |it| {
        let all = files(&[
            ("keep.txt", "Bees dance to tell of flowers."),
            ("change.txt", "The museum opens at nine."),
            ("drop.txt", "Whales sing over hundreds of miles."),
        ]);
        it.config_map("notes", all).await;
        let spec = json!({"source": {"configMap": {"name": "notes"}}, "collection": "notes", "sync": "Mirror"});
        it.ingest("first", spec.clone()).await;
        let first = it.until_true("first", ConditionType::Complete).await;
        assert_eq!(counts(&first), [3, 0, 0, 0]);

        kubectl(&["--namespace", &it.namespace, "delete", "configmap", "notes"]).unwrap();
        let rest =
            files(&[("keep.txt", "Bees dance to tell of flowers."), ("change.txt", "The museum opens at noon.")]);
        it.config_map("notes", rest).await;
        it.ingest("second", spec).await;
        let second = it.until_true("second", ConditionType::Complete).await;
        assert_eq!((counts(&second), reason(&second)), ([1, 0, 1, 1], "Completed"));

        let hits = it.search("notes", "animals of the ocean", 10).await;
        let mut texts: Vec<_> = hits.iter().map(|hit| hit.text.trim()).collect();
        texts.sort_unstable();
        assert_eq!(texts, ["Bees dance to tell of flowers.", "The museum opens at noon."]);
    });
}
