//! Secrets of every kind, right and wrong ones, in jobs that succeed and jobs that fail: none is seen anywhere.

use lexigram_api::resource::ConditionType;
use lexigram_fault_provider::{FaultProvider, Script};
use lexigram_tests::{Answer, FaultServer, Object, Objects, Postgres, Sandbox, address, bare};
use serde_json::json;

use crate::{
    canary::{Canary, everything, plant, port},
    maintain, running_worker,
};

/// Waits until a person would be called, and until that has been told to the webhook.
async fn until_told<K: Object>(objects: &Objects<K>, name: &str) {
    objects.until_true(name, ConditionType::Stalled).await;
    objects.until_true(name, ConditionType::Notified).await;
}

/// Makes every Secret that a manifest or a release can name; returns the values of those that open something.
async fn plant_all(it: &Sandbox, canary: &Canary, server: &FaultServer, database: &Postgres<'_>) -> [String; 3] {
    let [password, header, key] = ["password", "header", "key"].map(|what| canary.value(what));
    database.sql(&format!("CREATE ROLE reader SUPERUSER LOGIN PASSWORD '{password}'"));
    let uri = |password: &str| format!("postgresql://reader:{password}@database.{}.svc:5432/postgres", it.namespace);
    // the path of a webhook is a secret too; it fails in both ways before it takes a message
    let hook = format!("/hook/{}", canary.value("hook"));
    let hook = server.serve(&hook, [Answer::Status(500), Answer::Never, Answer::Status(204)]);
    for (name, values) in [
        ("on-call", json!({"url": hook, "authorization": format!("Bearer {}", canary.value("pager"))})),
        ("store", json!({"uri": uri(&password)})),
        ("store-wrong", json!({"uri": uri(&canary.value("wrong-password"))})),
        ("header", json!({"Authorization": format!("Bearer {header}")})),
        ("header-wrong", json!({"Authorization": format!("Bearer {}", canary.value("wrong-header"))})),
        ("key", json!({"apiKey": key})),
        ("key-wrong", json!({"apiKey": canary.value("wrong-key")})),
        ("team", json!({"x-team": canary.value("team")})),
        (
            "bucket",
            json!({"accessKeyId": canary.value("id"), "secretAccessKey": canary.value("secret"), "sessionToken": canary.value("session")}),
        ),
        ("repository", json!({"username": canary.value("user"), "password": canary.value("token")})),
    ] {
        plant(it, canary, name, values).await;
    }
    [password, format!("Bearer {header}"), key]
}

#[test]
fn no_secret_is_in_an_object_an_event_a_log_or_a_metric() {
    bare(async |it| {
        let canary = Canary::new();
        let server = FaultServer::start(&it.client).await;
        let database = Postgres::start(it).await;
        let [_, header, key] = plant_all(it, &canary, &server, &database).await;
        // the operator reads the webhook's Secret when it starts
        it.release(&json!({
            "ai_workers": {"dlq_check_interval": 5}, "webhook": {"secretName": "on-call", "timeoutSeconds": 1},
        }));
        let require =
            [("authorization".to_owned(), format!("Bearer {key}")), ("x-team".to_owned(), canary.value("team"))];
        let script = Script { require: require.into(), ..Script::default() };
        let provider = FaultProvider::start(address(&it.client).await, script).await.unwrap();
        let embedding = |key: &str| {
            json!({"openAI": {
                "url": provider.url(), "model": "stand-in", "dimensions": 8,
                "apiKeySecretRef": {"name": key}, "headersSecretRef": {"name": "team"},
            }})
        };
        let vault = server.serve("/vault.txt", [Answer::TextFor(header, "The vault opens at seven.".to_owned())]);
        let web = |header: &str| json!({"http": {"urls": [vault], "headersSecretRef": {"name": header}}});
        let texts = json!({"texts": [{"text": "The lid broke off."}]});

        // what works
        let spec =
            json!({"source": web("header"), "store": Postgres::store_by("store"), "embedding": embedding("key")});
        it.ingest("vault", spec).await;
        it.until_true("vault", ConditionType::Complete).await;
        let input = json!({"http": {"url": vault, "headersSecretRef": {"name": "header"}}, "format": "Lines"});
        let spec = json!({"input": input, "store": Postgres::store_by("store"), "embedding": embedding("key")});
        it.batches().apply("lines", spec).await;
        it.batches().until_true("lines", ConditionType::Complete).await;
        let tasks = json!([{"name": "health", "type": "HealthCheck"}, {"name": "index", "type": "IndexOptimization"}]);
        let schedule = |store: &str, key: &str| json!({"tasks": tasks, "store": Postgres::store_by(store), "embedding": embedding(key)});
        maintain(it, "tidy", schedule("store", "key")).await;

        // what is refused
        it.ingest("vault-wrong", json!({"source": web("header-wrong")})).await;
        let hello = json!({"inline": [{"name": "a.txt", "text": "Hello."}]});
        it.ingest("store-wrong", json!({"source": hello, "store": Postgres::store_by("store-wrong")})).await;
        let endpoint = server.serve("/docs", [Answer::Status(403)]).replace("/docs", "");
        server.serve("/docs/", [Answer::Status(403)]);
        let bucket =
            json!({"s3": {"bucket": "docs", "endpoint": endpoint, "credentialsSecretRef": {"name": "bucket"}}});
        it.ingest("bucket-wrong", json!({"source": bucket})).await;
        server.serve("/handbook.git/info/refs", [Answer::Status(401)]);
        let repository =
            json!({"url": format!("{endpoint}/handbook.git"), "credentialsSecretRef": {"name": "repository"}});
        it.ingest("repository-wrong", json!({"source": {"git": repository}})).await;
        it.batches().apply("key-wrong", json!({"input": texts, "embedding": embedding("key-wrong")})).await;
        for name in ["vault-wrong", "store-wrong", "bucket-wrong", "repository-wrong"] {
            until_told(&it.jobs(), name).await;
        }
        until_told(&it.batches(), "key-wrong").await;
        maintain(it, "tidy-wrong", schedule("store-wrong", "key-wrong")).await;

        // and what is at work
        let held = server.serve("/held.txt", [Answer::Never]);
        let spec = json!({"urls": [held], "headersSecretRef": {"name": "header"}});
        it.ingest("held", json!({"source": {"http": spec}, "embedding": embedding("key")})).await;
        let worker = running_worker(it, "held-r1").await;
        let [progress, metrics] = ["progress", "metrics"].map(|path| port(it, &worker, path));

        let mut seen = everything(it).await;
        seen.extend([("progress".to_owned(), progress), ("metrics of a worker".to_owned(), metrics)]);
        // the search looks where it should
        for (place, known) in [
            ("objects", vault.as_str()),
            ("objects", "\"kind\": \"Event\""),
            ("objects", "work-spec"),
            ("descriptions", "Stalled"),
            ("metrics of the operator", "lexigram_dead_letters"),
            ("metrics of a worker", "# EOF"),
            ("progress", "{"),
        ] {
            assert!(seen[place].contains(known), "{place} do not have {known}");
        }
        let logs = |run: &str| seen.iter().find(|(place, _)| place.starts_with(&format!("logs of {run}")));
        for run in
            ["lexigram-operator", "vault-r1", "vault-wrong-r1", "store-wrong-r1", "key-wrong-br1", "tidy-wrong-m"]
        {
            assert!(logs(run).is_some_and(|(_, said)| said.contains("\"level\"")), "there is no log of {run}");
        }
        for (place, text) in &seen {
            assert_eq!(canary.lines(text), [""; 0], "a secret is in the {place}");
        }
    });
}
