//! What the operator may do: what docs/security.md lists, and nothing else.

use std::collections::BTreeSet;

use axum::http::Request;
use k8s_openapi::api::{
    authorization::v1::{SelfSubjectRulesReview, SelfSubjectRulesReviewSpec},
    rbac::v1::{ClusterRole, ClusterRoleBinding},
};
use kube::{
    Api, Client, ResourceExt,
    api::{ListParams, PostParams},
};
use lexigram_tests::sandbox;
use serde_json::json;

/// Name of the operator's ServiceAccount, Role and lease.
const OPERATOR: &str = "lexigram-operator";

/// In a namespace that is watched.
const RULES: [(&str, &[&str]); 16] = [
    ("configmaps", &["get", "create", "delete"]),
    ("cronjobs.batch", &["get", "list", "watch", "create", "update", "patch", "delete"]),
    ("embeddingbatches.workers.lexigram.dev", &["get", "list", "watch", "delete"]),
    ("embeddingbatches/finalizers.workers.lexigram.dev", &["update"]),
    ("embeddingbatches/status.workers.lexigram.dev", &["patch"]),
    ("events.events.k8s.io", &["create", "patch"]),
    ("ingestionjobs.workers.lexigram.dev", &["get", "list", "watch", "delete", "patch"]),
    ("ingestionjobs/finalizers.workers.lexigram.dev", &["update"]),
    ("ingestionjobs/status.workers.lexigram.dev", &["patch"]),
    ("jobs.batch", &["get", "list", "watch", "create", "patch", "delete"]),
    ("maintenanceschedules.workers.lexigram.dev", &["get", "list", "watch", "delete"]),
    ("maintenanceschedules/finalizers.workers.lexigram.dev", &["update"]),
    ("maintenanceschedules/status.workers.lexigram.dev", &["patch"]),
    ("persistentvolumeclaims", &["get", "create"]),
    ("pods", &["list", "watch"]),
    ("secrets", &["get"]),
];

/// In the release's namespace, for leader election.
const LEASE: [&str; 3] = [
    "create leases.coordination.k8s.io",
    "get leases.coordination.k8s.io lexigram-operator",
    "update leases.coordination.k8s.io lexigram-operator",
];

fn rules() -> BTreeSet<String> {
    RULES.iter().flat_map(|(resource, verbs)| verbs.iter().map(move |verb| format!("{verb} {resource}"))).collect()
}

/// What the API server says that somebody may do in a namespace; less what every user may ask about oneself.
async fn granted(client: &Client, namespace: &str) -> BTreeSet<String> {
    let review = SelfSubjectRulesReview {
        spec: SelfSubjectRulesReviewSpec { namespace: Some(namespace.to_owned()) },
        ..Default::default()
    };
    let review = Api::all(client.clone()).create(&PostParams::default(), &review).await.unwrap();
    let mut granted = BTreeSet::new();
    for rule in review.status.unwrap().resource_rules {
        for group in rule.api_groups.unwrap_or_default() {
            if group == "authorization.k8s.io" || group == "authentication.k8s.io" {
                continue;
            }
            for resource in rule.resources.iter().flatten() {
                for verb in &rule.verbs {
                    let what = format!("{verb} {resource}.{group}").trim_end_matches('.').to_owned();
                    match rule.resource_names.as_deref() {
                        None | Some([]) => drop(granted.insert(what)),
                        Some(names) => granted.extend(names.iter().map(|name| format!("{what} {name}"))),
                    }
                }
            }
        }
    }
    granted
}

/// What the API server answers to a request with an empty object: 200, or its refusal.
async fn answer(client: &Client, method: &str, path: &str) -> (u16, String) {
    let kind = if method == "PATCH" { "application/merge-patch+json" } else { "application/json" };
    let body = if matches!(method, "GET" | "DELETE") { Vec::new() } else { b"{}".to_vec() };
    let request = Request::builder().method(method).uri(path).header("content-type", kind).body(body).unwrap();
    match client.request_text(request).await {
        Ok(_) => (200, String::new()),
        Err(kube::Error::Api(status)) => (status.code, status.message),
        Err(error) => panic!("{method} {path}: {error}"),
    }
}

#[test]
fn the_operator_of_a_namespace_has_its_rules_there_and_nothing_elsewhere() {
    sandbox(json!({}), async |it| {
        let operator = it.acting_as(&it.namespace, OPERATOR).await;
        let mut expected = rules();
        expected.extend(LEASE.map(str::to_owned));
        assert_eq!(granted(&operator, &it.namespace).await, expected);
        for elsewhere in ["default", "kube-system", "lexigram-system"] {
            assert_eq!(granted(&operator, elsewhere).await, BTreeSet::new(), "{elsewhere}");
        }

        let bindings: Api<ClusterRoleBinding> = Api::all(it.client.clone());
        for binding in bindings.list(&ListParams::default()).await.unwrap() {
            let subjects = binding.subjects.iter().flatten();
            let mut namespaces = subjects.filter_map(|subject| subject.namespace.as_deref());
            assert!(namespaces.all(|namespace| namespace != it.namespace), "{binding:?}");
        }
        let roles: Api<ClusterRole> = Api::all(it.client.clone());
        for role in roles.list(&ListParams::default()).await.unwrap() {
            let release = role.annotations().get("meta.helm.sh/release-namespace");
            assert_ne!(release, Some(&it.namespace), "{}", role.name_any());
        }
    });
}

#[test]
fn the_operator_of_a_whole_cluster_has_the_same_rules_everywhere() {
    sandbox(json!({}), async |it| {
        let operator = it.acting_as("lexigram-system", OPERATOR).await;
        assert_eq!(granted(&operator, &it.namespace).await, rules());
        for (method, path, refused) in [
            ("GET", "/api/v1/secrets", "list secrets"),
            ("GET", "/api/v1/nodes", "list nodes"),
            ("GET", "/api/v1/namespaces", "list namespaces"),
        ] {
            assert_refused(&operator, method, path, refused).await;
        }
    });
}

async fn assert_refused(client: &Client, method: &str, path: &str, refused: &str) {
    let (verb, resource) = refused.split_once(' ').unwrap();
    let (code, message) = answer(client, method, path).await;
    assert_eq!(code, 403, "{method} {path}: {message}");
    // not refused by admission, for what the object is
    assert!(message.contains(&format!("cannot {verb} resource \"{resource}\"")), "{method} {path}: {message}");
}

#[test]
fn requests_outside_of_the_rules_are_forbidden() {
    sandbox(json!({}), async |it| {
        let operator = it.acting_as(&it.namespace, OPERATOR).await;
        // authorization comes first: none of the objects has to be there
        for (method, path, refused) in [
            // secrets, but one by its name
            ("GET", "/api/v1/namespaces/NS/secrets", "list secrets"),
            ("GET", "/api/v1/namespaces/NS/secrets?watch=1", "watch secrets"),
            ("POST", "/api/v1/namespaces/NS/secrets", "create secrets"),
            ("PATCH", "/api/v1/namespaces/NS/secrets/x", "patch secrets"),
            ("DELETE", "/api/v1/namespaces/NS/secrets/x", "delete secrets"),
            ("GET", "/api/v1/namespaces/NS/configmaps", "list configmaps"),
            ("PATCH", "/api/v1/namespaces/NS/configmaps/x", "patch configmaps"),
            // pods, but by Jobs
            ("POST", "/api/v1/namespaces/NS/pods", "create pods"),
            ("DELETE", "/api/v1/namespaces/NS/pods/x", "delete pods"),
            ("POST", "/api/v1/namespaces/NS/pods/x/exec?command=true", "create pods/exec"),
            ("POST", "/api/v1/namespaces/NS/pods/x/attach", "create pods/attach"),
            ("POST", "/api/v1/namespaces/NS/pods/x/portforward", "create pods/portforward"),
            ("PATCH", "/api/v1/namespaces/NS/pods/x/ephemeralcontainers", "patch pods/ephemeralcontainers"),
            ("GET", "/api/v1/namespaces/NS/pods/x/log", "get pods/log"),
            ("POST", "/apis/apps/v1/namespaces/NS/deployments", "create deployments"),
            ("PATCH", "/apis/apps/v1/namespaces/NS/deployments/lexigram-operator", "patch deployments"),
            // more rights
            ("POST", "/api/v1/namespaces/NS/serviceaccounts/default/token", "create serviceaccounts/token"),
            ("POST", "/apis/rbac.authorization.k8s.io/v1/namespaces/NS/roles", "create roles"),
            ("PATCH", "/apis/rbac.authorization.k8s.io/v1/namespaces/NS/roles/lexigram-operator", "patch roles"),
            ("POST", "/apis/rbac.authorization.k8s.io/v1/namespaces/NS/rolebindings", "create rolebindings"),
            ("POST", "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings", "create clusterrolebindings"),
            // what was stored, and what users wrote
            ("DELETE", "/api/v1/namespaces/NS/persistentvolumeclaims/lexigram-store", "delete persistentvolumeclaims"),
            ("POST", "/apis/workers.lexigram.dev/v1alpha1/namespaces/NS/ingestionjobs", "create ingestionjobs"),
            ("PATCH", "/apis/workers.lexigram.dev/v1alpha1/namespaces/NS/embeddingbatches/x", "patch embeddingbatches"),
            ("PATCH", "/apis/coordination.k8s.io/v1/namespaces/NS/leases/x", "patch leases"),
            // the cluster, and other namespaces
            ("GET", "/api/v1/nodes", "list nodes"),
            ("GET", "/api/v1/namespaces/NS", "get namespaces"),
            ("GET", "/api/v1/secrets", "list secrets"),
            ("GET", "/api/v1/pods", "list pods"),
            ("GET", "/apis/workers.lexigram.dev/v1alpha1/ingestionjobs", "list ingestionjobs"),
            ("GET", "/api/v1/namespaces/kube-system/secrets/x", "get secrets"),
            ("GET", "/api/v1/namespaces/kube-system/configmaps/x", "get configmaps"),
            ("POST", "/apis/batch/v1/namespaces/kube-system/jobs", "create jobs"),
        ] {
            assert_refused(&operator, method, &path.replace("NS", &it.namespace), refused).await;
        }
        // refusals are about the request, then, not about who asks
        for (method, path, code) in [
            ("GET", "/api/v1/namespaces/NS/secrets/x", 404),
            ("GET", "/api/v1/namespaces/NS/pods", 200),
            ("DELETE", "/apis/batch/v1/namespaces/NS/jobs/x", 404),
            ("GET", "/apis/workers.lexigram.dev/v1alpha1/namespaces/NS/ingestionjobs", 200),
        ] {
            let path = path.replace("NS", &it.namespace);
            let (answered, message) = answer(&operator, method, &path).await;
            assert_eq!(answered, code, "{method} {path}: {message}");
        }
    });
}
