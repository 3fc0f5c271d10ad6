//! Files on claims: a shell in a pod that mounts one. Creates claims and pods.

use std::path::Path;

use k8s_openapi::api::core::v1::{PersistentVolume, PersistentVolumeClaim, Pod};
use kube::{
    Api, ResourceExt,
    api::{DeleteParams, LogParams},
};
use serde_json::json;
use uuid::Uuid;

use crate::{
    cluster::{kubectl, run},
    sandbox::Sandbox,
    wait::until_object,
};

impl Sandbox {
    /// Makes a claim.
    pub async fn claim(&self, name: &str) {
        let claim = json!({"metadata": {"name": name}, "spec": {
            "accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "64Mi"}},
        }});
        self.create::<PersistentVolumeClaim>(&serde_json::from_value(claim).unwrap()).await;
    }

    /// Runs a shell script with the claim at `/files`, and returns what it prints. The shell is that of the image that the
    /// cluster's own provisioner uses: the only one that is on every node.
    pub async fn shell(&self, claim: &str, script: &str) -> String {
        let helper = [
            "--namespace",
            "local-path-storage",
            "get",
            "configmap",
            "local-path-config",
            "--output",
            "jsonpath={.data.helperPod\\.yaml}",
        ];
        let helper = kubectl(&helper).unwrap();
        let image = helper.lines().find_map(|line| line.trim().strip_prefix("image: ")).unwrap();
        let name = format!("shell-{}", Uuid::new_v4().simple());
        let pod = json!({"metadata": {"name": name}, "spec": {
            "restartPolicy": "Never",
            "securityContext": {
                "runAsNonRoot": true, "runAsUser": 65532, "fsGroup": 65532, "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": [{
                "name": "shell", "image": image, "imagePullPolicy": "IfNotPresent", "command": ["/bin/sh", "-euc", script],
                "securityContext": {"allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}},
                "volumeMounts": [{"name": "files", "mountPath": "/files"}],
            }],
            "volumes": [{"name": "files", "persistentVolumeClaim": {"claimName": claim}}],
        }});
        let pod = self.create::<Pod>(&serde_json::from_value(pod).unwrap()).await;
        let phase = until_object(self.api(), &name, "has ended", |pod: &Pod| {
            pod.status.as_ref()?.phase.clone().filter(|phase| phase == "Succeeded" || phase == "Failed")
        })
        .await;
        let said = self.api::<Pod>().logs(&name, &LogParams::default()).await.unwrap();
        assert_eq!(phase, "Succeeded", "{script}: {said}");
        self.api::<Pod>().delete(&pod.name_any(), &DeleteParams::default()).await.unwrap();
        said
    }

    /// Copies a folder of this machine onto a new claim, into the kind node that comes to hold it.
    pub async fn fill_claim(&self, name: &str, folder: &Path) {
        self.claim(name).await;
        // a claim gets its place with its first pod
        self.shell(name, ":").await;
        let (node, path) = self.place_of(name).await;
        run("docker", &["cp", &folder.to_string_lossy(), &format!("{node}:{path}")], "").unwrap();
    }

    /// Copies what is on a claim into a new folder of this machine, out of the kind node that holds it.
    pub async fn copy_claim(&self, name: &str, folder: &Path) {
        let (node, path) = self.place_of(name).await;
        run("docker", &["cp", &format!("{node}:{path}"), &folder.to_string_lossy()], "").unwrap();
    }

    /// Runs a shell script in the folder of a claim, on the kind node that holds it: with more commands than [`shell`](Self::shell)
    /// has, and as root.
    pub async fn on_claim(&self, name: &str, script: &str) {
        let (node, path) = self.place_of(name).await;
        run("docker", &["exec", "--workdir", &path, &node, "sh", "-euc", script], "").unwrap();
    }

    /// The kind node that holds a claim, and the folder there.
    async fn place_of(&self, name: &str) -> (String, String) {
        let claim: PersistentVolumeClaim = self.api().get(name).await.unwrap();
        let volume = claim.spec.unwrap().volume_name.unwrap();
        let volume = Api::<PersistentVolume>::all(self.client.clone()).get(&volume).await.unwrap().spec.unwrap();
        let local = volume.local.map(|local| local.path);
        let path = local.or(volume.host_path.map(|host| host.path)).expect("the volume is no folder of a node");
        let terms = volume.node_affinity.unwrap().required.unwrap().node_selector_terms;
        let node = terms[0].match_expressions.as_ref().unwrap()[0].values.as_ref().unwrap()[0].clone();
        (node, path)
    }
}
