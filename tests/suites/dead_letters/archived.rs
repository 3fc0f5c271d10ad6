//! What was given up is kept for a while.

use std::collections::BTreeMap;

use lexigram_api::resource::{ConditionType, State};
use lexigram_tests::{Answer, FaultServer, Sandbox, fixture, sandbox};
use serde_json::json;

use crate::{documents, hurry};

/// The state of each document in the ledger.
async fn states(it: &Sandbox) -> BTreeMap<String, String> {
    let rows = it.documents("docs").await;
    rows.into_iter().map(|row| (row.document, row.state)).collect()
}

#[test]
fn the_archive_forgets_what_is_too_old_and_nothing_else() {
    sandbox(hurry(), async |it| {
        let server = FaultServer::start(&it.client).await;
        let corrupt = || Answer::File(fixture("bad/truncated.pdf"));
        let old = server.serve("/old.pdf", [corrupt()]);
        let young = server.serve("/young.pdf", [Answer::Status(503), corrupt()]);
        let spec = json!({
            "source": {"http": {"urls": [old, young]}},
            // the second attempt comes, whatever the jitter, after the shortest retention that there is
            "failurePolicy": {"backoffBaseSeconds": 80, "backoffCapSeconds": 80, "archive": {"retentionSeconds": 60}},
        });
        it.ingest("docs", spec).await;
        it.until_state("docs", State::Recovering, "RetryPending").await;
        let named = |state: &str| state.to_owned();
        assert_eq!(states(it).await, [(old, named("Archived")), (young.clone(), named("Failed"))].into());

        let job = it.until_true("docs", ConditionType::Complete).await;
        assert_eq!(documents(&job), [2, 0, 2]);
        assert_eq!(states(it).await, [(young, named("Archived"))].into());
    });
}
