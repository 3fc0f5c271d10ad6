//! The clients of the Kubernetes API. Sets up connections.
//!
//! The lease has a client, and so connections, of its own: nothing that the controllers do keeps a renewal waiting, and
//! what holds their writes back does not hold back the lease's.

use http::Request;
use kube::{
    Client, Config, Error,
    client::{Body, ClientBuilder},
};
use tower::filter::FilterLayer;

use crate::{leadership::Leadership, metrics::api_requests::ApiRequests};

/// A client for the lease.
///
/// # Errors
/// If the configuration cannot be used.
pub fn for_lease(config: Config, requests: &ApiRequests) -> Result<Client, Error> {
    Ok(ClientBuilder::try_from(config)?.with_layer(requests).build())
}

/// A client for the controllers, which writes while this process leads.
///
/// # Errors
/// If the configuration cannot be used.
pub fn for_controllers(mut config: Config, requests: &ApiRequests, leadership: &Leadership) -> Result<Client, Error> {
    // a retry within the client would be behind the fence; reconciles and watches try again by themselves
    config.default_retry = false;
    let leadership = leadership.clone();
    let fence = FilterLayer::new(move |request: Request<Body>| leadership.fence(request));
    Ok(ClientBuilder::try_from(config)?.with_layer(requests).with_layer(&fence).build())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use http::Response;
    use k8s_openapi::api::core::v1::ConfigMap;
    use kube::{
        Api,
        api::{DeleteParams, PostParams},
    };
    use tower::{ServiceBuilder, service_fn};

    use super::*;
    use crate::{
        controller::ControllerError,
        leadership::NotLeading,
        metrics::{Metrics, api_requests::Answer},
    };

    #[tokio::test]
    async fn a_write_that_comes_too_late_is_not_sent() {
        let (metrics, leadership) = (Metrics::default(), Leadership::default());
        let guard = leadership.clone();
        let server = service_fn(|_request: Request<Body>| async {
            Ok::<_, std::convert::Infallible>(Response::new(Body::from(br#"{"metadata": {}}"#.to_vec())))
        });
        let service = ServiceBuilder::new()
            .layer(FilterLayer::new(move |request: Request<Body>| guard.fence(request)))
            .layer(metrics.api_requests().clone())
            .service(server);
        let api: Api<ConfigMap> = Api::namespaced(Client::new(service, "docs"), "docs");
        let create =
            async || api.create(&PostParams::default(), &ConfigMap::default()).await.map_err(ControllerError::from);

        let late = create().await.unwrap_err();
        assert!(matches!(late, ControllerError::NotLeading(NotLeading)), "{late}");
        assert!(api.get("a").await.is_ok(), "reading is no harm");
        let sent = |verb| metrics.api_requests().sent(verb, "configmaps", Answer::Status(200));
        assert_eq!((sent("get"), sent("create")), (1, 0));

        leadership.extend(leadership.now() + Duration::from_secs(60));
        create().await.unwrap();
        leadership.end();
        assert!(api.delete("a", &DeleteParams::default()).await.is_err());
        assert_eq!((sent("create"), sent("delete")), (1, 0));
    }
}
