"""Finds what makes eight bits coarse: the few channels of a product's input that are far larger than the rest.

After Xiao et al., "SmoothQuant" (2022): an input is divided by a factor for each channel and the weights multiplied by it, so
that the products stay the same. Here only outliers get a factor, those above three times the median channel, because
dividing the others costs more precision in the weights than it gains. They are found on a page of text of many kinds,
``calibration.txt``.
"""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
from onnx import TensorProto, helper

from services.embedding.models import ModelFiles
from services.embedding.nodes import Array
from services.embedding.tokens import Tokens

_TEXTS = Path(__file__).with_name("calibration.txt")
_OUTLIER = 3.0


def factors(files: ModelFiles, graph: onnx.ModelProto) -> dict[str, Array]:
    """Return the factors [in], at least 1, of the products of an unpadded FLOAT32 ``graph`` of ``bert.build``, by name."""
    inputs = {_name(node.input[1]): node.input[0] for node in graph.graph.node if node.op_type == "MatMul" and "encoder" in node.input[1]}
    largest = _largest(files, graph, sorted(set(inputs.values())))
    return {name: np.maximum(1, largest[x] / (np.median(largest[x]) * _OUTLIER)).astype(np.float32) for name, x in inputs.items()}


def _name(weight: str) -> str:
    """Return the name of a product; query, key and value have one input and so one name."""
    name = weight.removesuffix(".weight")
    return name.rpartition(".")[0] if ".self." in name else name


def _largest(files: ModelFiles, graph: onnx.ModelProto, names: list[str]) -> dict[str, Array]:
    """Return the largest magnitude of each channel of the tensors ``names``."""
    watched = onnx.ModelProto()
    watched.CopyFrom(graph)
    watched.graph.output.extend(helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in names)
    session = ort.InferenceSession(watched.SerializeToString(), providers=["CPUExecutionProvider"])
    lines = _TEXTS.read_text().splitlines()
    seen: dict[str, Array] = {}
    for text in Tokens(files).tokenize([*lines, " ".join(lines)], truncate=True):
        ids = np.array([text.ids], np.int64)
        given = {each.name: ids if each.name == "input_ids" else np.zeros_like(ids) for each in session.get_inputs()}
        for name, value in zip(names, session.run(names, given), strict=True):
            largest = np.abs(value).max(axis=(0, 1))
            seen[name] = np.maximum(seen[name], largest) if name in seen else largest
    return seen
