//! What tests do to processes on the kind node: they are stopped, go on, or end as they would in a crash. Runs programs
//! in the node's container.

use http::Request;
use k8s_openapi::api::core::v1::{Node, Pod};
use kube::{Api, Client, api::ListParams};

use crate::{
    cluster::run,
    sandbox::{Sandbox, WORKERS},
    wait::poll,
};

/// A container that runs on a node.
#[derive(Clone, Debug)]
pub struct Container {
    node: String,
    id: String,
}

impl Container {
    fn ctr(&self, arguments: &[&str]) -> String {
        let ctr = ["exec", &self.node, "ctr", "--namespace", "k8s.io", "tasks"];
        run("docker", &[&ctr[..], arguments].concat(), "").unwrap()
    }

    /// Sends its process a signal.
    pub fn signal(&self, signal: &str) {
        self.ctr(&["kill", "--signal", signal, &self.id]);
    }

    /// Waits until its process has ended, which an API server that is stopped could not tell.
    pub async fn until_ended(&self) {
        let runs = |line: &str| line.starts_with(&self.id) && line.contains("RUNNING");
        let what = format!("container {} has ended", self.id);
        poll(&what, async || (!self.ctr(&["ls"]).lines().any(runs)).then_some(())).await;
    }
}

impl Sandbox {
    /// The containers that run in the pods of that selection.
    pub async fn containers(&self, pods: &ListParams) -> Vec<Container> {
        let mut containers = Vec::new();
        for pod in self.api::<Pod>().list(pods).await.unwrap() {
            let node = pod.spec.and_then(|spec| spec.node_name).unwrap_or_default();
            for container in pod.status.and_then(|status| status.container_statuses).into_iter().flatten() {
                if container.state.is_some_and(|state| state.running.is_some()) {
                    let id = container.container_id.unwrap().trim_start_matches("containerd://").to_owned();
                    containers.push(Container { node: node.clone(), id });
                }
            }
        }
        containers
    }

    /// Ends the workers of a run with SIGKILL, as the kernel does.
    pub async fn crash(&self, run: &str) {
        let workers = self.containers(&ListParams::default().labels(&format!("{WORKERS}={run}"))).await;
        assert!(!workers.is_empty(), "no worker of {run} runs");
        workers.iter().for_each(|worker| worker.signal("SIGKILL"));
    }
}

/// The API server of a kind cluster, which is a process on its node. It goes on when this is dropped.
pub struct ApiServer {
    node: String,
}

impl ApiServer {
    /// Finds it.
    ///
    /// # Panics
    /// If the cluster has no node of a control plane.
    pub async fn find(client: &Client) -> Self {
        let control_plane = ListParams::default().labels("node-role.kubernetes.io/control-plane");
        let nodes = Api::<Node>::all(client.clone()).list(&control_plane).await.unwrap();
        let node = nodes.items.into_iter().next().and_then(|node| node.metadata.name);
        Self { node: node.expect("the cluster has no node of a control plane") }
    }

    fn signal(&self, signal: &str) -> bool {
        let kill = format!("kill -{signal} $(pidof kube-apiserver)");
        run("docker", &["exec", &self.node, "sh", "-c", &kill], "").is_ok()
    }

    /// Stops it: whoever asks it something waits.
    ///
    /// # Panics
    /// If it does not run.
    pub fn pause(&self) {
        assert!(self.signal("STOP"), "no API server runs");
    }

    /// Lets it go on. Returns once it answers.
    ///
    /// # Panics
    /// If it does not run.
    pub async fn resume(&self, client: &Client) {
        assert!(self.signal("CONT"), "no API server runs");
        Self::until_it_answers(client).await;
    }

    /// Ends it, and with it every watch; the kubelet starts another one. Returns once that answers.
    ///
    /// # Panics
    /// If it does not run.
    pub async fn crash(&self, client: &Client) {
        assert!(self.signal("KILL"), "no API server runs");
        Self::until_it_answers(client).await;
    }

    async fn until_it_answers(client: &Client) {
        let ready = async || client.request_text(Request::get("/readyz").body(Vec::new()).ok()?).await.ok();
        poll("the API server answers", ready).await;
    }
}

impl Drop for ApiServer {
    fn drop(&mut self) {
        // also after a failed test, and of no effect on one that runs
        self.signal("CONT");
    }
}
