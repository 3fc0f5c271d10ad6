//! Requests to the Kubernetes API, counted where they are sent. No I/O of its own.

use std::{
    sync::atomic::AtomicU64,
    task::{Context, Poll},
};

use futures::{FutureExt, future::BoxFuture};
use http::{Method, Request, Response, Uri};
use prometheus_client::{
    encoding::{EncodeLabelSet, EncodeLabelValue, LabelValueEncoder},
    metrics::{counter::Counter, family::Family},
    registry::Registry,
};
use tower::{Layer, Service};

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Labels {
    verb: &'static str,
    resource: String,
    code: Answer,
}

/// How the API server answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Answer {
    /// With that HTTP status.
    Status(u16),
    /// Not at all.
    None,
}

impl EncodeLabelValue for Answer {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> Result<(), std::fmt::Error> {
        match self {
            Self::Status(code) => u64::from(*code).encode(encoder),
            Self::None => "none".encode(encoder),
        }
    }
}

/// Counts the requests of every client that it is a layer of.
#[derive(Clone, Debug, Default)]
pub struct ApiRequests(Family<Labels, Counter<u64, AtomicU64>>);

impl ApiRequests {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let requests = Self::default();
        let help = "Requests to the Kubernetes API by verb, resource and HTTP status, or none for no answer";
        registry.register("api_requests", help, requests.0.clone());
        requests
    }

    /// A request was answered.
    pub(super) fn answered(&self, method: &Method, uri: &Uri, code: Answer) {
        let labels = Labels { verb: verb(method, uri), resource: resource(uri.path()), code };
        self.0.get_or_create(&labels).inc();
    }

    /// How many there were.
    #[cfg(test)]
    pub(crate) fn sent(&self, verb: &'static str, resource: &str, code: Answer) -> u64 {
        self.0.get_or_create(&Labels { verb, resource: resource.to_owned(), code }).get()
    }
}

impl<Inner> Layer<Inner> for ApiRequests {
    type Service = Counted<Inner>;

    fn layer(&self, inner: Inner) -> Self::Service {
        Counted { inner, requests: self.clone() }
    }
}

/// A client whose requests are counted.
#[derive(Clone, Debug)]
pub struct Counted<Inner> {
    inner: Inner,
    requests: ApiRequests,
}

impl<Inner, Sent, Received> Service<Request<Sent>> for Counted<Inner>
where
    Inner: Service<Request<Sent>, Response = Response<Received>>,
    Inner::Future: Send + 'static,
{
    type Response = Inner::Response;
    type Error = Inner::Error;
    type Future = BoxFuture<'static, Result<Self::Response, Self::Error>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<Sent>) -> Self::Future {
        let (requests, method, uri) = (self.requests.clone(), request.method().clone(), request.uri().clone());
        self.inner
            .call(request)
            .inspect(move |answer| {
                let code = answer.as_ref().map_or(Answer::None, |answer| Answer::Status(answer.status().as_u16()));
                requests.answered(&method, &uri, code);
            })
            .boxed()
    }
}

/// The word for it that roles and the API server's own metrics use.
fn verb(method: &Method, uri: &Uri) -> &'static str {
    let watches = uri.query().is_some_and(|query| query.split('&').any(|part| part == "watch=true"));
    match method.as_str() {
        "GET" if watches => "watch",
        "GET" if is_named(uri.path()) => "get",
        "GET" => "list",
        "POST" => "create",
        "PUT" => "update",
        "PATCH" => "patch",
        "DELETE" => "delete",
        _ => "other",
    }
}

/// The path below the version, and below the namespace where there is one.
fn below_namespace(path: &str) -> impl Iterator<Item = &str> {
    let parts = path.trim_matches('/').split('/');
    // /api/v1/…, /apis/GROUP/VERSION/…
    let prefix = if path.starts_with("/apis/") { 3 } else { 2 };
    let mut parts = parts.skip(prefix).peekable();
    if parts.peek() == Some(&"namespaces") {
        parts.by_ref().take(2).for_each(drop);
    }
    parts
}

fn is_named(path: &str) -> bool {
    below_namespace(path).nth(1).is_some()
}

/// "jobs", or "ingestionjobs/status" where it is about a part: there are as many as the controllers deal with.
fn resource(path: &str) -> String {
    let mut parts = below_namespace(path);
    let resource = parts.next().unwrap_or_default();
    match parts.nth(1) {
        Some(part) => format!("{resource}/{part}"),
        None => resource.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case(Method::GET, "/api/v1/pods?&watch=true&limit=5", "watch", "pods")]
    #[case(Method::GET, "/apis/batch/v1/jobs?&limit=500", "list", "jobs")]
    #[case(Method::GET, "/apis/batch/v1/namespaces/docs/jobs?watch=false", "list", "jobs")]
    #[case(Method::GET, "/api/v1/namespaces/docs/configmaps/a", "get", "configmaps")]
    #[case(Method::POST, "/apis/batch/v1/namespaces/docs/jobs?&fieldManager=x", "create", "jobs")]
    #[case(Method::PUT, "/apis/coordination.k8s.io/v1/namespaces/a/leases/b", "update", "leases")]
    #[case(
        Method::PATCH,
        "/apis/workers.lexigram.dev/v1alpha1/namespaces/a/ingestionjobs/b/status",
        "patch",
        "ingestionjobs/status"
    )]
    #[case(Method::DELETE, "/apis/batch/v1/namespaces/docs/jobs/a", "delete", "jobs")]
    fn requests_are_told_apart_by_verb_and_resource(
        #[case] method: Method,
        #[case] uri: Uri,
        #[case] expected: &'static str,
        #[case] of: &str,
    ) {
        assert_eq!((verb(&method, &uri), resource(uri.path()).as_str()), (expected, of));
    }
}
