//! The API server does not answer, or goes and comes back: operators wait for it, and go on.

use std::time::Duration;

use lexigram_tests::{ApiServer, holder, named};
use serde_json::json;

use crate::{jobs::Jobs, setting, with_two_operators, work::Work};

/// Times that every watch is closed.
const RESTARTS: u32 = 3;

#[test]
fn an_api_server_that_does_not_answer_is_waited_for() {
    with_two_operators(json!({}), async |it| {
        it.until_operators(2).await;
        let jobs = Jobs::watch(it);
        let server = ApiServer::find(&it.client).await;
        let lease = it.until_lease(None).await;
        let [leader] = it.containers(&named(holder(&lease).unwrap())).await.try_into().unwrap();
        let under_way = Work::begin(it, 0).await;
        server.pause();
        // whoever cannot renew the lease ends
        leader.until_ended().await;
        tokio::time::sleep(Duration::from_secs(setting("LEXIGRAM_PAUSE_SECONDS", 0).into())).await;
        server.resume(&it.client).await;
        let afterwards = Work::begin(it, 1).await;
        for work in [&under_way, &afterwards] {
            work.until_done(it).await;
        }
        jobs.assert_once(&[under_way, afterwards].iter().flat_map(Work::jobs).collect::<Vec<_>>());
    });
}

#[test]
fn watches_that_are_closed_again_and_again_are_resumed() {
    with_two_operators(json!({}), async |it| {
        it.until_operators(2).await;
        let jobs = Jobs::watch(it);
        let server = ApiServer::find(&it.client).await;
        let mut works = Vec::new();
        for number in 0..RESTARTS {
            works.push(Work::begin(it, number).await);
            server.crash(&it.client).await;
        }
        for work in &works {
            work.until_done(it).await;
        }
        jobs.assert_once(&works.iter().flat_map(Work::jobs).collect::<Vec<_>>());
    });
}
