//! A repository of a real git server, by HTTPS.

use std::collections::BTreeSet;

use lexigram_api::resource::ConditionType;
use lexigram_tests::{WebServer, condition_of, sandbox};
use serde_json::json;

use crate::counts;

#[test]
fn after_a_push_only_what_has_changed_is_fetched() {
    sandbox(json!({}), async |it| {
        let server = WebServer::start(it, &[]).await;
        let repository = server.repository();
        repository.write("docs/owls.md", "# Owls\n\nOwls hunt at night without a sound.");
        repository.write("docs/bread.md", "# Bread\n\nDough rises in a warm place.");
        repository.write("docs/old.md", "# Old\n\nNobody needs this.");
        repository.write("build.rs", "fn main() {}");
        repository.push();
        let url = WebServer::secure_url(it, "/git/docs.git");
        let git = json!({
            "url": url, "ref": "main", "path": "docs", "caBundleConfigMapRef": {"name": WebServer::CA},
        });
        it.ingest("docs", json!({"source": {"git": git}, "sync": "Mirror"})).await;
        assert_eq!(counts(&it.until_true("docs", ConditionType::Complete).await), [3, 0, 0, 0]);
        assert_eq!(it.search("docs", "birds that fly after dark", 1).await[0].document, "docs/owls.md");
        let first = server.wanted();
        assert!(first.contains(&repository.object("HEAD:docs/owls.md")), "{first:?}");

        repository.write("docs/bread.md", "# Bread\n\nSourdough rests in the fridge over night.");
        repository.write("docs/frost.md", "# Frost\n\nFrost breaks pots.");
        repository.remove("docs/old.md");
        repository.push();
        let asked = it.jobs().request_run("docs").await;
        assert_eq!(counts(&it.jobs().until_run("docs", &asked).await), [2, 0, 1, 1]);
        let wanted: BTreeSet<String> = server.wanted().difference(&first).cloned().collect();
        let changed = ["HEAD", "HEAD:docs/bread.md", "HEAD:docs/frost.md"].map(|object| repository.object(object));
        assert_eq!(wanted, changed.into());
        let hit = &it.search("docs", "how long does dough rest in the cold", 1).await[0];
        assert!(hit.text.contains("Sourdough"), "{hit:?}");
        let names: BTreeSet<String> = it.documents("docs").await.into_iter().map(|row| row.document).collect();
        assert_eq!(names, ["docs/bread.md", "docs/frost.md", "docs/owls.md"].map(str::to_owned).into());
    });
}

#[test]
fn a_ref_that_is_not_there_is_named() {
    sandbox(json!({}), async |it| {
        let server = WebServer::start(it, &[]).await;
        let repository = server.repository();
        repository.write("readme.md", "# Readme");
        repository.push();
        let url = WebServer::secure_url(it, "/git/docs.git");
        let git = json!({"url": url, "ref": "gone", "caBundleConfigMapRef": {"name": WebServer::CA}});
        it.ingest("docs", json!({"source": {"git": git}})).await;
        let job = it.until_true("docs", ConditionType::Failed).await;
        let message = &condition_of(&job, ConditionType::Failed).unwrap().message;
        assert!(message.contains("spec.source.git.ref") && message.contains("'gone'"), "{message}");
    });
}
