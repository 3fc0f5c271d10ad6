//! The operators of a release and the lease that they share. Reads the cluster.

use k8s_openapi::api::{coordination::v1::Lease, core::v1::Pod};
use kube::{api::ListParams, runtime::watcher::Config};

use crate::{
    cluster::kubectl,
    sandbox::{OPERATORS, Sandbox},
    wait::{until, until_object},
};

/// The lease of a release.
const LEASE: &str = "lexigram-operator";

/// Who holds a lease: the name of its pod.
#[must_use]
pub fn holder(lease: &Lease) -> Option<&str> {
    lease.spec.as_ref()?.holder_identity.as_deref().filter(|holder| !holder.is_empty())
}

impl Sandbox {
    /// Waits until so many operators are there, none of which is being stopped.
    pub async fn until_operators(&self, number: usize) {
        let what = format!("{number} operators run");
        until(self.api::<Pod>(), Config::default().labels(OPERATORS), &what, |pods: &[&Pod]| {
            let ready = |pod: &&&Pod| {
                let conditions = pod.status.as_ref().and_then(|status| status.conditions.as_ref());
                let is_ready = conditions.into_iter().flatten().any(|it| it.type_ == "Ready" && it.status == "True");
                pod.metadata.deletion_timestamp.is_none() && is_ready
            };
            (pods.iter().filter(ready).count() >= number).then_some(())
        })
        .await;
    }

    /// Waits until the lease is held by somebody else than `other`.
    pub async fn until_lease(&self, other: Option<&str>) -> Lease {
        let what = format!("is held, and not by {other:?}");
        until_object(self.api::<Lease>(), LEASE, &what, |lease: &Lease| {
            holder(lease).is_some_and(|holder| Some(holder) != other).then(|| lease.clone())
        })
        .await
    }

    /// The metrics of an operator.
    ///
    /// # Panics
    /// If its pod does not answer.
    #[must_use]
    pub fn metrics(&self, pod: &str) -> String {
        let path = format!("/api/v1/namespaces/{}/pods/{pod}:8080/proxy/metrics", self.namespace);
        kubectl(&["get", "--raw", &path]).unwrap()
    }
}

/// The pod of that name.
#[must_use]
pub fn named(pod: &str) -> ListParams {
    ListParams::default().fields(&format!("metadata.name={pod}"))
}
