//! Everything that the checks look at. Reads the cluster, and nothing else does here.

use futures::future::join_all;
use k8s_openapi::{
    api::{
        authentication::v1::SelfSubjectReview,
        authorization::v1::{ResourceAttributes, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec},
        coordination::v1::Lease,
        core::v1::{ConfigMap, PersistentVolumeClaim, Pod},
        storage::v1::StorageClass,
    },
    apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition,
};
use kube::{
    Api, Resource,
    api::{ListParams, PostParams},
    core::{ClusterResourceScope, NamespaceResourceScope, request::Request},
};
use lexigram_api::pod::STORE_CLAIM;
use serde::de::DeserializeOwned;

use super::checks::access::{NEEDS, Need};
use crate::{
    cluster::Cluster,
    error::PluginError,
    kind::Kind,
    objects::{Object, Scope, list},
    operator::{Operator, OperatorArguments, find, serving},
};

/// Port of the operator's metrics.
const ADMIN_PORT: u16 = 8080;

/// What was asked for, or why it could not be had.
pub type Seen<T> = Result<T, PluginError>;

/// Everything that the checks look at.
pub struct Observed {
    /// The namespace that the user works in.
    pub namespace: String,
    /// Version of the API server.
    pub server: Seen<String>,
    /// The CRDs by their name; none for one that is not there.
    pub crds: Vec<(String, Seen<Option<CustomResourceDefinition>>)>,
    /// Operators.
    pub operators: Seen<Vec<Operator>>,
    /// More of the operator that watches the namespace, if there is one.
    pub process: Option<Process>,
    /// StorageClasses.
    pub classes: Seen<Vec<StorageClass>>,
    /// The claim of the namespace's embedded stores.
    pub claim: Seen<Option<PersistentVolumeClaim>>,
    /// The user's name.
    pub user: String,
    /// What the user may do of what the plugin needs.
    pub access: Seen<Vec<(Need, bool)>>,
    /// The objects of the namespace.
    pub objects: Seen<Vec<Object>>,
}

/// What surrounds an operator's Deployment.
pub struct Process {
    /// Its lease.
    pub lease: Seen<Option<Lease>>,
    /// Its configuration.
    pub config: Seen<Option<ConfigMap>>,
    /// Its pods.
    pub pods: Seen<Vec<Pod>>,
    /// Its metrics; none where no pod answers.
    pub metrics: Seen<Option<String>>,
}

/// Looks at everything, at the same time.
pub async fn observe(cluster: &Cluster, arguments: &OperatorArguments) -> Observed {
    let (server, crds, operators, classes, claim, user, access, objects) = tokio::join!(
        server(cluster),
        crds(cluster),
        find(cluster, arguments),
        all::<StorageClass>(cluster),
        one::<PersistentVolumeClaim>(cluster, &cluster.namespace, STORE_CLAIM),
        user(cluster),
        access(cluster),
        list(cluster, &Scope::Namespace),
    );
    let process = match operators.as_ref().ok().and_then(|operators| serving(operators, &cluster.namespace)) {
        Some(operator) => Some(process(cluster, operator).await),
        None => None,
    };
    let namespace = cluster.namespace.clone();
    Observed { namespace, server, crds, operators, process, classes, claim, user, access, objects }
}

async fn server(cluster: &Cluster) -> Seen<String> {
    Ok(cluster.client.apiserver_version().await?.git_version)
}

async fn crds(cluster: &Cluster) -> Vec<(String, Seen<Option<CustomResourceDefinition>>)> {
    let api: Api<CustomResourceDefinition> = Api::all(cluster.client.clone());
    let found = Kind::ALL.map(|kind| {
        let (resource, api) = (kind.resource(), api.clone());
        async move {
            let name = format!("{}.{}", resource.plural, resource.group);
            let crd = api.get_opt(&name).await.map_err(PluginError::from);
            (name, crd)
        }
    });
    join_all(found).await
}

async fn process(cluster: &Cluster, operator: &Operator) -> Process {
    let (namespace, name) = operator.place();
    let lease = operator.setting("LEXIGRAM_LEASE_NAME").unwrap_or(&name);
    let pods: Api<Pod> = Api::namespaced(cluster.client.clone(), &namespace);
    let selector = ListParams::default().labels(&operator.selector());
    let (lease, config, pods) = tokio::join!(
        one::<Lease>(cluster, &namespace, lease),
        one::<ConfigMap>(cluster, &namespace, &name),
        pods.list(&selector),
    );
    let pods: Seen<Vec<Pod>> = pods.map(|pods| pods.items).map_err(PluginError::from);
    let leader = lease.iter().flatten().find_map(|lease| lease.spec.as_ref()?.holder_identity.clone());
    let metrics = match leader.filter(|pod| !pod.is_empty()) {
        Some(pod) => metrics(cluster, &namespace, &pod).await.map(Some),
        None => Ok(None),
    };
    Process { lease, config, pods, metrics }
}

/// The metrics of a pod, through the API server.
async fn metrics(cluster: &Cluster, namespace: &str, pod: &str) -> Seen<String> {
    let pods = Request::new(Pod::url_path(&(), Some(namespace)));
    let request = pods.get_subresource("proxy/metrics", &format!("{pod}:{ADMIN_PORT}"));
    let request = request.map_err(|error| PluginError::from(kube::Error::BuildRequest(error)))?;
    Ok(cluster.client.request_text(request).await?)
}

async fn user(cluster: &Cluster) -> String {
    let api: Api<SelfSubjectReview> = Api::all(cluster.client.clone());
    let review = api.create(&PostParams::default(), &SelfSubjectReview::default()).await;
    let name = review.ok().and_then(|review| review.status?.user_info?.username);
    // who cannot ask who he is knows it
    name.unwrap_or_else(|| "YOU".to_owned())
}

async fn access(cluster: &Cluster) -> Seen<Vec<(Need, bool)>> {
    let api: Api<SelfSubjectAccessReview> = Api::all(cluster.client.clone());
    let answers = NEEDS.iter().map(|need| {
        let attributes = ResourceAttributes {
            namespace: Some(cluster.namespace.clone()),
            group: Some(need.group.to_owned()),
            resource: Some(need.resource.to_owned()),
            subresource: need.subresource.map(str::to_owned),
            verb: Some(need.verb.to_owned()),
            ..Default::default()
        };
        let spec = SelfSubjectAccessReviewSpec { resource_attributes: Some(attributes), ..Default::default() };
        let review = SelfSubjectAccessReview { spec, ..Default::default() };
        let api = api.clone();
        async move {
            let answer = api.create(&PostParams::default(), &review).await?;
            Ok::<_, PluginError>((*need, answer.status.is_some_and(|status| status.allowed)))
        }
    });
    join_all(answers).await.into_iter().collect()
}

async fn one<K>(cluster: &Cluster, namespace: &str, name: &str) -> Seen<Option<K>>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + std::fmt::Debug + DeserializeOwned,
{
    Ok(Api::<K>::namespaced(cluster.client.clone(), namespace).get_opt(name).await?)
}

async fn all<K>(cluster: &Cluster) -> Seen<Vec<K>>
where
    K: Resource<DynamicType = (), Scope = ClusterResourceScope> + Clone + std::fmt::Debug + DeserializeOwned,
{
    Ok(Api::<K>::all(cluster.client.clone()).list(&ListParams::default()).await?.items)
}
