//! The pods of the release, as the API server has them: fit for the namespace, and workers without a token.

use k8s_openapi::api::core::v1::{Container, Pod};
use kube::{
    ResourceExt,
    api::{ListParams, PostParams},
};
use lexigram_api::resource::ConditionType;
use lexigram_tests::{Answer, FaultServer, OPERATORS, Sandbox, sandbox, until_object};
use serde_json::{Value, json};

use crate::{maintain, running_worker};

/// User and group of both images.
const USER: Option<i64> = Some(65532);
/// Pods of workers, whatever their work.
const WORKERS: &str = "workers.lexigram.dev/owner-uid";

async fn pods(it: &Sandbox, labels: &str) -> Vec<Pod> {
    it.api::<Pod>().list(&ListParams::default().labels(labels)).await.unwrap().items
}

/// The only container of a pod, which is confined as `restricted` wants it, and more.
fn confined(pod: &Pod) -> &Container {
    let name = pod.name_any();
    let spec = pod.spec.as_ref().unwrap();
    let context = spec.security_context.as_ref().unwrap();
    assert_eq!((context.run_as_user, context.run_as_group), (USER, USER), "{name}");
    assert_eq!(context.run_as_non_root, Some(true), "{name}");
    assert_eq!(context.seccomp_profile.as_ref().unwrap().type_, "RuntimeDefault", "{name}");
    for shared in [spec.host_network, spec.host_pid, spec.host_ipc] {
        assert!(!shared.unwrap_or_default(), "{name}");
    }
    assert!(spec.init_containers.as_ref().is_none_or(Vec::is_empty), "{name}");
    let [container] = spec.containers.as_slice() else { panic!("{name} has several containers") };
    let context = container.security_context.as_ref().unwrap();
    assert_eq!(context.read_only_root_filesystem, Some(true), "{name}");
    assert_eq!(context.allow_privilege_escalation, Some(false), "{name}");
    assert!(!context.privileged.unwrap_or_default() && context.run_as_user.is_none(), "{name}");
    let capabilities = context.capabilities.as_ref().unwrap();
    assert_eq!(capabilities.drop.as_deref(), Some(["ALL".to_owned()].as_slice()), "{name}");
    assert!(capabilities.add.as_ref().is_none_or(Vec::is_empty), "{name}");
    container
}

/// Names of the pod's volumes that hold a token of the API server, which admission adds to pods that do not refuse one.
fn tokens(pod: &Pod) -> Vec<&str> {
    let volumes = pod.spec.as_ref().unwrap().volumes.iter().flatten();
    volumes
        .filter(|volume| {
            let sources = volume.projected.iter().flat_map(|projected| projected.sources.iter().flatten());
            sources.into_iter().any(|source| source.service_account_token.is_some())
        })
        .map(|volume| volume.name.as_str())
        .collect()
}

#[test]
fn workers_and_operator_are_confined_and_only_the_operator_has_a_token() {
    sandbox(json!({}), async |it| {
        it.ingest("document", json!({"source": {"inline": [{"name": "a.txt", "text": "Hello."}]}})).await;
        it.until_true("document", ConditionType::Complete).await;
        it.batches().apply("batch", json!({"input": {"texts": [{"text": "hello"}]}})).await;
        it.batches().until_true("batch", ConditionType::Complete).await;
        maintain(it, "health", json!({"tasks": [{"name": "health", "type": "HealthCheck"}]})).await;
        let server = FaultServer::start(&it.client).await;
        let held = server.serve("/held.txt", [Answer::Never]);
        it.ingest("held", json!({"source": {"http": {"urls": [held]}}})).await;
        running_worker(it, "held-r1").await;

        let workers = pods(it, WORKERS).await;
        assert_eq!(workers.len(), 4, "{:?}", workers.iter().map(ResourceExt::name_any).collect::<Vec<_>>());
        for pod in &workers {
            confined(pod);
            assert_eq!(pod.spec.as_ref().unwrap().automount_service_account_token, Some(false));
            assert_eq!(tokens(pod), [""; 0], "{}", pod.name_any());
        }
        let operators = pods(it, OPERATORS).await;
        assert_eq!(operators.len(), 1);
        confined(&operators[0]);
        assert_eq!(tokens(&operators[0]).len(), 1);

        // the kubelet starts no image by its own user here unless that user is a number, and not root's
        for (name, pod) in [("worker-user", &workers[0]), ("operator-user", &operators[0])] {
            let image = confined(pod).image.clone().unwrap();
            it.create(&by_its_own_user(name, &image)).await;
            until_object(it.api(), name, "has succeeded", |pod: &Pod| {
                pod.status.as_ref()?.phase.as_ref().filter(|phase| *phase == "Succeeded").map(drop)
            })
            .await;
        }
    });
}

fn by_its_own_user(name: &str, image: &str) -> Pod {
    let container = json!({
        "name": "help", "image": image, "imagePullPolicy": "IfNotPresent", "args": ["--help"],
        "securityContext": {"allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}},
    });
    pod(
        name,
        json!({
            "restartPolicy": "Never", "automountServiceAccountToken": false, "containers": [container],
            "securityContext": {"runAsNonRoot": true, "seccompProfile": {"type": "RuntimeDefault"}},
        }),
    )
}

fn pod(name: &str, spec: Value) -> Pod {
    serde_json::from_value(json!({"metadata": {"name": name}, "spec": spec})).unwrap()
}

#[test]
fn the_namespace_of_these_tests_does_enforce_restricted() {
    sandbox(json!({}), async |it| {
        let container = json!({"name": "shell", "image": "example.com/shell:1"});
        let root = pod("root", json!({"containers": [container]}));
        let error = it.api::<Pod>().create(&PostParams::default(), &root).await.unwrap_err().to_string();
        assert!(error.contains("violates PodSecurity \"restricted"), "{error}");
    });
}
