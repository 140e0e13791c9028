"""Makes the models of these tests, and what ONNX's own reference evaluator makes of some tokens.

    pip install onnx==1.23.2 && python make.py

`mean.onnx` looks tokens up and takes their mean: three classes, small enough to be computed again by hand in the test.
`attention.onnx` is one layer of a transformer with two heads, in the operators in which such models are exported: shapes that
are computed from the input, masks that are added, a softmax, layer norms, the error function. Its sequences have any length.
`fixed.onnx` is `mean.onnx` for sequences of eight tokens. All weights follow from a formula; nobody trained anything.
"""

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

HERE = Path(__file__).parent
VOCABULARY, WIDTH, HEADS, CLASSES = 32, 8, 2, 3


def weights(rows, columns, seed):
    """Numbers from -1 to 1 by a formula that the test has too."""
    at = np.arange(rows * columns, dtype=np.int64)
    return (((at * (2 * seed + 7) + seed * 11) % 41 - 20) / 20.0).astype(np.float32).reshape(rows, columns)


class Graph:
    def __init__(self):
        self.nodes, self.constants, self.count = [], [], 0

    def constant(self, value):
        name = f"c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(value), name))
        return name

    def add(self, operator, *inputs, name=None, **attributes):
        self.count += 1
        name = name or f"n{self.count}"
        self.nodes.append(helper.make_node(operator, list(inputs), [name], name=f"/{operator}_{self.count}", **attributes))
        return name

    def save(self, path, inputs, sequence):
        tensors = [helper.make_tensor_value_info(name, kind, ["batch", sequence]) for name, kind in inputs]
        logits = helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", CLASSES])
        graph = helper.make_graph(self.nodes, path.stem, tensors, [logits], self.constants)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
        onnx.checker.check_model(model, full_check=True)
        onnx.save(model, path)
        print(path.name, path.stat().st_size, "bytes")
        return ReferenceEvaluator(model)


def mean(path, sequence):
    graph = Graph()
    tokens = graph.add("Gather", graph.constant(weights(VOCABULARY, WIDTH, 1)), "input_ids")
    mask = graph.add("Cast", "attention_mask", to=TensorProto.FLOAT)
    mask = graph.add("Unsqueeze", mask, graph.constant(np.array([2], np.int64)))
    one = graph.constant(np.array([1], np.int64))
    total = graph.add("ReduceSum", graph.add("Mul", tokens, mask), one, keepdims=0)
    pooled = graph.add("Div", total, graph.add("ReduceSum", mask, one, keepdims=0))
    product = graph.add("MatMul", pooled, graph.constant(weights(WIDTH, CLASSES, 2)))
    graph.add("Add", product, graph.constant(weights(1, CLASSES, 3)), name="logits")
    inputs = [("input_ids", TensorProto.INT64), ("attention_mask", TensorProto.INT64)]
    return graph.save(path, inputs, sequence)


def attention(path):
    graph = Graph()
    integer = lambda *values: graph.constant(np.array(values, np.int64))
    number = lambda value: graph.constant(np.array(value, np.float32))

    def norm(value, seed):
        scale, shift = 1 + weights(1, WIDTH, seed)[0] / 10, weights(1, WIDTH, seed + 1)[0] / 10
        return graph.add("LayerNormalization", value, graph.constant(scale), graph.constant(shift), axis=-1, epsilon=1e-12)

    def dense(value, rows, columns, seed):
        product = graph.add("MatMul", value, graph.constant(weights(rows, columns, seed) / 2))
        return graph.add("Add", product, graph.constant(weights(1, columns, seed + 1)[0] / 4))

    shape = graph.add("Shape", "input_ids")
    batch = graph.add("Unsqueeze", graph.add("Gather", shape, graph.constant(np.int64(0)), axis=0), integer(0))
    length = graph.add("Unsqueeze", graph.add("Gather", shape, graph.constant(np.int64(1)), axis=0), integer(0))
    places = graph.add("Slice", graph.constant(weights(16, WIDTH, 4)), integer(0), length, integer(0))
    words = graph.add("Gather", graph.constant(weights(VOCABULARY, WIDTH, 5)), "input_ids")
    types = graph.add("Gather", graph.constant(weights(2, WIDTH, 6)), "token_type_ids")
    hidden = norm(graph.add("Add", graph.add("Add", words, types), places), 7)

    mask = graph.add("Cast", graph.add("Unsqueeze", "attention_mask", integer(1, 2)), to=TensorProto.FLOAT)
    mask = graph.add("Mul", graph.add("Sub", number(1.0), mask), number(-10000.0))
    heads = graph.add("Concat", batch, length, integer(HEADS), integer(WIDTH // HEADS), axis=0)

    def head(seed, order):
        return graph.add("Transpose", graph.add("Reshape", dense(hidden, WIDTH, WIDTH, seed), heads), perm=order)

    query, key, value = head(9, [0, 2, 1, 3]), head(11, [0, 2, 3, 1]), head(13, [0, 2, 1, 3])
    scores = graph.add("Div", graph.add("MatMul", query, key), number(np.sqrt(WIDTH / HEADS)))
    scores = graph.add("Softmax", graph.add("Add", scores, mask), axis=-1)
    context = graph.add("Transpose", graph.add("MatMul", scores, value), perm=[0, 2, 1, 3])
    context = graph.add("Reshape", context, graph.add("Concat", batch, length, integer(WIDTH), axis=0))
    hidden = norm(graph.add("Add", dense(context, WIDTH, WIDTH, 15), hidden), 17)

    inner = dense(hidden, WIDTH, 2 * WIDTH, 19)
    bent = graph.add("Add", graph.add("Erf", graph.add("Div", inner, number(np.sqrt(2.0)))), number(1.0))
    inner = graph.add("Mul", graph.add("Mul", inner, bent), number(0.5))
    hidden = norm(graph.add("Add", dense(inner, 2 * WIDTH, WIDTH, 21), hidden), 23)

    first = graph.add("Gather", hidden, graph.constant(np.int64(0)), axis=1)
    pooled = graph.add("Tanh", dense(first, WIDTH, WIDTH, 25))
    product = graph.add("MatMul", pooled, graph.constant(weights(WIDTH, CLASSES, 27)))
    graph.add("Add", product, graph.constant(weights(1, CLASSES, 28)[0]), name="logits")
    inputs = [(name, TensorProto.INT64) for name in ("input_ids", "attention_mask", "token_type_ids")]
    return graph.save(path, inputs, "sequence")


def main():
    mean(HERE / "fixed.onnx", 8)
    models = {"mean": mean(HERE / "mean.onnx", "sequence"), "attention": attention(HERE / "attention.onnx")}
    lines = []
    for name, model in models.items():
        for ids in [[1], [1, 2], [3, 9, 27, 4], [5, 5, 5, 5, 5], [31, 0, 17, 8, 2, 30, 11], list(range(1, 17))]:
            inputs = {"input_ids": np.array([ids], np.int64), "attention_mask": np.ones((1, len(ids)), np.int64)}
            if name == "attention":
                inputs["token_type_ids"] = np.zeros((1, len(ids)), np.int64)
            [logits] = model.run(None, inputs)
            numbers = [" ".join(map(str, ids)), " ".join(f"{logit:.6f}" for logit in logits[0])]
            lines.append("\t".join([name, *numbers]))
    (HERE / "expected.tsv").write_text("\n".join(lines) + "\n")


main()
