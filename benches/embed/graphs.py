"""ONNX graphs of a BERT, made from the safetensors file that the other side reads."""

import json
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from safetensors.numpy import load_file


class Graph:
    """A graph under construction: `node` and `constant` return the name of what they add."""

    def __init__(self):
        self.nodes, self.constants = [], {}

    def constant(self, name, value):
        self.constants.setdefault(name, numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def node(self, kind, inputs, output, domain="", outputs=1, **attributes):
        names = [output] + [f"{output}.{i}" for i in range(1, outputs)]
        self.nodes.append(helper.make_node(kind, inputs, names, name=output, domain=domain, **attributes))
        return output


class Bert:
    """Adds the operators of a model: the standard ones, or those that onnxruntime's transformer optimizer fuses them
    into (Attention, SkipLayerNormalization, BiasGelu)."""

    def __init__(self, folder, fused):
        self.config = json.loads((Path(folder) / "config.json").read_text())
        weights = load_file(Path(folder) / "model.safetensors")
        self.weights = {name.removeprefix("bert."): value.astype(np.float32) for name, value in weights.items()}
        self.fused, self.graph = fused, Graph()
        self.hidden, self.heads = self.config["hidden_size"], self.config["num_attention_heads"]

    def weight(self, name):
        return self.graph.constant(name, self.weights[name])

    def transposed(self, name):
        return self.graph.constant(f"{name}.T", self.weights[name].T)

    def norm(self, x, name):
        inputs = [x, self.weight(f"{name}.weight"), self.weight(f"{name}.bias")]
        return self.graph.node("LayerNormalization", inputs, f"{name}.out", axis=-1, epsilon=self.epsilon())

    def epsilon(self):
        return self.config["layer_norm_eps"]

    def dense(self, x, name):
        product = self.graph.node("MatMul", [x, self.transposed(f"{name}.weight")], f"{name}.product")
        return self.graph.node("Add", [product, self.weight(f"{name}.bias")], f"{name}.out")

    def residual(self, x, before, dense, norm):
        """The norm of a dense layer's output plus what was before it."""
        if not self.fused:
            return self.norm(self.graph.node("Add", [self.dense(x, dense), before], f"{dense}.sum"), norm)
        product = self.graph.node("MatMul", [x, self.transposed(f"{dense}.weight")], f"{dense}.product")
        inputs = [product, before, self.weight(f"{norm}.weight"), self.weight(f"{norm}.bias"), self.weight(f"{dense}.bias")]
        return self.graph.node("SkipLayerNormalization", inputs, f"{norm}.out", domain="com.microsoft", epsilon=self.epsilon())

    def embeddings(self):
        g, name = self.graph, "embeddings."
        words = g.node("Gather", [self.weight(f"{name}word_embeddings.weight"), "input_ids"], "words")
        length = g.node("Shape", ["input_ids"], "length", start=1, end=2)
        zero = g.constant("zero", np.array([0], np.int64))
        positions = g.constant(
            "positions",
            self.weights[f"{name}position_embeddings.weight"] + self.weights[f"{name}token_type_embeddings.weight"][0],
        )
        positions = g.node("Slice", [positions, zero, length, zero], "positions.used")
        return self.norm(g.node("Add", [words, positions], "embedded"), f"{name}LayerNorm")

    def attention(self, x, name):
        return self.fused_attention(x, name) if self.fused else self.plain_attention(x, name)

    def fused_attention(self, x, name):
        parts = [f"{name}.{part}" for part in ("query", "key", "value")]
        weight = np.concatenate([self.weights[f"{part}.weight"].T for part in parts], axis=1)
        bias = np.concatenate([self.weights[f"{part}.bias"] for part in parts])
        inputs = [x, self.graph.constant(f"{name}.w", weight), self.graph.constant(f"{name}.b", bias), "mask32"]
        return self.graph.node("Attention", inputs, f"{name}.out", domain="com.microsoft", num_heads=self.heads)

    def plain_attention(self, x, name):
        g, size = self.graph, self.hidden // self.heads
        split = g.constant("split", np.array([0, 0, self.heads, size], np.int64))
        joined = g.constant("joined", np.array([0, 0, self.hidden], np.int64))

        def part(kind, order):
            part = g.node("Reshape", [self.dense(x, f"{name}.{kind}"), split], f"{name}.{kind}.split")
            return g.node("Transpose", [part], f"{name}.{kind}.heads", perm=order)

        query, key, value = part("query", [0, 2, 1, 3]), part("key", [0, 2, 3, 1]), part("value", [0, 2, 1, 3])
        scores = g.node("MatMul", [query, key], f"{name}.scores")
        scores = g.node("Div", [scores, g.constant("root", np.array(size**0.5, np.float32))], f"{name}.scaled")
        weights = g.node("Softmax", [g.node("Add", [scores, "mask"], f"{name}.masked")], f"{name}.weights", axis=-1)
        found = g.node("Transpose", [g.node("MatMul", [weights, value], f"{name}.found")], f"{name}.tokens", perm=[0, 2, 1, 3])
        return g.node("Reshape", [found, joined], f"{name}.out")

    def mask(self):
        g = self.graph
        if self.fused:
            return g.node("Cast", ["attention_mask"], "mask32", to=TensorProto.INT32)
        mask = g.node("Unsqueeze", ["attention_mask", g.constant("axes", np.array([1, 2], np.int64))], "mask4")
        mask = g.node("Cast", [mask], "mask.numbers", to=TensorProto.FLOAT)
        inverse = g.node("Sub", [g.constant("one", np.array(1, np.float32)), mask], "mask.inverse")
        return g.node("Mul", [inverse, g.constant("lowest", np.array(-3.4e38, np.float32))], "mask")

    def feed(self, x, name):
        intermediate = f"{name}.intermediate.dense"
        if self.fused:
            product = self.graph.node("MatMul", [x, self.transposed(f"{intermediate}.weight")], f"{intermediate}.product")
            inputs = [product, self.weight(f"{intermediate}.bias")]
            middle = self.graph.node("BiasGelu", inputs, f"{name}.gelu", domain="com.microsoft")
        else:
            middle = self.graph.node("Gelu", [self.dense(x, intermediate)], f"{name}.gelu")
        return self.residual(middle, x, f"{name}.output.dense", f"{name}.output.LayerNorm")

    def model(self):
        self.mask()
        x = self.embeddings()
        for layer in range(self.config["num_hidden_layers"]):
            name = f"encoder.layer.{layer}"
            found = self.attention(x, f"{name}.attention.self")
            x = self.residual(found, x, f"{name}.attention.output.dense", f"{name}.attention.output.LayerNorm")
            x = self.feed(x, name)
        g = self.graph
        g.node("Identity", [x], "states")
        shape = ["texts", "tokens"]
        inputs = [helper.make_tensor_value_info(name, TensorProto.INT64, shape) for name in ("input_ids", "attention_mask")]
        output = helper.make_tensor_value_info("states", TensorProto.FLOAT, [*shape, self.hidden])
        graph = helper.make_graph(g.nodes, "bert", inputs, [output], list(g.constants.values()))
        opsets = [helper.make_opsetid("", 20), helper.make_opsetid("com.microsoft", 1)]
        return helper.make_model(graph, opset_imports=opsets, ir_version=9)


def write(folder, kind, path):
    """Writes the graph of a model, `kind` fused or plain."""
    if json.loads((Path(folder) / "config.json").read_text())["hidden_act"] != "gelu":
        raise SystemExit("the graphs are of models with hidden_act gelu only")
    onnx.save(Bert(folder, kind == "fused").model(), path)
