//! A server in a namespace: its pod, fit for the `restricted` Pod Security Standard, and its Service. Creates objects.

use k8s_openapi::api::core::v1::{Pod, Service};
use serde_json::{Value, json};

use crate::{Sandbox, cluster::image, wait::until_object};

/// What differs from one server to the next.
pub(crate) struct ServerPod<'a> {
    /// Name of the pod, its container and the Service.
    pub(crate) name: &'a str,
    /// Variable with the image.
    pub(crate) image: &'a str,
    /// The port at which the server takes connections once it is up.
    pub(crate) ready: u16,
    /// `volumes` of the pod, each with the path at which it is mounted.
    pub(crate) volumes: Vec<(Value, &'a str)>,
    /// `ports` of the Service.
    pub(crate) ports: Value,
}

impl ServerPod<'_> {
    /// Starts the server, and waits until it takes connections.
    pub(crate) async fn start(self, sandbox: &Sandbox) {
        let Self { name, image: variable, ready, volumes, ports } = self;
        let labels = json!({"app": name});
        let mounts: Vec<_> =
            volumes.iter().map(|(volume, path)| json!({"name": volume["name"], "mountPath": path})).collect();
        let volumes: Vec<_> = volumes.into_iter().map(|(volume, _)| volume).collect();
        let pod = json!({
            "metadata": {"name": name, "labels": labels},
            "spec": {
                "automountServiceAccountToken": false,
                "securityContext": {
                    "runAsNonRoot": true, "runAsUser": 65532, "runAsGroup": 65532,
                    "seccompProfile": {"type": "RuntimeDefault"},
                },
                "containers": [{
                    "name": name,
                    "image": image(variable),
                    "imagePullPolicy": "IfNotPresent",
                    "readinessProbe": {"tcpSocket": {"port": ready}, "periodSeconds": 1},
                    "securityContext": {"allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}},
                    "volumeMounts": mounts,
                }],
                "volumes": volumes,
            },
        });
        sandbox.create::<Pod>(&serde_json::from_value(pod).unwrap()).await;
        let service = json!({"metadata": {"name": name}, "spec": {"selector": labels, "ports": ports}});
        sandbox.create::<Service>(&serde_json::from_value(service).unwrap()).await;
        until_object(sandbox.api(), name, "takes connections", |pod: &Pod| {
            let conditions = pod.status.as_ref()?.conditions.as_ref()?;
            conditions.iter().find(|condition| condition.type_ == "Ready" && condition.status == "True").map(|_| ())
        })
        .await;
    }
}
