//! What comes of requests to real and mock servers on this machine.

use std::fs;

use lexigram_api::failure::FailureCategory;
use rstest::rstest;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};
use wiremock::{
    Mock, MockServer, ResponseTemplate,
    matchers::{any, header, method, path},
};

use super::*;
use crate::failure::Classified;

/// A source that may reach the servers of these tests.
fn source(urls: Vec<String>, headers: Option<&str>) -> Web {
    crate::install_tls_provider();
    let access = NetworkAccess { allow_local_addresses: true, ca_file: None };
    Web::open(&urls, None, headers, &access, NameFilter::new(&[], &[]).unwrap()).unwrap()
}

fn secret() -> tempfile::TempDir {
    let secret = tempfile::tempdir().unwrap();
    fs::write(secret.path().join("X-Api-Key"), "s3cret\n").unwrap();
    secret
}

#[tokio::test]
async fn a_document_is_fetched_with_the_headers_of_the_secret() {
    let server = MockServer::start().await;
    Mock::given(path("/a.html"))
        .and(header("x-api-key", "s3cret"))
        .respond_with(ResponseTemplate::new(200).set_body_raw("<p>hello</p>", "text/html; charset=utf-8"))
        .expect(2)
        .mount(&server)
        .await;
    let secret = secret();
    let url = format!("{}/a.html", server.uri());
    let source = source(vec![url.clone()], secret.path().to_str());
    let fetched = source.fetch(&url, 1000).await.unwrap();
    assert_eq!(fetched.content.in_memory().unwrap(), b"<p>hello</p>");
    assert_eq!(fetched.media_type.as_deref(), Some("text/html; charset=utf-8"));
    assert!(matches!(source.fetch(&url, 5).await, Err(SourceError::TooLarge { limit: 5 })));
}

#[tokio::test]
async fn a_redirect_to_another_host_does_not_get_the_headers() {
    let (first, second) = (MockServer::start().await, MockServer::start().await);
    let moved = ResponseTemplate::new(302).insert_header("Location", format!("{}/b", second.uri()));
    Mock::given(header("x-api-key", "s3cret")).respond_with(moved).expect(1).mount(&first).await;
    Mock::given(any()).respond_with(ResponseTemplate::new(200).set_body_string("moved")).mount(&second).await;
    let secret = secret();
    let url = format!("{}/a", first.uri());
    let source = source(vec![url.clone()], secret.path().to_str());
    assert_eq!(source.fetch(&url, 100).await.unwrap().content.in_memory().unwrap(), b"moved");
    let requests = second.received_requests().await.unwrap();
    assert!(requests.iter().all(|request| !request.headers.contains_key("x-api-key")), "{requests:?}");
}

#[tokio::test]
async fn redirects_in_a_circle_end() {
    let server = MockServer::start().await;
    let again = ResponseTemplate::new(301).insert_header("Location", "/again");
    Mock::given(any()).respond_with(again).expect(6).mount(&server).await;
    let error = source(vec![server.uri()], None).fetch(&server.uri(), 100).await.unwrap_err();
    assert_eq!(error.reason(), "TooManyRedirects");
}

#[tokio::test]
async fn a_server_that_asks_to_slow_down_is_asked_again() {
    let server = MockServer::start().await;
    let slow_down = ResponseTemplate::new(429).insert_header("Retry-After", "0");
    Mock::given(any()).respond_with(slow_down.clone()).up_to_n_times(2).mount(&server).await;
    Mock::given(any()).respond_with(ResponseTemplate::new(200).set_body_string("at last")).mount(&server).await;
    let source = source(vec![server.uri()], None);
    assert_eq!(source.fetch(&server.uri(), 100).await.unwrap().content.in_memory().unwrap(), b"at last");

    server.reset().await;
    Mock::given(any()).respond_with(slow_down).expect(4).mount(&server).await;
    assert_eq!(source.fetch(&server.uri(), 100).await.unwrap_err().reason(), "SourceRateLimited");

    server.reset().await;
    let much_later = ResponseTemplate::new(429).insert_header("Retry-After", "86400");
    Mock::given(any()).respond_with(much_later).expect(1).mount(&server).await;
    assert_eq!(source.fetch(&server.uri(), 100).await.unwrap_err().reason(), "SourceRateLimited");
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_a_passing_failure() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let server = tokio::spawn(async move {
        let (mut connection, _) = listener.accept().await.unwrap();
        let _request = connection.read(&mut [0; 4096]).await.unwrap();
        connection.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf of").await.unwrap();
    });
    let error = source(vec![url.clone()], None).fetch(&url, 1000).await.unwrap_err();
    server.await.unwrap();
    assert_eq!(error.reason(), "SourceUnreachable", "{error}");
}

#[tokio::test]
async fn a_dead_server_is_a_passing_failure_and_the_url_stays_out_of_the_message() {
    let url = "http://127.0.0.1:1/?token=s3cret".to_owned();
    let error = source(vec![url.clone()], None).fetch(&url, 10).await.unwrap_err();
    assert_eq!(error.reason(), "SourceUnreachable");
    assert!(!error.to_string().contains("s3cret"), "{error}");
}

#[rstest]
#[case("handbook.html")]
#[case("ftp://a.example/x")]
#[tokio::test]
async fn a_url_that_cannot_be_requested_names_the_field(#[case] url: &str) {
    let error = source(vec![url.to_owned()], None).fetch(url, 10).await.unwrap_err().to_string();
    assert!(error.starts_with("spec.source.http.urls: the URL cannot be requested"), "{error}");
}

#[rstest]
#[case::address("http://169.254.169.254/latest/meta-data/")]
#[case::name("http://localhost:1/")]
#[tokio::test]
async fn a_redirect_to_a_local_address_is_refused(#[case] target: &str) {
    crate::install_tls_provider();
    let server = MockServer::start().await;
    let moved = ResponseTemplate::new(302).insert_header("Location", target);
    Mock::given(any()).respond_with(moved).expect(1).mount(&server).await;
    // the first host is past the rule: its address is given, not resolved
    let known = |builder: reqwest::ClientBuilder| builder.resolve("docs.example", *server.address());
    let client = Client::with_limits(&NetworkAccess::default(), None, known).unwrap();
    let url = parse(&format!("http://docs.example:{}/", server.address().port())).unwrap();
    let error = client.request(&Method::GET, &url, true).await.err().unwrap();
    assert_eq!((error.reason(), error.category()), ("LocalAddress", FailureCategory::InvalidInput), "{error}");
}

#[tokio::test]
async fn a_url_of_the_spec_at_a_local_address_is_a_wrong_setting() {
    crate::install_tls_provider();
    let server = MockServer::start().await;
    Mock::given(any()).respond_with(ResponseTemplate::new(200)).expect(0).mount(&server).await;
    let filter = NameFilter::new(&[], &[]).unwrap();
    let source = Web::open(&[server.uri()], None, None, &NetworkAccess::default(), filter).unwrap();
    let error = source.fetch(&server.uri(), 100).await.unwrap_err();
    assert_eq!((error.reason(), error.category()), ("LocalAddress", FailureCategory::Configuration), "{error}");
}

#[tokio::test]
async fn a_listing_tells_versions_without_a_download() {
    let server = MockServer::start().await;
    let tagged = ResponseTemplate::new(200).insert_header("ETag", "\"1\"").insert_header("Last-Modified", "x");
    let dated = ResponseTemplate::new(200).insert_header("Last-Modified", "Tue, 24 Nov 2026 10:00:09 GMT");
    Mock::given(method("HEAD")).and(path("/tagged")).respond_with(tagged).mount(&server).await;
    Mock::given(method("HEAD")).and(path("/dated")).respond_with(dated).mount(&server).await;
    let url = |path: &str| format!("{}/{path}", server.uri());
    let source = source(vec![url("tagged"), url("dated"), url("no-head")], None);
    let listed: Vec<_> = source.list().map(|listed| listed.unwrap()).collect().await;
    let expected = [("tagged", Some("\"1\"")), ("dated", Some("Tue, 24 Nov 2026 10:00:09 GMT")), ("no-head", None)];
    let expected = expected.map(|(name, version)| Listed { name: url(name), version: version.map(str::to_owned) });
    assert_eq!(listed, expected);
}
