"""A control plane of processes on this machine, with fake nodes: etcd, the API server, the controllers, the scheduler and
kwok. Starts processes, and ends them."""

import http.client
import json
import secrets
import socket
import ssl
import subprocess
import threading
import time
from pathlib import Path

# the first limit that a controller meets; as high as a large cluster sets it
QPS, BURST, SYNCS = 500, 1000, 20
NODES = 20
WAIT_SECONDS = 120


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Api:
    """Requests to the API server, from any thread."""

    def __init__(self, port, token):
        self.port, self.headers = port, {"Authorization": f"Bearer {token}"}
        self.tls = ssl.create_default_context()
        self.tls.check_hostname, self.tls.verify_mode = False, ssl.CERT_NONE
        self.local = threading.local()

    def connect(self):
        return http.client.HTTPSConnection("127.0.0.1", self.port, context=self.tls, timeout=300)

    def call(self, method, path, body=None, content="application/json"):
        """Sends a request; gives status and answer."""
        if isinstance(body, (dict, list)):
            body = json.dumps(body)
        connection = getattr(self.local, "connection", None) or self.connect()
        self.local.connection = connection
        try:
            connection.request(method, path, body, {**self.headers, "Content-Type": content})
            response = connection.getresponse()
            return response.status, json.loads(response.read() or "{}")
        except (OSError, http.client.HTTPException, ValueError):
            self.local.connection = None
            raise

    def must(self, method, path, body=None, content="application/json"):
        """The answer to a request that has to succeed."""
        status, answer = self.call(method, path, body, content)
        if status >= 300:
            raise SystemExit(f"{method} {path}: {status} {answer.get('message')}")
        return answer

    def watch(self, path, event):
        """Calls `event` with the time, the type and the object of every change, from now on and for the rest of the run."""
        version = self.must("GET", f"{path}&limit=1")["metadata"]["resourceVersion"]
        url = f"{path}&watch=true&allowWatchBookmarks=false&resourceVersion={version}"

        def follow():
            connection = self.connect()
            connection.request("GET", url, headers=self.headers)
            for line in connection.getresponse():
                now, change = time.monotonic(), json.loads(line)
                event(now, change["type"], change["object"])

        threading.Thread(target=follow, daemon=True).start()


class Cluster:
    """The processes of the control plane, by name."""

    def __init__(self, work):
        self.work, self.processes = Path(work), {}
        self.port, token = free_port(), secrets.token_hex(16)
        self.api = Api(self.port, token)
        self.kubeconfig = self.work / "kubeconfig"
        self.kubeconfig.write_text(json.dumps({
            "apiVersion": "v1", "kind": "Config", "current-context": "bench",
            "clusters": [{"name": "bench", "cluster": {"server": f"https://127.0.0.1:{self.port}", "insecure-skip-tls-verify": True}}],
            "users": [{"name": "bench", "user": {"token": token}}],
            "contexts": [{"name": "bench", "context": {"cluster": "bench", "user": "bench", "namespace": "default"}}],
        }))
        (self.work / "tokens").write_text(f"{token},bench,bench,system:masters\n")
        subprocess.run(["openssl", "genrsa", "-out", self.work / "key", "2048"], check=True, capture_output=True)

    def start(self, name, *arguments, **environment):
        log = open(self.work / f"{name}.log", "ab")
        command = [self.work / "bin" / name, *map(str, arguments)]
        self.processes[name] = subprocess.Popen(command, stdout=log, stderr=log, env=environment or None)
        return self.processes[name].pid

    def up(self):
        client, peer = free_port(), free_port()
        self.start("etcd", f"--data-dir={self.work / 'etcd'}", f"--listen-client-urls=http://127.0.0.1:{client}",
                   f"--advertise-client-urls=http://127.0.0.1:{client}", f"--listen-peer-urls=http://127.0.0.1:{peer}",
                   "--log-level=error", "--quota-backend-bytes=4294967296")
        key = self.work / "key"
        self.start("kube-apiserver", f"--etcd-servers=http://127.0.0.1:{client}", f"--secure-port={self.port}",
                   "--bind-address=127.0.0.1", f"--cert-dir={self.work / 'certificates'}",
                   f"--token-auth-file={self.work / 'tokens'}", "--authorization-mode=RBAC",
                   "--service-account-issuer=https://bench", f"--service-account-key-file={key}",
                   f"--service-account-signing-key-file={key}", "--service-cluster-ip-range=10.0.0.0/16")
        self.until("the API server answers", lambda: self.api.call("GET", "/api/v1/namespaces/default")[0])
        common = [f"--kubeconfig={self.kubeconfig}", "--leader-elect=false", f"--kube-api-qps={QPS}",
                  f"--kube-api-burst={BURST}"]
        self.start("kube-controller-manager", *common, f"--concurrent-job-syncs={SYNCS}",
                   f"--service-account-private-key-file={key}", f"--secure-port={free_port()}")
        scheduler = self.work / "scheduler.json"
        scheduler.write_text(json.dumps({
            "apiVersion": "kubescheduler.config.k8s.io/v1", "kind": "KubeSchedulerConfiguration",
            "clientConnection": {"kubeconfig": str(self.kubeconfig), "qps": QPS, "burst": BURST},
            "leaderElection": {"leaderElect": False},
        }))
        self.start("kube-scheduler", f"--config={scheduler}", f"--secure-port={free_port()}")
        stages = [f"--config={self.work / name}" for name in ("node-initialize.yaml", "node-heartbeat.yaml", "pods.yaml")]
        self.start("kwok", f"--kubeconfig={self.kubeconfig}", "--manage-all-nodes=true", *stages)
        for number in range(NODES):
            self.api.must("POST", "/api/v1/nodes", {"metadata": {"name": f"fake-{number}"}})
        ready = lambda node: any(it["type"] == "Ready" and it["status"] == "True" for it in node["status"].get("conditions", []))
        nodes = lambda: self.api.must("GET", "/api/v1/nodes")["items"]
        self.until("the fake nodes are ready", lambda: 200 if all(map(ready, nodes())) else 0)
        account = "/api/v1/namespaces/default/serviceaccounts/default"
        self.until("the namespace has its account", lambda: self.api.call("GET", account)[0])

    def until(self, what, status):
        deadline = time.monotonic() + WAIT_SECONDS
        while time.monotonic() < deadline:
            for name, process in self.processes.items():
                if process.poll() is not None:
                    raise SystemExit(f"{name} has ended; see {self.work / name}.log")
            try:
                if status() == 200:
                    return
            except (OSError, http.client.HTTPException, ValueError):
                pass  # not yet
            time.sleep(0.2)
        raise SystemExit(f"waited {WAIT_SECONDS} s in vain until {what}; the logs are in {self.work}")

    def down(self):
        for name in reversed(list(self.processes)):
            self.processes[name].terminate()
            try:
                self.processes[name].wait(20)
            except subprocess.TimeoutExpired:
                self.processes[name].kill()
