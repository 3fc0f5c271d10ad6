//! The identity of a pod, exchanged at mock servers.

use std::collections::BTreeMap;

use lexigram_api::contract::NetworkAccess;
use wiremock::{
    Mock, MockServer, ResponseTemplate,
    matchers::{any, body_string_contains, header, method, path},
};

use super::identity::Identity;
use crate::{failure::Classified, source::SourceError};

fn identity(variables: &[(&str, &str)]) -> Option<Identity> {
    crate::install_tls_provider();
    let variables: BTreeMap<_, _> = variables.iter().copied().collect();
    let variable = |name: &str| variables.get(name).map(|value| (*value).to_owned());
    Identity::of_environment(variable, "eu-west-1", &NetworkAccess::default()).unwrap()
}

fn token() -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "t0ken\n").unwrap();
    file
}

const ROLE: &str = "arn:aws:iam::1:role/docs";

#[test]
fn a_pod_without_identity_has_none() {
    assert!(identity(&[]).is_none());
    assert!(identity(&[("AWS_ROLE_ARN", ROLE)]).is_none());
    assert!(identity(&[("AWS_CONTAINER_CREDENTIALS_FULL_URI", "")]).is_none());
}

#[tokio::test]
async fn a_web_identity_token_is_exchanged() {
    let answer = "<AssumeRoleWithWebIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">
        <AssumeRoleWithWebIdentityResult><Credentials><AccessKeyId>ASIA1</AccessKeyId>
        <SecretAccessKey>a/b+c</SecretAccessKey><SessionToken>s&amp;t</SessionToken>
        <Expiration>2026-11-27T20:00:00Z</Expiration></Credentials></AssumeRoleWithWebIdentityResult>
        </AssumeRoleWithWebIdentityResponse>";
    let server = MockServer::start().await;
    Mock::given(method("POST"))
        .and(body_string_contains("Action=AssumeRoleWithWebIdentity"))
        .and(body_string_contains("WebIdentityToken=t0ken"))
        .and(body_string_contains("RoleArn=arn%3Aaws%3Aiam%3A%3A1%3Arole%2Fdocs"))
        .respond_with(ResponseTemplate::new(200).set_body_string(answer))
        .mount(&server)
        .await;
    let token = token();
    let identity = identity(&[
        ("AWS_ROLE_ARN", ROLE),
        ("AWS_WEB_IDENTITY_TOKEN_FILE", token.path().to_str().unwrap()),
        ("AWS_ENDPOINT_URL_STS", &server.uri()),
    ]);
    let temporary = identity.unwrap().exchange().await.unwrap();
    let credentials = &temporary.credentials;
    assert_eq!((credentials.key(), credentials.secret(), credentials.token()), ("ASIA1", "a/b+c", Some("s&t")));
    assert_eq!(temporary.ends.to_string(), "2026-11-27T20:00:00Z");
}

#[tokio::test]
async fn the_agent_of_the_node_is_asked_with_its_token() {
    let answer = r#"{"AccessKeyId": "ASIA2", "SecretAccessKey": "s", "Token": "t", "Expiration": "2026-11-27T20:00:00Z",
        "AccountId": "1"}"#;
    let server = MockServer::start().await;
    Mock::given(path("/v1/credentials"))
        .and(header("authorization", "t0ken"))
        .respond_with(ResponseTemplate::new(200).set_body_string(answer))
        .mount(&server)
        .await;
    let token = token();
    let identity = identity(&[
        ("AWS_CONTAINER_CREDENTIALS_FULL_URI", &format!("{}/v1/credentials", server.uri())),
        ("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", token.path().to_str().unwrap()),
    ]);
    let temporary = identity.unwrap().exchange().await.unwrap();
    assert_eq!((temporary.credentials.key(), temporary.credentials.token()), ("ASIA2", Some("t")));
}

#[tokio::test]
async fn a_role_that_may_not_be_assumed_is_an_authentication_error() {
    let refusal =
        "<ErrorResponse><Error><Code>AccessDenied</Code><Message>Not authorized</Message></Error></ErrorResponse>";
    let server = MockServer::start().await;
    Mock::given(any()).respond_with(ResponseTemplate::new(403).set_body_string(refusal)).mount(&server).await;
    let token = token();
    let identity = identity(&[
        ("AWS_ROLE_ARN", ROLE),
        ("AWS_WEB_IDENTITY_TOKEN_FILE", token.path().to_str().unwrap()),
        ("AWS_ENDPOINT_URL_STS", &server.uri()),
    ]);
    let error: SourceError = identity.unwrap().exchange().await.err().unwrap();
    assert_eq!(error.reason(), "IdentityRefused");
    assert!(error.to_string().contains("HTTP 403 AccessDenied: Not authorized"), "{error}");
    assert!(error.to_string().contains("check spec.worker.serviceAccountName"), "{error}");
}
