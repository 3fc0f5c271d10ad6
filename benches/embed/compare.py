"""Runs both sides of the benchmark in turn and compares them. See run.sh for how to start it."""

import json
import os
import random
import statistics
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer

TOLERANCE = 1e-4
# seconds that the rounds may take; each workload gets three at least
BUDGET = float(os.environ.get("BENCH_SECONDS", "120"))
ROUNDS = 9
# texts of the uniform workload; the mixed one has half as many again
TEXTS = int(os.environ.get("BENCH_TEXTS", "64"))


class Side:
    """A process that answers requests."""

    def __init__(self, command, threads):
        environment = {**os.environ, "OPENBLAS_NUM_THREADS": threads, "RAYON_NUM_THREADS": threads}
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment)
        self.loaded = self.answer()

    def answer(self):
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit("a side of the benchmark ended; what it said stands above")
        return json.loads(line)

    def ask(self, **request):
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        return self.answer()


class Texts:
    """Texts of given numbers of tokens, cut out of words that are one token each."""

    def __init__(self, folder):
        self.tokenizer = Tokenizer.from_file(str(Path(folder) / "tokenizer.json"))
        self.tokenizer.no_padding()
        self.tokenizer.no_truncation()
        self.words = sorted(word for word in self.tokenizer.get_vocab() if word.isascii() and word.isalpha() and len(word) > 2)
        self.special = len(self.tokenizer.encode("").ids)
        self.random = random.Random(20)

    def of(self, lengths):
        texts = [" ".join(self.random.choices(self.words, k=length - self.special)) for length in lengths]
        found = [len(encoding.ids) for encoding in self.tokenizer.encode_batch(texts)]
        assert found == lengths, "a word is not one token"
        return texts

    def mixed(self, count):
        """Lengths as those of a handbook's chunks: many short, some that fill the model. Mean about 93, up to 256."""
        return [min(256, max(8, round(self.random.lognormvariate(4.27, 0.78)))) for _ in range(count)]


def operations(config, lengths):
    """Floating-point operations of a model's matrix products over texts, without padding."""
    hidden, middle, layers = config["hidden_size"], config["intermediate_size"], config["num_hidden_layers"]
    return sum(layers * (2 * n * (4 * hidden**2 + 2 * hidden * middle) + 4 * n * n * hidden) for n in lengths)


def vectors(path, count):
    return np.fromfile(path, "<f4").reshape(count, -1)


def main():
    binary, folder, work, threads = sys.argv[1:]
    config = json.loads((Path(folder) / "config.json").read_text())
    texts, work = Texts(folder), Path(work)
    lengths = {"uniform": [128] * TEXTS, "mixed": texts.mixed(TEXTS * 3 // 2)}
    files = {}
    for name, of_tokens in lengths.items():
        files[name] = str(work / f"{name}.json")
        Path(files[name]).write_text(json.dumps(texts.of(of_tokens)))
    mixed = lengths["mixed"]
    print(f"model {Path(folder).name}, {threads} threads on {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    print(f"uniform: {len(lengths['uniform'])} texts of 128 tokens; mixed: {len(mixed)} texts, mean {statistics.mean(mixed):.0f} tokens, up to {max(mixed)}")

    ours = Side([binary, folder, threads], threads)
    theirs = Side([sys.executable, str(Path(__file__).parent / "theirs.py"), folder, str(work), threads], threads)
    print(f"load: ours {ours.loaded['load_seconds']:.2f} s; onnxruntime " + ", ".join(f"{kind} {seconds:.2f} s" for kind, seconds in theirs.loaded["load_seconds"].items()))

    def embed_ours(name, **more):
        answer = ours.ask(do="embed", texts=files[name], **more)
        return answer["seconds"], answer["cpu_seconds"]

    def embed_theirs(name, setting, **more):
        answer = theirs.ask(do="embed", texts=files[name], **setting, **more)
        return answer["seconds"], answer["cpu_seconds"]

    # agreement, which also warms both up
    embed_ours("mixed", vectors=str(work / "ours.bin"))
    own = vectors(work / "ours.bin", len(mixed))
    worst = 0.0
    for kind in ("plain", "fused"):
        embed_theirs("mixed", {"kind": kind, "batch": 16, "order": "sorted"}, vectors=str(work / "theirs.bin"))
        worst = max(worst, float(np.abs(own - vectors(work / "theirs.bin", len(mixed))).max()))
    print(f"largest difference of a number: {worst:.1e}")
    if worst > TOLERANCE:
        raise SystemExit(f"the vectors differ by more than {TOLERANCE}")

    def best(name, order, kinds, batches):
        settings = [{"kind": kind, "batch": batch, "order": order} for kind in kinds for batch in batches]
        return min(settings, key=lambda setting: embed_theirs(name, setting)[0])

    # what suits onnxruntime best; in order it is fed 32 texts a batch, as sentence-transformers does by default
    uniform = best("uniform", "given", ("plain", "fused"), (4, 16))
    by_length = best("mixed", "sorted", (uniform["kind"],), (4, 8, 16))
    workloads = {
        "uniform": ("uniform", uniform),
        "mixed-sorted": ("mixed", by_length),
        "mixed-in-order": ("mixed", {"kind": uniform["kind"], "batch": 32, "order": "given"}),
    }
    rounds, end = {name: [] for name in workloads}, time.monotonic() + BUDGET
    peaks = []
    while len(peaks) < 3 or (len(peaks) < ROUNDS and time.monotonic() < end):
        peaks.append((ours.ask(do="peak")["gflops"], theirs.ask(do="peak")["gflops"]))
        for name, (file, setting) in workloads.items():
            rounds[name].append((embed_ours(file), embed_theirs(file, setting)))

    peak = max(max(pair) for pair in peaks)
    own, numpy = (max(column) for column in zip(*peaks))
    print(f"GEMM peak: {peak:.0f} GFLOPS (ours {own:.0f}, numpy {numpy:.0f}); {len(peaks)} rounds, medians:")
    print(f"{'':16}{'':35}{'texts/s':>9}{'tokens/s':>10}{'of peak':>9}")
    ratios, processor = {}, {}
    for name, (file, setting) in workloads.items():
        count, tokens, work_done = len(lengths[file]), sum(lengths[file]), operations(config, lengths[file])
        label = f"{setting['kind']}, {setting['batch']} a batch"
        for side, times in zip(("ours", f"onnxruntime ({label})"), zip(*rounds[name])):
            seconds = statistics.median(wall for wall, _ in times)
            print(f"{name:16}{side:35}{count / seconds:9.1f}{tokens / seconds:10.0f}{work_done / seconds / 1e9 / peak:9.0%}")
        # of each round, whose two times met the same state of the machine
        ratios[name] = statistics.median(other[0] / own[0] for own, other in rounds[name])
        processor[name] = statistics.median(other[1] / own[1] for own, other in rounds[name])
    print("the same by processor time: " + ", ".join(f"{name} {ratio:.2f}" for name, ratio in processor.items()))
    for name, side in (("ours", ours), ("onnxruntime, which holds both graphs", theirs)):
        memory = side.ask(do="memory")
        print(f"memory of {name}: {memory['rss']} MiB, at most {memory['most']} MiB")
    print(f"load of the machine at the end: {os.getloadavg()[0]:.1f}")
    for name, ratio in ratios.items():
        print(f"ratio {name} {ratio:.2f}")


main()
