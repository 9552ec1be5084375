"""Tells whether this processor's products of eight bits can overflow.

ONNX Runtime multiplies unsigned inputs with signed weights. Processors with VNNI, and those of ARM, add such products in 32 bits.
Other x86 processors add each pair in 16 (``vpmaddubsw``) and cut off what is too large, without a word.
"""

import base64

import numpy as np
import onnxruntime as ort

# MatMulInteger of ``a`` [1, 64] uint8 and ``b`` [64, 16] int8, so that no process has to load the library that writes graphs.
GRAPH = base64.b64decode(
    "CAc6XAoYCgFhCgFiEgFjIg1NYXRNdWxJbnRlZ2VyEgFwWhMKAWESDgoMCAISCAoCCAEKAghAWhMKAWISDgoMCAMSCAoCCEAKAggQ"
    "YhMKAWMSDgoMCAYSCAoCCAEKAggQQgQKABAN"
)


def saturates() -> bool:
    """Return whether the largest products come out too small here."""
    session = ort.InferenceSession(GRAPH, providers=["CPUExecutionProvider"])
    largest = {"a": np.full((1, 64), 255, np.uint8), "b": np.full((64, 16), 127, np.int8)}
    products = session.run(None, largest)[0]
    return bool((products != 64 * 255 * 127).any())
