"""A worker of one's own that keeps docs/worker-contract.md with Python's standard library: it counts the words of documents.

Its ledger is a file beside the collection. A text with the words "fail once" fails at its first attempt, as a server may.
"""
import hashlib, json, os, signal, sys, threading, time
from datetime import datetime, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

def moment(seconds=None):
    return datetime.fromtimestamp(seconds or time.time(), timezone.utc).isoformat()

def end(code, **more):
    report = {name: progress[name] for name in ("contractVersion", "run", "counts", "recentFailures")}
    Path(os.environ["LEXIGRAM_TERMINATION_LOG"]).write_text(json.dumps(report | more))
    sys.exit(code)

def refuse(code, reason, message):
    end(code, error={"category": "Configuration", "reason": reason, "message": message})

class Server(BaseHTTPRequestHandler):
    def do_GET(self):
        answer = {"/progress": json.dumps(progress), "/healthz": "ok"}.get(self.path)
        self.send_response(200 if answer else 404)
        self.end_headers()
        self.wfile.write((answer or "").encode())

spec, stop = json.loads(Path(os.environ["LEXIGRAM_WORK_SPEC"]).read_text()), []
items, failures = dict.fromkeys(("total", "done", "failed", "skipped"), 0), {"retrying": 0}
progress = {"contractVersion": "v1alpha1", "run": spec["run"], "phase": "Starting", "heartbeat": moment(), "started": moment(),
            "counts": {"items": items, "failures": failures, "tokens": 0}, "recentFailures": []}
if spec["contractVersion"] != "v1alpha1":
    refuse(2, "ContractVersionUnknown", f"this worker knows v1alpha1, not {spec['contractVersion']}")
signal.signal(signal.SIGTERM, lambda *_: stop.append(True))
host, port = os.environ["LEXIGRAM_LISTEN"].rsplit(":", 1)
threading.Thread(target=ThreadingHTTPServer((host, int(port)), Server).serve_forever, daemon=True).start()

task = spec["task"]
if task["type"] == "Stub":  # what ai_workers.stub asks for
    end(0)
kinds = [task["type"], *(task[part]["type"] for part in ("source", "store", "mode") if part in task)]
if kinds[:3] != ["Ingest", "Inline", "Sqlite"] or kinds[3] not in ("Full", "Retry"):
    refuse(78, "WorkUnknown", f"this worker cannot do {' '.join(kinds)}: see examples/own-worker.yaml")
texts, mode = {document["name"]: document["text"] for document in task["source"]["documents"]}, task["mode"]
place = Path(task["store"]["path"] + ".words.json")
ledger = json.loads(place.read_text()) if place.exists() else {}
if mode["type"] == "Retry":  # exactly what is due, and still there
    due = datetime.fromisoformat(mode["dueBefore"]).timestamp()
    texts = {name: texts[name] for name, row in ledger.items() if name in texts and row.get("due", due + 1) <= due}
items["total"], progress["phase"] = len(texts), "Working"

for name, text in sorted(texts.items()):
    time.sleep(0.2)  # this long an embedding may take
    if stop:  # what is done stays done
        end(143)
    row, digest = ledger.get(name, {}), hashlib.sha256(text.encode()).hexdigest()
    attempts = row.get("attempts", 0) + 1
    if row.get("done") == digest:
        outcome = "skipped"
    elif "fail once" in text and attempts == 1:
        outcome, wait = "failed", task["failurePolicy"]["backoffBaseSeconds"]
        ledger[name] = {"attempts": attempts, "due": time.time() + wait}
        failures["retrying"] += 1
        progress["recentFailures"].insert(0, {
            "item": name, "stage": "Embed", "category": "Transient", "reason": "NotYet", "message": "it fails at first",
            "attempts": attempts, "action": "Retry", "lastFailureTime": moment(), "nextRetryTime": moment(ledger[name]["due"])})
        del progress["recentFailures"][5:]  # the report has room for 4096 bytes
    else:
        outcome, ledger[name] = "done", {"done": digest, "words": len(text.split())}
        progress["counts"]["tokens"] += len(text.split())
    place.with_suffix(".new").write_text(json.dumps(ledger))  # first kept, and only then counted
    place.with_suffix(".new").replace(place)
    items[outcome] += 1
    progress["heartbeat"] = moment()

waiting = [row["due"] for row in ledger.values() if "due" in row]  # of earlier runs too
dead = {"actions": {"retrying": len(waiting)}, "categories": [{"category": "Transient", "count": len(waiting), "retrying": len(waiting)}]}
end(0, **({"deadLetters": dead, "nextRetryTime": moment(min(waiting))} if waiting else {}))
