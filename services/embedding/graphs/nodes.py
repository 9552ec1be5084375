"""Collects the nodes and weights of an ONNX graph, and the ends that all our graphs have: pooling and normalisation."""

from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

OPSET = 20  # the first with Gelu
OUTPUT = "semantik_output"
MICROSOFT = "com.microsoft"  # ONNX Runtime's own operators
IR_VERSION = 10
Array = np.ndarray[Any, Any]


class Nodes:
    """Every method adds nodes and returns the name of their result; ``prefix`` keeps its names from those of others."""

    def __init__(self, prefix: str = "") -> None:
        self._prefix = prefix
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[onnx.TensorProto] = []

    def weight(self, name: str, value: Array) -> str:
        # Unlike ascontiguousarray, this leaves a scalar a scalar.
        self.weights.append(numpy_helper.from_array(np.asarray(value, order="C"), name))
        return name

    def ints(self, name: str, *values: int) -> str:
        return self.weight(name, np.array(values, np.int64))

    def op(self, kind: str, inputs: list[str], **attributes: Any) -> str:
        result = f"{self._prefix}{kind}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, inputs, [result], name=result, **attributes))
        return result

    def linear(self, x: str, name: str, weight: Array, bias: Array) -> str:
        """``weight`` is [out, in], as checkpoints hold it."""
        product = self.op("MatMul", [x, self.weight(f"{name}.weight", weight.T)])
        return self.op("Add", [product, self.weight(f"{name}.bias", bias)])

    def vector(self, hidden: str, pooling: str, *, padded: bool) -> None:
        """End with ``semantik_output`` [batch, dimension]: ``hidden`` [batch, tokens, dimension] pooled, of length 1."""
        if pooling == "CLS":
            self.normalised(self.first_token(hidden))
        else:
            # Of length 1 in the end, a sum is as good as a mean.
            tokens = self._without_padding(hidden) if padded else hidden
            self.normalised(self.op("ReduceSum", [tokens, self.ints(f"{self._prefix}axis1", 1)], keepdims=0))

    def normalised(self, vectors: str) -> None:
        self.nodes.append(helper.make_node("LpNormalization", [vectors], [OUTPUT], axis=-1, p=2))

    def score(self, logits: str) -> None:
        """End with ``semantik_output`` [batch, 1]."""
        self.nodes.append(helper.make_node("Identity", [logits], [OUTPUT]))

    def first_token(self, hidden: str) -> str:
        return self.op("Gather", [hidden, self.weight(f"{self._prefix}first", np.array(0, np.int64))], axis=1)

    def _without_padding(self, hidden: str) -> str:
        mask = self.op("Cast", ["attention_mask"], to=TensorProto.FLOAT)
        return self.op("Mul", [hidden, self.op("Unsqueeze", [mask, self.ints(f"{self._prefix}axis2", 2)])])


def opsets() -> list[onnx.OperatorSetIdProto]:
    return [helper.make_opsetid("", OPSET), helper.make_opsetid(MICROSOFT, 1)]


def graph_inputs(*names: str) -> list[onnx.ValueInfoProto]:
    return [helper.make_tensor_value_info(name, TensorProto.INT64, ["batch", "tokens"]) for name in names]


def graph_output(width: int) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, ["batch", width])
