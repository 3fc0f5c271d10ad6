"""Embeds texts with onnxruntime whenever compare.py asks for it: the requests and answers of src/main.rs."""

import json
import sys
import time
from pathlib import Path

import numpy as np
import onnxruntime
from tokenizers import Tokenizer

import graphs


class Model:
    def __init__(self, folder, work, threads, kinds=("plain", "fused")):
        folder = Path(folder)
        self.tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self.tokenizer.no_padding()
        sentence = folder / "sentence_bert_config.json"
        most = json.loads(sentence.read_text())["max_seq_length"] if sentence.exists() else 512
        self.tokenizer.enable_truncation(most)
        pooling = folder / "1_Pooling" / "config.json"
        self.cls = pooling.exists() and json.loads(pooling.read_text()).get("pooling_mode_cls_token", False)
        modules = folder / "modules.json"
        self.normalize = modules.exists() and "Normalize" in modules.read_text()
        self.sessions, self.load_seconds = {}, {}
        for kind in kinds:
            path = str(Path(work) / f"{kind}.onnx")
            graphs.write(folder, kind, path)
            options = onnxruntime.SessionOptions()
            options.intra_op_num_threads = threads
            options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
            start = time.perf_counter()
            self.sessions[kind] = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
            self.load_seconds[kind] = time.perf_counter() - start

    def embed(self, texts, kind, batch, order):
        """The vectors of texts, in batches, in the order given or longest first."""
        encodings = self.tokenizer.encode_batch(texts)
        indices = list(range(len(texts)))
        if order == "sorted":
            indices.sort(key=lambda index: -len(encodings[index].ids))
        vectors = [None] * len(texts)
        for first in range(0, len(indices), batch):
            part = indices[first : first + batch]
            for index, vector in zip(part, self.run([encodings[index] for index in part], kind)):
                vectors[index] = vector
        return np.array(vectors, dtype="<f4")

    def run(self, encodings, kind):
        ids = np.zeros((len(encodings), max(len(encoding.ids) for encoding in encodings)), np.int64)
        mask = np.zeros_like(ids)
        for row, encoding in enumerate(encodings):
            ids[row, : len(encoding.ids)] = encoding.ids
            mask[row, : len(encoding.ids)] = 1
        states = self.sessions[kind].run(None, {"input_ids": ids, "attention_mask": mask})[0]
        # a product with the mask, not a sum over a masked copy: that would be slower
        vectors = states[:, 0] if self.cls else (mask[:, None, :].astype(np.float32) @ states)[:, 0] / mask.sum(1)[:, None]
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True) if self.normalize else vectors


def peak(seconds=0.5, size=1536):
    """The speed of numpy's matrix product, in GFLOPS, the best of some time."""
    left, right = np.full((size, size), 0.5, np.float32), np.full((size, size), 0.25, np.float32)
    best, end = float("inf"), time.perf_counter() + seconds
    while time.perf_counter() < end:
        start = time.perf_counter()
        left @ right
        best = min(best, time.perf_counter() - start)
    return 2 * size**3 / best / 1e9


def memory():
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return {name: int(status[key].split()[0]) // 1024 for name, key in (("rss", "VmRSS"), ("most", "VmHWM"))}


def main():
    folder, work, threads = sys.argv[1:]
    model = Model(folder, work, int(threads))
    print(json.dumps({"load_seconds": model.load_seconds}), flush=True)
    for line in sys.stdin:
        request = json.loads(line)
        match request["do"]:
            case "embed":
                texts = json.loads(Path(request["texts"]).read_text())
                start, processor = time.perf_counter(), time.process_time()
                vectors = model.embed(texts, request["kind"], request["batch"], request["order"])
                answer = {"seconds": time.perf_counter() - start, "cpu_seconds": time.process_time() - processor}
                if request.get("vectors"):
                    vectors.tofile(request["vectors"])
            case "peak":
                answer = {"gflops": peak()}
            case "memory":
                answer = memory()
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
