"""Runs both sides of the benchmark in turn, each run a process of its own, and compares them. See run.sh."""

import json
import os
import shutil
import statistics
import subprocess
import sys
import threading
import time
from pathlib import Path

ROUNDS = int(os.environ.get("LEXIGRAM_BENCH_ROUNDS", "3"))
# documents; all of them where 0
FILES = int(os.environ.get("LEXIGRAM_BENCH_FILES", "0"))
SAMPLE_SECONDS = 0.05
# the embedder, and whether the store of the run before is taken again
WORKLOADS = {"no-embed": ("mock", False), "unchanged": ("mock", True), "model": ("model", False)}


def resident(pid):
    """Memory of a process and all that it has started, in MiB: Pss, in which a page that they share counts once."""
    kibibytes = 0
    try:
        fields = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:])
        kibibytes = int(fields["Pss"].split()[0])
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in (task / "children").read_text().split():
                kibibytes += resident(child) * 2**10
    except (FileNotFoundError, KeyError, ProcessLookupError):
        pass  # it has just ended
    return kibibytes / 2**10


def run(command):
    """What a run prints, and its peak memory."""
    # both sides get the environment of the worker's image
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**os.environ, "MALLOC_ARENA_MAX": "2"})
    peak = 0.0
    done = threading.Event()

    def watch():
        nonlocal peak
        while not done.wait(SAMPLE_SECONDS):
            peak = max(peak, resident(process.pid))

    watcher = threading.Thread(target=watch)
    watcher.start()
    output = process.communicate()[0]
    done.set()
    watcher.join()
    if process.returncode:
        raise SystemExit(f"{command[0]} failed; what it said stands above")
    return {**json.loads(output.splitlines()[-1]), "rss": peak}


def sample(corpus, work):
    """The corpus, or as many of its documents as are asked for, evenly spread over it by name."""
    files = sorted(corpus.iterdir())
    if not FILES or FILES >= len(files):
        return corpus, files
    files = [files[index * len(files) // FILES] for index in range(FILES)]
    folder = work / "sample"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for file in files:
        os.link(file, folder / file.name)
    return folder, files


class Sides:
    def __init__(self, binary, model, folder, work):
        self.work = work
        scripts = Path(__file__).parent
        self.commands = {
            "ours": lambda kind, store: [binary, kind, str(folder), str(store / "bench.db"), model],
            "LlamaIndex": lambda kind, store: [sys.executable, str(scripts / "llamaindex.py"), kind, str(folder), str(store), model],
        }

    def run(self, side, kind, again=False):
        store = self.work / f"store-{side}"
        if not again:
            shutil.rmtree(store, ignore_errors=True)
            # theirs takes a folder that is there for one with a store in it
            if side == "ours":
                store.mkdir()
        return run(self.commands[side](kind, store))

    def pair(self, kind, again=False):
        return {side: self.run(side, kind, again) for side in self.commands}


def main():
    binary, model, corpus, work = sys.argv[1], sys.argv[2], Path(sys.argv[3]), Path(sys.argv[4])
    names = [name for name in WORKLOADS if name in sys.argv[5:] or not sys.argv[5:]]
    if unknown := set(sys.argv[5:]) - set(WORKLOADS):
        raise SystemExit(f"{', '.join(unknown)}: only {', '.join(WORKLOADS)} can be asked for")
    if "unchanged" in names and "no-embed" not in names:
        raise SystemExit("unchanged: needs no-embed before it")
    folder, files = sample(corpus, work)
    size = sum(file.stat().st_size for file in files)
    kinds = sorted({file.suffix for file in files})
    counts = ", ".join(f"{sum(file.suffix == kind for file in files)} {kind}" for kind in kinds)
    print(f"{len(files)} documents ({counts}), {size / 1e6:.1f} MB; {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}; {ROUNDS} rounds")
    sides, rounds = Sides(binary, model, folder, work), {name: [] for name in names}
    for number in range(ROUNDS):
        for name in names:
            kind, again = WORKLOADS[name]
            start = time.monotonic()
            pair = sides.pair(kind, again)
            rounds[name].append(pair)
            print(f"round {number + 1}, {name}: {time.monotonic() - start:.0f} s, load {os.getloadavg()[0]:.1f}", flush=True)
            for side, of in pair.items():
                print(f"  {side}: {of['documents']} documents, {of['failed']} failed, {of['chunks']} chunks; {of['busy']}", flush=True)
                if again and of["embedded_documents"]:
                    raise SystemExit(f"{side} has embedded {of['embedded_documents']} documents that have not changed")

    print(f"medians:\n{'':11}{'':12}{'seconds':>9}{'documents/s':>13}{'chunks/s':>10}{'peak MiB':>10}")
    for name, pairs in rounds.items():
        for side in sides.commands:
            seconds, documents, chunks, rss = (
                statistics.median(pair[side][key] for pair in pairs) for key in ("seconds", "documents", "chunks", "rss")
            )
            print(f"{name:11}{side:12}{seconds:9.2f}{documents / seconds:13.1f}{chunks / seconds:10.1f}{rss:10.0f}")

    def ratio(name, value):
        # of each round, whose two runs met the same state of the machine
        return statistics.median(value(pair["ours"], pair["LlamaIndex"]) for pair in rounds[name])

    print(f"load of the machine at the end: {os.getloadavg()[0]:.1f}")
    faster = lambda own, other: other["seconds"] / own["seconds"]
    if "model" in names:
        print(f"model, by documents: {ratio('model', faster):.2f}")
    rate = lambda of: of["chunks"] / of["seconds"]
    for name, of, value in (
        ("no-embed", "no-embed", faster),
        ("model", "model", lambda own, other: rate(own) / rate(other)),
        ("unchanged", "unchanged", faster),
        ("rss", "model", lambda own, other: own["rss"] / other["rss"]),
    ):
        if of in names:
            print(f"ratio {name} {ratio(of, value):.2f}")


main()
