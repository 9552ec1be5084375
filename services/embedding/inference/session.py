"""One ONNX Runtime session: token ids in, vectors or scores out, nothing else ever."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime as ort
from grpc import StatusCode
from onnxruntime.datasets import get_example

from libs.rpc.errors import Failure
from semantik.error.v1.error_reason_pb2 import ErrorReason
from services.embedding.inference.batches import arrays
from services.embedding.inference.tokens import Tokenized

log = logging.getLogger(__name__)
CPU, CUDA = "CPUExecutionProvider", "CUDAExecutionProvider"
# How the providers say that memory is out; they have no exception of their own for it.
_OUT_OF_MEMORY = ("out of memory", "failed to allocate", "bad allocation", "bad_alloc")


def usable(providers: Sequence[str]) -> list[str]:
    """Return which of ``providers`` work on this machine: the GPU runtime lists CUDA on a machine without any card too."""
    available = ort.get_available_providers()
    wanted = [provider for provider in providers if provider in available]
    if not wanted:
        raise SystemExit(f"none of the providers {', '.join(providers)} is here; there are {', '.join(available)}")
    if CUDA not in wanted:
        return wanted
    probe = ort.InferenceSession(get_example("sigmoid.onnx"), _options(), providers=wanted)
    return [provider for provider in wanted if provider in probe.get_providers()]


class Session:
    """One graph. It has one intra-op thread, because the lanes bring the parallelism; any thread may run it.

    ``width`` is the length of an output row: of a vector, or 1 for a score. A processor computes text after text: that
    is as fast as batches of many, nothing is spent on padding, attention needs no mask, and the scales of INT8 are a
    text's own, so that its vector does not depend on its neighbours. A graphics card computes padded batches.
    """

    def __init__(self, path: Path, width: int, providers: Sequence[str]) -> None:
        settings = [(provider, {"arena_extend_strategy": "kSameAsRequested"} if provider == CUDA else {}) for provider in providers]
        # As ONNX Runtime fuses it, a residual with its norm takes five times as long as the two by themselves.
        disabled = ["SkipLayerNormFusion"] if CUDA not in providers else []
        self._session = ort.InferenceSession(str(path), _options(), providers=settings, disabled_optimizers=disabled)
        self._width = width
        self._inputs = [node.name for node in self._session.get_inputs()]
        self._output = str(self._session.get_outputs()[0].name)
        self.provider = str(self._session.get_providers()[0])
        self.pads = self.provider != CPU

    def run(self, texts: Sequence[Tokenized]) -> npt.NDArray[np.float32]:
        """Return vectors [texts, width] of length 1, or scores [texts, 1]; raises INTERNAL for anything else."""
        rows = self._padded(texts) if self.pads else np.concatenate([self._computed(arrays([text])) for text in texts])
        if rows.shape != (len(texts), self._width) or not self._is_sound(rows):
            raise Failure(StatusCode.INTERNAL, ErrorReason.ERROR_REASON_INTERNAL, "the model gives something that is not an embedding")
        return rows

    def _padded(self, texts: Sequence[Tokenized]) -> npt.NDArray[np.float32]:
        """Compute one batch; one that memory does not suffice for, in halves."""
        try:
            return self._computed(arrays(texts))
        except Exception as error:
            if len(texts) == 1 or not _is_memory(error):
                raise
        log.warning("a batch of %d texts does not fit into memory; computing it in halves", len(texts))
        half = len(texts) // 2
        return np.concatenate([self._padded(texts[:half]), self._padded(texts[half:])])

    def _computed(self, values: dict[str, npt.NDArray[np.int64]]) -> npt.NDArray[np.float32]:
        inputs = {name: values[name] for name in self._inputs}
        if self.provider == CPU:
            rows: Any = self._session.run([self._output], inputs)[0]
        else:
            # Bound, so that each batch crosses the bus once each way.
            binding = self._session.io_binding()
            for name, value in inputs.items():
                binding.bind_ortvalue_input(name, ort.OrtValue.ortvalue_from_numpy(value, "cuda", 0))
            binding.bind_output(self._output, "cuda")
            self._session.run_with_iobinding(binding)
            rows = binding.copy_outputs_to_cpu()[0]
        return np.asarray(rows, dtype=np.float32)

    def _is_sound(self, rows: npt.NDArray[np.float32]) -> bool:
        if self._width == 1:
            return bool(np.all(np.isfinite(rows)))
        # NaN and infinity fail this comparison too.
        return bool(np.all(np.abs(np.linalg.norm(rows, axis=1) - 1) < 0.01))


def _options() -> ort.SessionOptions:
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return options


def _is_memory(error: Exception) -> bool:
    return isinstance(error, MemoryError) or any(sign in str(error).lower() for sign in _OUT_OF_MEMORY)
