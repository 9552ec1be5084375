"""Builds the ONNX graph of a BERT encoder from its safetensors, with pooling and normalisation, and quantises it.

The architecture is Devlin et al., "BERT" (2019); pooling is Reimers and Gurevych, "Sentence-BERT" (2019). Runs as a
process of its own (``python -m services.embedding.graph``), so that the serving process never holds what only this needs.
"""

import argparse
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import QuantType, quantize_dynamic
from safetensors.numpy import load_file

from services.embedding.models import ModelFiles

_OPSET = 20  # the first with Gelu
_IR_VERSION = 10
_MASKED = -1e4


class _Builder:
    """Collects nodes and weights; every method adds nodes and returns the name of their result."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[onnx.TensorProto] = []

    def weight(self, name: str, value: "np.ndarray[Any, Any]") -> str:
        self.weights.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def op(self, kind: str, inputs: list[str], **attributes: Any) -> str:
        result = f"{kind}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, inputs, [result], name=result, **attributes))
        return result

    def linear(self, x: str, name: str, weight: "np.ndarray[Any, Any]", bias: "np.ndarray[Any, Any]") -> str:
        product = self.op("MatMul", [x, self.weight(f"{name}.weight", weight.T)])
        return self.op("Add", [product, self.weight(f"{name}.bias", bias)])


def build(files: ModelFiles) -> onnx.ModelProto:
    """Return the FLOAT32 graph: ``input_ids`` and ``attention_mask`` [batch, tokens] int64 -> ``embedding`` [batch, dimension]."""
    tensors = {
        name.removeprefix("bert."): value.astype(np.float32) for name, value in load_file(files.weights).items() if value.dtype.kind == "f"
    }
    config = files.config
    heads, layers = int(str(config["num_attention_heads"])), int(str(config["num_hidden_layers"]))
    epsilon = float(str(config["layer_norm_eps"]))
    if config.get("position_embedding_type", "absolute") != "absolute" or config.get("hidden_act") != "gelu":
        raise SystemExit(f"{files.id}: only absolute positions and gelu are supported")
    graph = _Builder()

    def norm(x: str, prefix: str) -> str:
        scale = graph.weight(f"{prefix}.weight", tensors[f"{prefix}.weight"])
        shift = graph.weight(f"{prefix}.bias", tensors[f"{prefix}.bias"])
        return graph.op("LayerNormalization", [x, scale, shift], axis=-1, epsilon=epsilon)

    hidden = norm(_embed(graph, tensors), "embeddings.LayerNorm")
    mask = _additive_mask(graph)
    for layer in range(layers):
        prefix = f"encoder.layer.{layer}"
        attended = _attend(graph, tensors, hidden, mask, f"{prefix}.attention", heads)
        hidden = norm(graph.op("Add", [attended, hidden]), f"{prefix}.attention.output.LayerNorm")
        wide = _dense(graph, tensors, hidden, f"{prefix}.intermediate.dense")
        narrow = _dense(graph, tensors, graph.op("Gelu", [wide]), f"{prefix}.output.dense")
        hidden = norm(graph.op("Add", [narrow, hidden]), f"{prefix}.output.LayerNorm")
    pooled = _first_token(graph, hidden) if files.pooling == "CLS" else _mean(graph, hidden)
    graph.nodes.append(helper.make_node("LpNormalization", [pooled], ["embedding"], axis=-1, p=2))
    inputs = [helper.make_tensor_value_info(name, TensorProto.INT64, ["batch", "tokens"]) for name in ("input_ids", "attention_mask")]
    output = helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["batch", files.dimension])
    made = helper.make_graph(graph.nodes, files.id, inputs, [output], graph.weights)
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", _OPSET)], ir_version=_IR_VERSION, producer_name="semantik")


def _embed(graph: _Builder, tensors: dict[str, Any]) -> str:
    words = graph.op("Gather", [graph.weight("words", tensors["embeddings.word_embeddings.weight"]), "input_ids"])
    # Every text is of type 0, so its vector is folded into the positions.
    places = tensors["embeddings.position_embeddings.weight"] + tensors["embeddings.token_type_embeddings.weight"][0]
    length = graph.op("Shape", ["input_ids"], start=1, end=2)
    start, axis = graph.weight("zero", np.array([0], np.int64)), graph.weight("axis0", np.array([0], np.int64))
    return graph.op("Add", [words, graph.op("Slice", [graph.weight("places", places), start, length, axis])])


def _additive_mask(graph: _Builder) -> str:
    kept = graph.op("Cast", ["attention_mask"], to=TensorProto.FLOAT)
    left_out = graph.op("Sub", [graph.weight("one", np.array(1, np.float32)), kept])
    scaled = graph.op("Mul", [left_out, graph.weight("masked", np.array(_MASKED, np.float32))])
    return graph.op("Unsqueeze", [scaled, graph.weight("axes12", np.array([1, 2], np.int64))])


def _dense(graph: _Builder, tensors: dict[str, Any], x: str, name: str) -> str:
    return graph.linear(x, name, tensors[f"{name}.weight"], tensors[f"{name}.bias"])


def _attend(graph: _Builder, tensors: dict[str, Any], hidden: str, mask: str, prefix: str, heads: int) -> str:
    width = tensors[f"{prefix}.self.query.weight"].shape[0] // heads
    # The softmax's scale is folded into the queries.
    scale = float(np.float32(width**-0.5))
    split = graph.weight(f"{prefix}.split", np.array([0, 0, heads, width], np.int64))

    def part(name: str, order: list[int], factor: float = 1.0) -> str:
        weight, bias = tensors[f"{prefix}.self.{name}.weight"] * factor, tensors[f"{prefix}.self.{name}.bias"] * factor
        return graph.op("Transpose", [graph.op("Reshape", [graph.linear(hidden, f"{prefix}.{name}", weight, bias), split])], perm=order)

    scores = graph.op("MatMul", [part("query", [0, 2, 1, 3], scale), part("key", [0, 2, 3, 1])])
    shares = graph.op("Softmax", [graph.op("Add", [scores, mask])], axis=-1)
    mixed = graph.op("Transpose", [graph.op("MatMul", [shares, part("value", [0, 2, 1, 3])])], perm=[0, 2, 1, 3])
    joined = graph.op("Reshape", [mixed, graph.weight(f"{prefix}.join", np.array([0, 0, heads * width], np.int64))])
    return _dense(graph, tensors, joined, f"{prefix}.output.dense")


def _mean(graph: _Builder, hidden: str) -> str:
    kept = graph.op("Cast", ["attention_mask"], to=TensorProto.FLOAT)
    weights = graph.op("Unsqueeze", [kept, graph.weight("axis2", np.array([2], np.int64))])
    axis = graph.weight("axis1", np.array([1], np.int64))
    total = graph.op("ReduceSum", [graph.op("Mul", [hidden, weights]), axis], keepdims=0)
    return graph.op("Div", [total, graph.op("ReduceSum", [weights, axis], keepdims=0)])


def _first_token(graph: _Builder, hidden: str) -> str:
    return graph.op("Gather", [hidden, graph.weight("first", np.array(0, np.int64))], axis=1)


def write(files: ModelFiles, precision: str, out: Path) -> None:
    """Write the graph in FLOAT32 or INT8 to ``out``, whole or not at all."""
    with tempfile.TemporaryDirectory(dir=out.parent) as scratch:
        plain = Path(scratch) / "float32.onnx"
        onnx.save(build(files), plain)
        if precision == "FLOAT32":
            plain.rename(out)
            return
        small = Path(scratch) / "int8.onnx"
        quantize_dynamic(plain, small, op_types_to_quantize=["MatMul"], per_channel=True, weight_type=QuantType.QInt8)
        small.rename(out)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--id", required=True)
    parser.add_argument("--directory", type=Path, required=True)
    parser.add_argument("--precision", choices=("FLOAT32", "INT8"), required=True)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    write(ModelFiles(options.id, options.directory), options.precision, options.out)


if __name__ == "__main__":
    main()
