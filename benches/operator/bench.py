"""Measures the operator beside kube-controller-manager. See run.sh."""

import os
import queue
import re
import sys
import threading
import time
import urllib.request
from collections import Counter
from pathlib import Path

from cluster import Cluster, free_port

OBJECTS = int(os.environ.get("LEXIGRAM_BENCH_OBJECTS", "10000"))
RUNS = int(os.environ.get("LEXIGRAM_BENCH_RUNS", "1000"))
CONCURRENCY = int(os.environ.get("LEXIGRAM_BENCH_CONCURRENCY", "100"))
RATE = float(os.environ.get("LEXIGRAM_BENCH_RATE", "20"))
IDLE_SECONDS = 10
CREATORS = 8
# nothing changes for so long: whatever was under way is through
QUIET_SECONDS = 5
PATIENCE_SECONDS = 3600
TICKS = os.sysconf("SC_CLK_TCK")
OBJECTS_PATH = "/apis/workers.lexigram.dev/v1alpha1/namespaces/default/ingestionjobs"
JOBS_PATH = "/apis/batch/v1/namespaces/default/jobs"


def processor_seconds(pid):
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def resident(pid):
    """Memory now and at its peak, in MiB."""
    status = Path(f"/proc/{pid}/status").read_text()
    return tuple(int(re.search(rf"^{name}:\s+(\d+)", status, re.M)[1]) / 1024 for name in ("VmRSS", "VmHWM"))


def percentile(values, part):
    values = sorted(values)
    return values[min(len(values) - 1, int(len(values) * part))] if values else float("nan")


class Seen:
    """What the watches have told: when each object got its first state, and when each Job was made and was complete."""

    def __init__(self):
        self.states, self.made, self.complete, self.done = {}, {}, {}, {}
        self.last = time.monotonic()

    def object(self, now, _type, item):
        self.last = now
        name, state = item["metadata"]["name"], item.get("status", {}).get("state")
        if state:
            self.states.setdefault(name, now)
        if state == "Complete":
            self.done.setdefault(name, now)

    def job(self, now, _type, item):
        self.last = now
        name = item["metadata"]["name"]
        self.made.setdefault(name, now)
        conditions = item.get("status", {}).get("conditions", [])
        if any(it["type"] == "Complete" and it["status"] == "True" for it in conditions):
            self.complete.setdefault(name, now)


def until(what, holds):
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not holds():
        if time.monotonic() > deadline:
            raise SystemExit(f"waited {PATIENCE_SECONDS} s in vain until {what}")
        time.sleep(0.05)


class Bench:
    def __init__(self, work):
        self.cluster, self.seen, self.port = Cluster(work), Seen(), free_port()
        self.api, self.work = self.cluster.api, Path(work)

    def operator(self):
        config = self.work / "config.yaml"
        config.write_text(f"ai_workers: {{document_ingestion_concurrency: {CONCURRENCY}}}\n")
        return self.cluster.start(
            "lexigram-operator", "run", "--identity=bench", "--worker-image=bench/worker:1", f"--config={config}",
            f"--admin-address=127.0.0.1:{self.port}", "--lease-namespace=default", "--log=warn",
            KUBECONFIG=str(self.cluster.kubeconfig),
        )

    def metrics(self):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/metrics") as answer:
            return answer.read().decode()

    def requests(self):
        """Requests of the operator so far, by verb and resource; those for the lease left out."""
        found = re.findall(r'^lexigram_api_requests_total\{verb="(.*?)",resource="(.*?)",code=".*?"\} (\d+)', self.metrics(), re.M)
        counts = Counter()
        for verb, resource, count in found:
            if resource != "leases":
                counts[f"{verb} {resource}"] += int(count)
        return counts

    def apply(self, name, priority, worker=None):
        spec = {
            "source": {"inline": [{"name": "a.md", "text": f"Document {name} of the benchmark."}]},
            "store": {"postgres": {"connectionSecretRef": {"name": "database"}}},
            "priority": priority, **({"worker": worker} if worker else {}),
        }
        body = {"apiVersion": "workers.lexigram.dev/v1alpha1", "kind": "IngestionJob", "metadata": {"name": name}, "spec": spec}
        self.api.must("POST", OBJECTS_PATH, body)

    def create_all(self, create, names):
        """As fast as the API server takes them."""
        left = queue.SimpleQueue()
        for name in names:
            left.put(name)

        def work():
            while True:
                try:
                    create(left.get_nowait())
                except queue.Empty:
                    return

        creators = [threading.Thread(target=work) for _ in range(CREATORS)]
        for creator in creators:
            creator.start()
        for creator in creators:
            creator.join()

    def until_quiet(self):
        until("nothing changes", lambda: time.monotonic() - self.seen.last > QUIET_SECONDS)

    def measured(self, work):
        """What `work` takes: seconds, processor seconds of each process, and requests of the operator."""
        pids = {name: process.pid for name, process in self.cluster.processes.items()}
        used, asked = {name: processor_seconds(pid) for name, pid in pids.items()}, self.requests()
        begun = time.monotonic()
        count = work()
        seconds = time.monotonic() - begun
        used = {name: processor_seconds(pid) - used[name] for name, pid in pids.items()}
        return {"jobs": count, "seconds": seconds, "cpu": used, "requests": self.requests() - asked}

    def plain(self, template):
        """As many plain Jobs of the same shape, so many at once: what kube-controller-manager does alone."""
        names = [f"plain-{number:05}" for number in range(RUNS)]
        create = lambda name: self.api.must("POST", JOBS_PATH, {**template, "metadata": {"name": name}})
        started = 0
        while started < RUNS or not all(name in self.seen.complete for name in names):
            complete = sum(name in self.seen.complete for name in names)
            more = names[started : min(RUNS, complete + CONCURRENCY)]
            self.create_all(create, more)
            started += len(more)
            time.sleep(0.02)
        return RUNS

    def ours(self, hogs):
        """Lets what holds all places go, and waits for as many runs."""
        before = len(self.seen.done)
        self.create_all(lambda name: self.api.must("DELETE", f"{OBJECTS_PATH}/{name}"), hogs)
        until("the runs are complete", lambda: len(self.seen.done) - before >= RUNS)
        return len(self.seen.done) - before

    def run(self):
        api, seen = self.api, self.seen
        for crd in sorted((self.work / "crds").iterdir()):
            api.must("POST", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", crd.read_text(), "application/yaml")
        self.cluster.until("the kinds are served", lambda: api.call("GET", OBJECTS_PATH)[0])
        api.must("POST", "/api/v1/namespaces/default/secrets", {"metadata": {"name": "database"}, "stringData": {"uri": "postgresql://nowhere"}})
        api.watch(f"{OBJECTS_PATH}?", seen.object)
        api.watch(f"{JOBS_PATH}?", seen.job)

        pid = self.operator()
        leads = lambda: 200 if "lexigram_leader 1" in self.metrics() else 0
        self.cluster.until("the operator leads", leads)
        time.sleep(IDLE_SECONDS)
        idle = resident(pid)[0]
        print(f"operator with no objects: {idle:.1f} MiB", flush=True)

        # these run for ever, since no node takes them, and keep all places
        hogs = [f"hog-{number}" for number in range(CONCURRENCY)]
        self.create_all(lambda name: self.apply(name, 9, {"nodeSelector": {"example.com/disk": "none"}}), hogs)
        until("all places are held", lambda: len(seen.made) >= CONCURRENCY)
        waiting = [f"waiting-{number:05}" for number in range(OBJECTS - RUNS - CONCURRENCY)]
        def wait():
            self.create_all(lambda name: self.apply(name, 0), waiting)
            until("all are queued", lambda: all(name in seen.states for name in waiting))
            return len(waiting)
        queued = self.measured(wait)

        applied = {}
        begun = time.monotonic()
        for number in range(RUNS):
            time.sleep(max(0, begun + number / RATE - time.monotonic()))
            name = f"run-{number:05}"
            applied[name] = time.monotonic()
            self.apply(name, 5)
        until("all have a status", lambda: all(name in seen.states for name in applied))
        told = [seen.states[name] - at for name, at in applied.items()]
        self.until_quiet()
        many, peak = resident(pid)
        print(f"operator with {OBJECTS} objects: {many:.1f} MiB, {peak:.1f} MiB at its peak", flush=True)

        plain = self.measured(lambda: self.plain(self.shape()))
        self.until_quiet()
        ours = self.measured(lambda: self.ours(hogs))
        manager = self.cluster.processes["kube-controller-manager"].pid
        self.report(idle, queued, told, many, plain, ours, resident(pid), resident(manager))

    def shape(self):
        """A Job as the operator makes them, without what tells whose it is."""
        job = self.api.must("GET", f"{JOBS_PATH}/hog-0-r1")
        spec = job["spec"]
        spec.pop("selector")
        spec["template"]["metadata"] = {"annotations": spec["template"]["metadata"].get("annotations", {})}
        spec["template"]["spec"].pop("nodeSelector")
        return {"apiVersion": "batch/v1", "kind": "Job", "spec": spec}

    def places(self):
        """From the moment that a run's end makes a place free to the next Job, in seconds."""
        made = sorted(at for name, at in self.seen.made.items() if name.startswith(("run-", "waiting-")))
        free = sorted(at for name, at in self.seen.complete.items() if name.startswith(("run-", "waiting-")))
        return [start - end for end, start in zip(free, made[CONCURRENCY:]) if start >= end]

    def report(self, idle, queued, told, many, plain, ours, now, manager):
        ms = lambda values, part: percentile(values, part) * 1000
        print(f"apply to status at {RATE:g} applies/s: p50 {ms(told, 0.5):.0f} ms, p99 {ms(told, 0.99):.0f} ms")
        places = self.places()
        print(f"place free to Job: p50 {ms(places, 0.5):.0f} ms, p99 {ms(places, 0.99):.0f} ms")
        print(f"queueing: {queued['jobs'] / queued['seconds']:.0f} objects/s, {per(queued, 'lexigram-operator'):.2f} ms CPU an object of the operator")
        for name, of in ("plain Jobs", plain), ("IngestionJobs", ours):
            shares = ", ".join(f"{process} {per(of, process):.1f}" for process in sorted(of["cpu"]))
            print(f"{name}: {of['jobs']} in {of['seconds']:.1f} s, {of['jobs'] / of['seconds']:.2f} jobs/s; ms CPU a job: {shares}")
        for name, of in ("queued object", queued), ("job", ours):
            asked = ", ".join(f"{what} {count / of['jobs']:.2f}" for what, count in of["requests"].most_common())
            print(f"requests of the operator a {name}: {sum(of['requests'].values()) / of['jobs']:.2f} ({asked})")
        print(f"after all: operator {now[0]:.1f} MiB, {now[1]:.1f} at its peak; kube-controller-manager {manager[0]:.1f} MiB")
        print(f"load of the machine at the end: {os.getloadavg()[0]:.1f}")
        manager_cpu = per(plain, "kube-controller-manager")
        for name, value in (
            ("rss-mib-with-all-objects", now[0]),
            ("rss-mib-idle", idle),
            ("cpu-a-job-of-kube-controller-manager", per(ours, "lexigram-operator") / manager_cpu),
            ("jobs-per-second-of-plain-jobs", ours["jobs"] / ours["seconds"] / (plain["jobs"] / plain["seconds"])),
            ("apply-to-status-p99-seconds", percentile(told, 0.99)),
        ):
            print(f"ratio {name} {value:.2f}")


def per(measured, process):
    """Milliseconds of processor a job."""
    return measured["cpu"][process] * 1000 / measured["jobs"]


def main():
    bench = Bench(sys.argv[1])
    try:
        bench.cluster.up()
        bench.run()
    finally:
        bench.cluster.down()


main()
