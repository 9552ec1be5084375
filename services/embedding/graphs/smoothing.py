"""Finds the outliers that make eight bits coarse: the few channels of a product's input that are far larger than the rest.

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
from tokenizers import Tokenizer

from services.embedding.catalog.model_files import ModelFiles
from services.embedding.graphs.nodes import Array

_TEXTS = Path(__file__).with_name("calibration.txt")
_OUTLIER = 3.0


def factors(files: ModelFiles, graph: onnx.ModelProto) -> dict[str, Array]:
    """Return the factors [in], at least 1, of the products of an unpadded FLOAT32 ``graph`` of ``bert.build``, by name."""
    inputs = {
        _product(node.input[1]): node.input[0] for node in graph.graph.node if node.op_type == "MatMul" and "encoder" in node.input[1]
    }
    largest = _largest(files, graph, sorted(set(inputs.values())))
    return {name: np.maximum(1, largest[x] / (np.median(largest[x]) * _OUTLIER)).astype(np.float32) for name, x in inputs.items()}


def _product(weight: str) -> str:
    """Return the name of a product; query, key and value have one input and so one name."""
    name = weight.removesuffix(".weight")
    return name.rpartition(".")[0] if ".self." in name else name


def _largest(files: ModelFiles, graph: onnx.ModelProto, names: list[str]) -> dict[str, Array]:
    """Return the largest magnitude of each channel of the tensors ``names``."""
    observed = onnx.ModelProto()
    observed.CopyFrom(graph)
    observed.graph.output.extend(helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in names)
    session = ort.InferenceSession(observed.SerializeToString(), providers=["CPUExecutionProvider"])
    largest: dict[str, Array] = {}
    for text in _calibration(files):
        ids = np.array([text], np.int64)
        inputs = {node.name: ids if node.name == "input_ids" else np.zeros_like(ids) for node in session.get_inputs()}
        for name, value in zip(names, session.run(names, inputs), strict=True):
            magnitude = np.abs(value).max(axis=(0, 1))
            largest[name] = np.maximum(largest[name], magnitude) if name in largest else magnitude
    return largest


def _calibration(files: ModelFiles) -> list[list[int]]:
    """Return the token ids of the page, line by line and as one text, cut to what the model reads."""
    tokenizer = Tokenizer.from_file(str(files.tokenizer))
    tokenizer.no_padding()
    tokenizer.enable_truncation(files.max_length)
    lines = _TEXTS.read_text().splitlines()
    return [tokenizer.encode(text).ids for text in [*lines, " ".join(lines)]]
