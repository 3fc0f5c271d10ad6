//! Signed requests to an S3 server. Sends HTTP requests.

use std::time::Duration;

use lexigram_api::{contract::NetworkAccess, source::S3Settings};
use reqwest::{Client, Response, Url};
use rusty_s3::{
    Bucket, Credentials, S3Action, UrlStyle,
    actions::{GetObject, ListObjectsV2},
};

use super::{
    answer::{complaint, refusal},
    credentials::CredentialSource,
    domain,
};
use crate::source::{
    SourceError,
    egress::{Egress, unusable},
    secret,
    web::{connection, read_some},
};

/// How long a whole answer may take.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(300);
/// How long a signature is good for: more than the clocks of two machines differ.
const SIGNATURE_LIFETIME: Duration = Duration::from_secs(900);
/// Most bytes of an answer that says what is wrong.
const COMPLAINT_BYTES: usize = 64 * 1024;

/// A bucket at its server.
pub(super) struct Server {
    http: Client,
    egress: Egress,
    bucket: Bucket,
    credentials: CredentialSource,
}

impl Server {
    pub(super) fn open(
        settings: &S3Settings,
        credentials_directory: Option<&str>,
        access: &NetworkAccess,
    ) -> Result<Self, SourceError> {
        let egress = Egress::new("spec.source.s3", access);
        let http = egress.client(access)?.timeout(REQUEST_TIMEOUT).build().map_err(|error| unusable(&error))?;
        let bucket = bucket(settings)?;
        let credentials = CredentialSource::open(credentials_directory, &settings.region, access)?;
        Ok(Self { http, egress, bucket, credentials })
    }

    /// A page of the listing.
    pub(super) async fn list(&self, prefix: &str, token: Option<&str>) -> Result<Response, SourceError> {
        let credentials = self.credentials.get().await?;
        let mut list = ListObjectsV2::new(&self.bucket, credentials.as_deref());
        list.with_prefix(prefix);
        if let Some(token) = token {
            list.with_continuation_token(token);
        }
        self.send(list.sign(SIGNATURE_LIFETIME), credentials.as_deref()).await
    }

    /// An object.
    pub(super) async fn get(&self, key: &str) -> Result<Response, SourceError> {
        if key.split('/').any(|part| matches!(part, "." | "..")) {
            let problem = "a part '.' or '..' of a key has another meaning in a URL; rename the object".to_owned();
            return Err(SourceError::Name { problem });
        }
        let credentials = self.credentials.get().await?;
        let get = GetObject::new(&self.bucket, credentials.as_deref(), key);
        self.send(get.sign(SIGNATURE_LIFETIME), credentials.as_deref()).await
    }

    async fn send(&self, url: Url, credentials: Option<&Credentials>) -> Result<Response, SourceError> {
        self.egress.check(&url, true)?;
        let refused = |error| self.egress.refusal(&error, &url, true).unwrap_or_else(|| connection(&error));
        let response = self.http.get(url.clone()).send().await.map_err(refused)?;
        if response.status().is_success() {
            return Ok(response);
        }
        let (status, headers) = (response.status(), response.headers().clone());
        let complaint = complaint(&read_some(response, COMPLAINT_BYTES).await.unwrap_or_default());
        Err(refusal(status, &headers, &complaint, self.bucket.name(), credentials.is_some()))
    }
}

fn bucket(settings: &S3Settings) -> Result<Bucket, SourceError> {
    let S3Settings { bucket, prefix: _, region, endpoint, path_style } = settings;
    let invalid =
        |field: &str, problem: String| SourceError::Setting { field: format!("spec.source.s3.{field}"), problem };
    let url = match endpoint {
        Some(endpoint) => Url::parse(endpoint).map_err(|error| {
            invalid("endpoint", format!("is no URL ({error}); give one such as https://s3.example.com"))
        })?,
        None => Url::parse(&format!("https://s3.{region}.{}", domain(region)))
            .map_err(|error| invalid("region", format!("makes no host name ({error})")))?,
    };
    secret::no_login(&url, "spec.source.s3.endpoint")?;
    // a dot in the bucket's name would not fit the server's certificate
    let in_path = path_style.unwrap_or(endpoint.is_some() || bucket.contains('.'));
    let style = if in_path { UrlStyle::Path } else { UrlStyle::VirtualHost };
    Bucket::new(url, style, bucket.clone(), region.clone())
        .map_err(|error| invalid("bucket", format!("makes no URL at this endpoint ({error}); try pathStyle: true")))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::{Value, json};

    use super::*;

    fn settings(settings: Value) -> S3Settings {
        serde_json::from_value(settings).unwrap()
    }

    #[rstest]
    #[case::aws(json!({"bucket": "docs", "region": "eu-west-1"}), "https://docs.s3.eu-west-1.amazonaws.com/")]
    #[case::china(json!({"bucket": "docs", "region": "cn-north-1"}), "https://docs.s3.cn-north-1.amazonaws.com.cn/")]
    #[case::dot(json!({"bucket": "docs.example", "region": "eu-west-1"}), "https://s3.eu-west-1.amazonaws.com/docs.example/")]
    #[case::elsewhere(json!({"bucket": "docs", "endpoint": "http://minio:9000"}), "http://minio:9000/docs/")]
    #[case::below_a_path(json!({"bucket": "docs", "endpoint": "https://x.example/s3/"}), "https://x.example/s3/docs/")]
    #[case::by_host(json!({"bucket": "docs", "endpoint": "https://x.example", "pathStyle": false}), "https://docs.x.example/")]
    fn a_bucket_has_its_url(#[case] value: Value, #[case] url: &str) {
        assert_eq!(bucket(&settings(value)).unwrap().base_url().as_str(), url);
    }

    #[rstest]
    #[case(json!({"bucket": "docs", "endpoint": "minio"}), "spec.source.s3.endpoint: is no URL")]
    #[case(json!({"bucket": "docs", "endpoint": "https://a:b@x.example"}), "spec.source.s3.endpoint: holds a user")]
    #[case(json!({"bucket": "docs", "endpoint": "http://10.0.0.1", "pathStyle": false}), "spec.source.s3.bucket: makes no URL")]
    fn what_makes_no_url_is_named(#[case] value: Value, #[case] message: &str) {
        let error = bucket(&settings(value)).unwrap_err().to_string();
        assert!(error.starts_with(message), "{error}");
    }
}
