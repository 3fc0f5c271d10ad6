//! The limits of a provider, divided over the shards of a run: each worker keeps to its part. The clock is a fake one.

// helpers panic as tests do
#![allow(clippy::unwrap_used, clippy::panic)]

mod provider_common;

use std::{future::Future, sync::mpsc, time::Duration};

use futures::future::join_all;
use lexigram_api::contract::{Embedding, EmbeddingProvider};
use lexigram_fault_provider::Script;
use lexigram_worker::{
    embed::{Embedder, OpenAI},
    report::Tracker,
};
use provider_common::{QUICK, embedding, start};
use rstest::rstest;
use serde_json::{Value, json};
use tokio::{task::yield_now, time::advance};

/// Turns that other tasks get until a test fails, or until nothing more is expected of them.
const TURNS: usize = 100_000;

/// Runs a test whose clock moves only when it is told to: by itself it would move whenever nothing but answers from a
/// server is waited for.
fn with_still_clock(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
    runtime.block_on(async {
        // no clock moves by itself while a blocking task runs
        let (held, until_dropped) = mpsc::channel::<()>();
        tokio::task::spawn_blocking(move || until_dropped.recv());
        test.await;
        drop(held);
    });
}

/// Lets other tasks go on until a condition holds.
async fn until(what: &str, condition: impl Fn() -> bool) {
    for _ in 0..TURNS {
        if condition() {
            return;
        }
        yield_now().await;
    }
    panic!("waited in vain until {what}");
}

#[rstest]
#[case::one_alone(1, json!({ "requestsPerMinute": 3 }))]
#[case::requests(2, json!({ "requestsPerMinute": 6 }))]
#[case::tokens(2, json!({ "tokensPerMinute": 120 }))]
#[case::the_scarcer_one(2, json!({ "requestsPerMinute": 60, "tokensPerMinute": 120 }))]
fn each_shard_keeps_its_part(#[case] shards: i32, #[case] mut settings: Value) {
    settings["maxItemsPerRequest"] = json!(1);
    // 20 tokens each, as the worker counts them and as the provider does
    let texts = vec!["word ".repeat(20).trim_end().to_owned(); 5];
    with_still_clock(async {
        lexigram_worker::install_tls_provider();
        // one server a shard, so that each one's requests are counted by themselves
        let servers = join_all((0..shards).map(|_| start(Script::default()))).await;
        let settings = &settings;
        let embedders = join_all(servers.iter().map(|server| async move {
            let embedding = Embedding { shards, ..embedding(server, settings.clone()) };
            let EmbeddingProvider::OpenAI { settings, .. } = &embedding.provider else { panic!("another provider") };
            OpenAI::open(&embedding, settings, QUICK, &Tracker::new("r1")).await.unwrap()
        }))
        .await;
        let requests = || servers.iter().map(|server| server.counts().requests).collect::<Vec<_>>();
        let all_have = |number: usize| requests().iter().all(|&requests| requests == number);
        let work = join_all(embedders.iter().map(|embedder| embedder.embed(texts.clone())));
        let watch = async {
            // a minute's worth at once, then one in twenty seconds
            until("each shard has sent three requests", || all_have(3)).await;
            for number in [4, 5] {
                advance(Duration::from_secs(19)).await;
                for _ in 0..1000 {
                    yield_now().await;
                    assert!(all_have(number - 1), "too early: {:?}", requests());
                }
                // timers are rounded up to the next millisecond
                advance(Duration::from_millis(1001)).await;
                until("each shard has sent another one", || all_have(number)).await;
            }
        };
        let (outcomes, ()) = futures::join!(work, watch);
        assert!(outcomes.into_iter().all(|outcomes| outcomes.unwrap().iter().all(Result::is_ok)));
        assert!(all_have(5), "{:?}", requests());
    });
}
