//! An OpenAI-compatible provider against a stand-in that fails as told: how many requests it sends, and what becomes of
//! the texts.

// helpers panic as tests do
#![allow(clippy::unwrap_used, clippy::panic)]

mod provider_common;

use std::{collections::BTreeMap, fs, time::Duration};

use lexigram_api::failure::FailureCategory;
use lexigram_fault_provider::{Counts, Fault, LONG, NOT_FINITE, POISON, Script, vector};
use lexigram_worker::{
    embed::{EmbedError, Embedder, Outcomes, Patience, ProviderError},
    failure::Classified,
};
use provider_common::{QUICK, open, start, start_tls};
use rstest::rstest;
use serde_json::{Value, json};

fn texts<const N: usize>(texts: [&str; N]) -> Vec<String> {
    texts.map(str::to_owned).into()
}

/// The outcomes in words: a reason, or `ok`.
fn reasons(outcomes: &Outcomes) -> Vec<&'static str> {
    match outcomes {
        Ok(outcomes) => {
            outcomes.iter().map(|outcome| outcome.as_ref().map_or_else(Classified::reason, |_| "ok")).collect()
        }
        Err(error) => panic!("the whole call failed: {error}"),
    }
}

/// Embeds texts with this script and these settings beside a dimension of 8.
async fn embed(script: Script, settings: Value, texts: Vec<String>) -> (Outcomes, Counts) {
    let server = start(script).await;
    let provider = open(&server, settings, QUICK).await.unwrap();
    (provider.embed(texts).await, server.counts())
}

#[rstest]
#[case::base64(Script::default(), json!({}))]
#[case::numbers(Script::default(), json!({ "encodingFormat": "Float" }))]
#[case::numbers_though_base64_was_asked(Script { only_numbers: true, ..Script::default() }, json!({}))]
#[case::another_order(Script::always(Fault::Reversed), json!({}))]
#[case::one_request_at_a_time(Script::default(), json!({ "maxConcurrentRequests": 1 }))]
#[tokio::test]
async fn vectors_stand_in_the_order_of_the_texts(#[case] script: Script, #[case] mut settings: Value) {
    settings["maxItemsPerRequest"] = json!(2);
    let given = texts(["one", "two two", "three", "four", "five"]);
    let (outcomes, counts) = embed(script, settings, given.clone()).await;
    let embedded: Vec<_> = outcomes.unwrap().into_iter().map(Result::unwrap).collect();
    let vectors: Vec<Vec<f32>> = embedded.iter().map(|embedded| embedded.vector.clone()).collect();
    assert_eq!(vectors, given.iter().map(|text| vector(text, 8)).collect::<Vec<_>>());
    assert_eq!(embedded.iter().map(|embedded| embedded.tokens).sum::<i64>(), 6);
    assert_eq!((counts.requests, counts.texts, counts.largest_request), (3, 5, 2));
}

#[tokio::test]
async fn requests_are_limited_by_tokens_too() {
    let (outcomes, counts) =
        embed(Script::default(), json!({ "maxTokensPerRequest": 16 }), vec!["a b c d e f".to_owned(); 5]).await;
    assert_eq!(reasons(&outcomes), ["ok"; 5]);
    assert_eq!((counts.requests, counts.largest_request), (3, 2));
}

#[tokio::test]
async fn the_dimension_is_asked_for_where_it_is_not_set() {
    let server = start(Script { dimension: 12, ..Script::default() }).await;
    let provider = open(&server, json!({ "dimensions": null }), QUICK).await.unwrap();
    assert_eq!((provider.dimension(), server.counts().requests), (12, 1));
    assert_eq!(provider.fingerprint(), format!("openai:{}/test-model/12", server.address()));
    let provider = open(&server, json!({}), QUICK).await.unwrap();
    assert_eq!((provider.dimension(), server.counts().requests), (8, 1), "a dimension that is set is not asked for");
}

/// What may pass is tried again; 3 tries are allowed here.
#[rstest]
#[case::server_error(Fault::status(500), FailureCategory::Transient, "ProviderUnavailable")]
#[case::gateway(Fault::status(502), FailureCategory::Transient, "ProviderUnavailable")]
#[case::conflict(Fault::status(409), FailureCategory::Transient, "ProviderUnavailable")]
#[case::reset(Fault::Reset, FailureCategory::Transient, "ProviderUnreachable")]
#[case::count(Fault::WrongCount, FailureCategory::Transient, "ProviderAnswerInvalid")]
#[case::index(Fault::SameIndex, FailureCategory::Transient, "ProviderAnswerInvalid")]
#[case::page(Fault::Page, FailureCategory::Transient, "ProviderAnswerInvalid")]
#[case::not_finite(Fault::NotFinite, FailureCategory::Transient, "ProviderAnswerInvalid")]
#[tokio::test]
async fn what_may_pass_is_tried_again(#[case] fault: Fault, #[case] category: FailureCategory, #[case] reason: &str) {
    let (outcomes, counts) = embed(Script::first([fault.clone(), fault.clone()]), json!({}), texts(["a", "b"])).await;
    assert_eq!((reasons(&outcomes), counts.requests), (vec!["ok"; 2], 3));

    let (outcomes, counts) = embed(Script::always(fault), json!({}), texts(["a", "b"])).await;
    assert_eq!((reasons(&outcomes), counts.requests), (vec![reason; 2], 3));
    assert!(outcomes.unwrap().iter().all(|outcome| outcome.as_ref().unwrap_err().category() == category));
}

#[tokio::test]
async fn a_provider_that_is_too_slow_is_a_timeout() {
    let server = start(Script::always(Fault::Slow { milliseconds: 60_000 })).await;
    let patience = Patience { tries: 1, ..QUICK };
    let provider = open(&server, json!({ "requestTimeoutSeconds": 1 }), patience).await.unwrap();
    let error = provider.embed(texts(["a"])).await.unwrap().remove(0).unwrap_err();
    assert_eq!((error.category(), error.reason()), (FailureCategory::Timeout, "ProviderTimeout"));
    assert!(error.to_string().contains("within 1 s; raise spec.embedding.openAI.requestTimeoutSeconds"), "{error}");
    assert_eq!(server.counts().requests, 1);
}

#[tokio::test]
async fn a_provider_that_is_not_there_is_unreachable() {
    let provider = open("http://127.0.0.1:1/v1?token=s3cret", json!({}), QUICK).await.unwrap();
    let outcomes = provider.embed(texts(["a"])).await;
    assert_eq!(reasons(&outcomes), ["ProviderUnreachable"]);
    let error = outcomes.unwrap().remove(0).unwrap_err().to_string();
    assert!(error.contains("at 127.0.0.1:1 cannot be reached") && !error.contains("s3cret"), "{error}");
}

/// What cannot get better ends the run: one request, and none after it.
#[rstest]
#[case::key(Fault::coded(401, "invalid_api_key"), "ProviderAccessDenied")]
#[case::forbidden(Fault::status(403), "ProviderAccessDenied")]
#[case::quota(Fault::coded(429, "insufficient_quota"), "ProviderQuotaExhausted")]
#[case::model(Fault::coded(404, "model_not_found"), "ProviderModelNotFound")]
#[case::redirect(Fault::status(302), "ProviderSettingInvalid")]
#[case::parameter(
    Fault::Status {
        status: 400,
        code: None,
        param: Some("dimensions".to_owned()),
        message: "no dimensions here".to_owned(),
        headers: BTreeMap::new(),
    },
    "ProviderRequestRefused"
)]
#[case::dimension(Fault::WrongDimension, "WrongDimension")]
#[tokio::test]
async fn what_cannot_get_better_ends_the_run(#[case] fault: Fault, #[case] reason: &str) {
    let server = start(Script::always(fault)).await;
    let provider = open(&server, json!({ "maxItemsPerRequest": 1 }), QUICK).await.unwrap();
    let first = provider.embed(texts(["a", "b", "c", "d", "e"])).await.unwrap_err();
    assert_eq!((first.reason(), first.ends_run()), (reason, true), "{first}");
    assert_eq!(provider.embed(texts(["f"])).await.unwrap_err(), first);
    assert_eq!(server.counts().requests, 1);
}

#[tokio::test]
async fn a_provider_that_refuses_every_text_ends_the_run_instead_of_blaming_the_texts() {
    let server = start(Script::always(Fault::status(400))).await;
    let provider = open(&server, json!({}), QUICK).await.unwrap();
    let error = provider.embed(texts(["a", "b", "c", "d"])).await.unwrap_err();
    assert_eq!((error.reason(), error.ends_run()), ("ProviderRequestRefused", true));
    assert_eq!(server.counts().requests, 2, "the texts, and a probe");
}

#[rstest]
#[case::seconds(Fault::slow_down([("retry-after", "0")]))]
#[case::date(Fault::RetryAfterDate { seconds: 0 })]
#[case::reset(Fault::slow_down([("x-ratelimit-remaining-requests", "0"), ("x-ratelimit-reset-requests", "20ms")]))]
#[case::nothing(Fault::slow_down([]))]
#[case::unavailable(Fault::Status {
    status: 503,
    code: None,
    param: None,
    message: String::new(),
    headers: [("retry-after".to_owned(), "0".to_owned())].into(),
})]
#[tokio::test]
async fn a_provider_that_tells_to_slow_down_is_waited_for(#[case] fault: Fault) {
    // more often than a request that fails is tried
    let (outcomes, counts) = embed(Script::first(vec![fault; 7]), json!({}), texts(["a", "b"])).await;
    assert_eq!((reasons(&outcomes), counts.requests), (vec!["ok"; 2], 8));
}

#[tokio::test]
async fn a_storm_is_ridden_out() {
    let script = Script { storm: Some(Fault::slow_down([("retry-after", "0")])), ..Script::default() };
    let (outcomes, counts) = embed(script, json!({ "maxItemsPerRequest": 1 }), vec!["a".to_owned(); 20]).await;
    assert_eq!(reasons(&outcomes), ["ok"; 20]);
    assert_eq!((counts.answered_texts, counts.statuses[&200], counts.statuses[&429]), (20, 20, 20));
}

#[tokio::test]
async fn the_pause_shows_while_it_lasts() {
    let server = start(Script::first([Fault::slow_down([("retry-after", "1")])])).await;
    let provider = open(&server, json!({}), QUICK).await.unwrap();
    let mut embedding = provider.embed(texts(["a"]));
    let until = loop {
        match tokio::time::timeout(Duration::from_millis(5), &mut embedding).await {
            Ok(_) => panic!("it did not wait"),
            Err(_) => {
                if let Some(until) = provider.rate_limited_until() {
                    break until;
                }
            }
        }
    };
    assert_eq!(server.counts().requests, 1);
    assert_eq!(reasons(&embedding.await), ["ok"]);
    assert!(jiff::Timestamp::now() >= until);
    assert_eq!((server.counts().requests, provider.rate_limited_until()), (2, None));
}

#[tokio::test]
async fn an_answer_that_used_up_the_limit_pauses_too() {
    let headers = [("x-ratelimit-remaining-tokens", "0"), ("x-ratelimit-reset-tokens", "6m0s")];
    let headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    let server = start(Script::always(Fault::Headers { headers })).await;
    let provider = open(&server, json!({}), QUICK).await.unwrap();
    assert_eq!(reasons(&provider.embed(texts(["a"])).await), ["ok"]);
    assert!(provider.rate_limited_until().is_some());
}

#[tokio::test]
async fn a_provider_that_never_takes_a_request_is_given_up() {
    let server = start(Script::always(Fault::slow_down([("retry-after", "0")]))).await;
    let patience = Patience { rate_limited_at_most: Duration::ZERO, ..QUICK };
    let provider = open(&server, json!({}), patience).await.unwrap();
    let error = provider.embed(texts(["a"])).await.unwrap().remove(0).unwrap_err();
    assert_eq!((error.category(), error.reason()), (FailureCategory::RateLimited, "ProviderRateLimited"));
    assert!(!error.ends_run());
}

#[rstest]
#[case::refused(POISON, "TextRefused", 8)]
#[case::too_long(LONG, "TextTooLong", 8)]
#[tokio::test]
async fn a_text_that_is_refused_stands_alone(#[case] marker: &str, #[case] reason: &str, #[case] requests: usize) {
    let mut given: Vec<String> = (0..8).map(|number| format!("text {number}")).collect();
    given[2].push_str(marker);
    let (outcomes, counts) = embed(Script::default(), json!({}), given).await;
    assert_eq!(reasons(&outcomes), ["ok", "ok", reason, "ok", "ok", "ok", "ok", "ok"]);
    // 0..8, a probe, 0..4, 0..2, 2..4, 2, 3, 4..8
    assert_eq!(counts.requests, requests);
    let error = outcomes.unwrap().remove(2).unwrap_err();
    assert_eq!(error.category(), FailureCategory::InvalidInput);
}

#[tokio::test]
async fn a_request_that_is_too_large_is_halved() {
    let script = Script { max_items: 2, ..Script::default() };
    let (outcomes, counts) = embed(script, json!({}), vec!["a".to_owned(); 4]).await;
    assert_eq!(reasons(&outcomes), ["ok"; 4]);
    assert_eq!(counts.requests, 4, "all, a probe, and two halves");
}

#[tokio::test]
async fn a_vector_that_is_not_finite_fails_its_text_only() {
    let (outcomes, counts) = embed(Script::default(), json!({}), texts(["a", &format!("b {NOT_FINITE}"), "c"])).await;
    assert_eq!(reasons(&outcomes), ["ok", "ProviderAnswerInvalid", "ok"]);
    assert_eq!((counts.requests, counts.texts), (3, 5), "only that text is asked for again");
}

#[tokio::test]
async fn a_text_that_is_too_long_or_empty_costs_no_request() {
    let long = "word ".repeat(50).trim_end().to_owned();
    let (outcomes, counts) =
        embed(Script::default(), json!({ "maxTokensPerText": 16 }), vec![long, " \n".to_owned()]).await;
    assert_eq!(
        outcomes.unwrap(),
        [Err(EmbedError::TextTooLong { tokens: 50, limit: 16 }), Err(EmbedError::Provider(ProviderError::EmptyText)),]
    );
    assert_eq!(counts.requests, 0);
}

#[tokio::test]
async fn a_text_is_cut_only_where_that_is_wanted() {
    let long = "word ".repeat(50).trim_end().to_owned();
    let settings = json!({ "maxTokensPerText": 20, "truncate": true });
    let (outcomes, counts) = embed(Script::default(), settings.clone(), vec![long.clone()]).await;
    let embedded = outcomes.unwrap().remove(0).unwrap();
    assert_eq!((embedded.tokens, counts.requests), (20, 1));
    assert_eq!(embedded.vector, vector("word ".repeat(20).trim_end(), 8));

    // a provider that counts otherwise: 20, a probe, 15, 11, 8
    let script = Script { max_words: 10, ..Script::default() };
    let (outcomes, counts) = embed(script, settings, vec![long]).await;
    let embedded = outcomes.unwrap().remove(0).unwrap();
    assert_eq!((embedded.vector, counts.requests), (vector("word ".repeat(8).trim_end(), 8), 5));
}

#[tokio::test]
async fn no_more_requests_are_open_than_are_allowed() {
    let server = start(Script::always(Fault::Slow { milliseconds: 20 })).await;
    let settings = json!({ "maxItemsPerRequest": 1, "maxConcurrentRequests": 2 });
    let provider = open(&server, settings, QUICK).await.unwrap();
    assert_eq!(provider.batch_texts(), 2);
    let (first, second) =
        futures::join!(provider.embed(vec!["a".to_owned(); 5]), provider.embed(vec!["b".to_owned(); 5]));
    assert_eq!((reasons(&first), reasons(&second)), (vec!["ok"; 5], vec!["ok"; 5]));
    assert!(server.counts().requests == 10 && server.counts().most_open <= 2, "{:?}", server.counts());
}

#[tokio::test]
async fn key_and_headers_come_out_of_files_and_show_nowhere() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("headers")).unwrap();
    fs::write(folder.path().join("key"), "sk-s3cret\n").unwrap();
    fs::write(folder.path().join("headers/api-key"), "azure-s3cret\n").unwrap();
    let settings = json!({
        "apiKeyFile": folder.path().join("key"),
        "headersDirectory": folder.path().join("headers"),
    });
    let required = [("authorization", "Bearer sk-s3cret"), ("api-key", "azure-s3cret")];
    let require = required.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    let (outcomes, counts) = embed(Script { require, ..Script::default() }, settings.clone(), texts(["a"])).await;
    assert_eq!((reasons(&outcomes), counts.requests), (vec!["ok"], 1));

    let fault = Fault::coded(403, "sk-s3cret and azure-s3cret");
    let error = embed(Script::always(fault), settings, texts(["a"])).await.0.unwrap_err();
    assert!(error.to_string().contains("refused by script: … and …") && !format!("{error:?}").contains("s3cret"));
}

#[tokio::test]
async fn a_server_is_trusted_by_the_ca_bundle() {
    let (server, certificate) = start_tls(Script::default()).await;
    let error = open(&server, json!({}), QUICK).await.unwrap().embed(texts(["a"])).await.unwrap_err();
    assert_eq!((error.reason(), error.ends_run()), ("ProviderCertificateUntrusted", true));
    assert!(error.to_string().contains("spec.embedding.openAI.caBundleConfigMapRef"), "{error}");

    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("ca.crt"), certificate).unwrap();
    let provider = open(&server, json!({ "caFile": folder.path().join("ca.crt") }), QUICK).await.unwrap();
    assert_eq!(reasons(&provider.embed(texts(["a"])).await), ["ok"]);
    assert_eq!(server.counts().requests, 1);
}

#[tokio::test]
async fn requests_go_through_the_proxy() {
    let proxy = start(Script::default()).await;
    let settings = json!({ "proxyUrl": format!("http://{}", proxy.address()) });
    let provider = open("http://provider.invalid/v1", settings, QUICK).await.unwrap();
    assert_eq!(reasons(&provider.embed(texts(["a"])).await), ["ok"]);
    assert_eq!((proxy.counts().requests, provider.fingerprint()), (1, "openai:provider.invalid/test-model/8"));
}

#[tokio::test]
async fn the_stand_in_is_scripted_over_http() {
    let server = start(Script::default()).await;
    let (client, base) = (reqwest::Client::new(), format!("http://{}", server.address()));
    let script = json!({ "requests": [{ "type": "Status", "status": 500 }], "then": { "type": "Reversed" } });
    let told =
        client.post(format!("{base}/script")).header("content-type", "application/json").body(script.to_string());
    assert!(told.send().await.unwrap().status().is_success());
    let provider = open(&server, json!({}), QUICK).await.unwrap();
    assert_eq!(reasons(&provider.embed(texts(["a", "b"])).await), ["ok"; 2]);
    let counts = client.get(format!("{base}/counts")).send().await.unwrap().text().await.unwrap();
    assert_eq!(serde_json::from_str::<Counts>(&counts).unwrap(), server.counts());
    assert_eq!(server.counts().statuses, [(200, 1), (500, 1)].into());
}
