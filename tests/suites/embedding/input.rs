//! Files of texts: bad rows, and a file on a web server.

use std::collections::BTreeSet;

use lexigram_api::{
    failure::{FailureAction, FailureCategory},
    resource::ConditionType,
};
use lexigram_tests::{WebServer, sandbox};
use serde_json::json;

use crate::{counts, reason, texts};

#[test]
fn bad_rows_name_their_line_and_the_rest_lands() {
    sandbox(json!({}), async |it| {
        let huge = "x".repeat(900_000);
        let rows = format!(
            "{{\"id\": \"good\", \"text\": \"herons fish at dawn\"}}\n{{\"id\": \"broken\", \"text\":\n{{\"id\": \"other\", \"body\": \"x\"}}\n{{\"id\": \"null\", \"text\": null}}\n{{\"id\": \"last\", \"text\": \"frost breaks pots\"}}\n{{\"text\": 7, \"note\": \"{huge}\"}}\n"
        );
        it.config_map("rows", [("rows.jsonl".to_owned(), rows.into_bytes())]).await;
        let input = json!({"configMap": {"name": "rows", "key": "rows.jsonl"}, "idField": "id"});
        it.batches().apply("rows", json!({"input": input})).await;
        let batch = it.batches().until_true("rows", ConditionType::Complete).await;
        assert_eq!((counts(&batch), reason(&batch)), (texts(6, 2, 4, 0), "CompletedWithFailures"));
        let failures = &batch.status.as_ref().unwrap().job.dead_letters.as_ref().unwrap().recent;
        for line in ["line 2", "line 3", "line 4", "line 6"] {
            let failure = failures.iter().find(|failure| failure.id.starts_with(line)).expect(line);
            assert_eq!((failure.category, failure.action), (FailureCategory::InvalidInput, FailureAction::Archive));
        }
        let found: BTreeSet<String> = it.search("rows", "birds", 9).await.into_iter().map(|hit| hit.document).collect();
        assert_eq!(found, ["good", "last"].map(str::to_owned).into());
    });
}

#[test]
fn a_file_comes_from_a_web_server_by_https_and_by_a_redirect() {
    sandbox(json!({}), async |it| {
        let rows = "{\"id\": \"kettle\", \"text\": \"The kettle boils in a minute.\"}\nno json\n{\"id\": \"lid\", \"text\": \"The lid broke off.\"}\n";
        WebServer::start(it, &[("rows.jsonl", rows.to_owned())]).await;
        let secure = json!({
            "url": WebServer::secure_url(it, "/rows.jsonl?token=secret"), "caBundleConfigMapRef": {"name": WebServer::CA},
        });
        let plain = WebServer::url(it, "/rows.jsonl");
        let redirected = json!({"url": WebServer::url(it, &plain.replace("http://", "/to/"))});
        for (name, http) in [("secure", secure), ("redirected", redirected)] {
            it.batches().apply(name, json!({"input": {"http": http, "idField": "id"}})).await;
            let batch = it.batches().until_true(name, ConditionType::Complete).await;
            let counted = counts(&batch);
            assert_eq!((counted.total, counted.done, counted.failed), (3, 2, 1), "{name}");
            let failure = &batch.status.as_ref().unwrap().job.dead_letters.as_ref().unwrap().recent[0];
            assert!(failure.id.starts_with("line 2"), "{failure:?}");
            assert_eq!(it.search(name, "hot water soon", 1).await[0].document, "kettle");
        }
    });
}
