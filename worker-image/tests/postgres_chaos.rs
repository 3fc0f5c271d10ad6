//! Workers on Postgres are killed at random moments, and their connections cut: the store ends as that of a worker to
//! which nothing happened.
//!
//! `LEXIGRAM_CHAOS_KILLS` says how often one is killed or cut, half as often here as on files; `LEXIGRAM_CHAOS_SEED` when.

// helpers panic as tests do
#![allow(clippy::unwrap_used, clippy::panic)]

mod common;
mod provider_common;

use std::{
    process::Stdio,
    time::{Duration, Instant},
};

use common::{
    Workspace,
    chaos::{DOCUMENTS, Random, complete, kill_some, setting, spec, write},
    postgres::Database,
    proxy::Proxy,
};
use lexigram_fault_provider::Script;
use provider_common::start;
use serde_json::Value;

/// Everything that two stores must have in common.
async fn state(database: &Database) -> (Vec<Vec<String>>, Vec<Vec<String>>) {
    let chunks = "SELECT documents.name, ordinal, uuid, chunks.revision, text, headings, embedding
        FROM chunks JOIN documents ON documents.id = chunks.document ORDER BY documents.name, ordinal, uuid";
    let ledger = "SELECT name, state, revision, chunks, attempts, suspect, reason FROM documents ORDER BY name";
    let orphans = "SELECT 1 FROM chunks JOIN documents ON documents.id = document
        WHERE chunks.revision <> documents.revision OR state <> 'Done'";
    assert!(database.query("docs", orphans).await.is_empty(), "chunks of another revision are left");
    (database.query("docs", chunks).await, database.query("docs", ledger).await)
}

fn on(database: &Database, mut spec: Value) -> Value {
    spec["task"]["store"] = serde_json::to_value(database.location("docs")).unwrap();
    spec
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_is_killed_again_and_again_ends_where_it_should() {
    let (kills, seed) = (setting("LEXIGRAM_CHAOS_KILLS", 8) / 2, setting("LEXIGRAM_CHAOS_SEED", 1));
    let provider = start(Script::default()).await;
    let (killed, spared) = (Database::new().await, Database::new().await);
    let workspace = Workspace::new();
    let (mut random, mut done, mut round) = (Random(seed), 0, 0);
    while done < kills {
        round += 1;
        write(&workspace, round);
        let spec = spec(&workspace, &provider, round);
        let started = Instant::now();
        complete(&workspace, &on(&spared, spec.clone()));
        let half = started.elapsed() / 2;
        let spec = on(&killed, spec);
        done += kill_some(&workspace, &spec, &mut random, half).await;
        complete(&workspace, &spec);
        assert_eq!(state(&killed).await, state(&spared).await, "seed {seed}, round {round}, after {done} kills");
    }
    println!("{done} kills in {round} rounds of {DOCUMENTS} documents on Postgres; seed {seed}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_whose_connections_are_cut_ends_where_it_should() {
    let (cuts, seed) = (setting("LEXIGRAM_CHAOS_KILLS", 8) / 2, setting("LEXIGRAM_CHAOS_SEED", 1));
    let provider = start(Script::default()).await;
    let (cut, spared) = (Database::new().await, Database::new().await);
    let proxy = Proxy::start(cut.port()).await;
    let workspace = Workspace::new();
    let (mut random, mut done, mut round, mut restarts) = (Random(seed), 0, 0, 0);
    while done < cuts {
        round += 1;
        write(&workspace, round);
        let plain = spec(&workspace, &provider, round);
        complete(&workspace, &on(&spared, plain.clone()));
        let mut spec = on(&cut, plain);
        spec["task"]["store"]["uri"] = cut.uri_by(proxy.port).into();
        // it may give up, as a pod may that is started again; but not for ever
        for attempt in 0.. {
            let mut child = workspace.pod(&spec).stderr(Stdio::null()).spawn().unwrap();
            let ended = loop {
                tokio::time::sleep(Duration::from_millis(20) + random.moment(Duration::from_millis(400))).await;
                if let Some(ended) = child.try_wait().unwrap() {
                    break ended;
                }
                done += u64::from(proxy.cut() > 0);
            };
            if ended.success() {
                break;
            }
            restarts += 1;
            assert!(ended.code() == Some(75) && attempt < 20, "{ended}: {:?}", workspace.report().error);
        }
        assert_eq!(state(&cut).await, state(&spared).await, "seed {seed}, round {round}, after {done} cuts");
    }
    println!("{done} cuts in {round} rounds of {DOCUMENTS} documents, {restarts} restarts; seed {seed}");
}
