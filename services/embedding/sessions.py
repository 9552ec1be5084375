"""ONNX Runtime sessions: built on first use, kept on disk by digest, one for each model and precision."""

import hashlib
import json
import logging
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime as ort
from grpc import StatusCode

from libs.rpc.errors import Failure
from semantik.error.v1.error_reason_pb2 import ErrorReason
from services.embedding.models import ModelDamagedError, ModelFiles

log = logging.getLogger(__name__)
_BUILD_SECONDS = 600


class Session:
    """One graph, one intra-op thread: the lanes bring the parallelism."""

    def __init__(self, path: Path, dimension: int) -> None:
        options = ort.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self._session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        self._dimension = dimension
        self.providers = self._session.get_providers()

    def run(self, inputs: dict[str, npt.NDArray[np.int64]]) -> npt.NDArray[np.float32]:
        """Return embeddings [batch, dimension] of length 1; raises INTERNAL for anything that is none."""
        result: Any = self._session.run(["embedding"], inputs)[0]
        vectors = np.asarray(result, dtype=np.float32)
        lengths = np.linalg.norm(vectors, axis=1)
        if vectors.shape != (len(inputs["input_ids"]), self._dimension) or not np.all(np.abs(lengths - 1) < 0.01):
            raise Failure(StatusCode.INTERNAL, ErrorReason.ERROR_REASON_INTERNAL, "the model gave something that is no embedding")
        return vectors


class Sessions:
    """Opens sessions; graphs lie in ``<model_dir>/.graphs/<digest>/``, each beside the digest of its own bytes."""

    def __init__(self, model_dir: Path) -> None:
        self._graphs = model_dir / ".graphs"
        self._open: dict[tuple[str, str], Session] = {}
        self._lock = threading.Lock()

    def is_open(self, files: ModelFiles) -> bool:
        return any(digest == files.digest for digest, _ in self._open)

    def get(self, files: ModelFiles, precision: str) -> Session:
        """Return the session, built and loaded where it is not yet; blocks meanwhile.

        Raises ModelDamagedError, and PRECISION_UNSUPPORTED for FLOAT16, which no CPU provider has.
        """
        if precision not in ("INT8", "FLOAT32"):
            raise Failure(
                StatusCode.FAILED_PRECONDITION,
                ErrorReason.ERROR_REASON_PRECISION_UNSUPPORTED,
                f"this processor cannot compute in {precision}; use INT8 or FLOAT32",
                {"precision": precision},
            )
        with self._lock:
            key = (files.digest, precision)
            if key not in self._open:
                self._open[key] = Session(self._graph(files, precision), files.dimension)
                log.info("loaded %s in %s", files.id, precision)
            return self._open[key]

    def _graph(self, files: ModelFiles, precision: str) -> Path:
        directory = self._graphs / files.digest
        graph, manifest = directory / f"{precision.lower()}.onnx", directory / f"{precision.lower()}.json"
        if not manifest.exists():
            directory.mkdir(parents=True, exist_ok=True)
            _build(files, precision, graph, manifest)
        expected = json.loads(manifest.read_text())["sha256"]
        if not graph.exists() or _sha256(graph) != expected:
            raise ModelDamagedError(f"{files.id}: {graph.name} is truncated or altered; delete {directory} to build it anew")
        return graph


def _build(files: ModelFiles, precision: str, graph: Path, manifest: Path) -> None:
    """Build in a process of its own: what building needs never burdens serving."""
    log.info("building the %s graph of %s", precision, files.id)
    with tempfile.TemporaryDirectory(dir=graph.parent) as scratch:
        out = Path(scratch) / graph.name
        command = [sys.executable, "-P", "-m", "services.embedding.graph", "--id", files.id, "--directory", str(files.directory)]
        command += ["--precision", precision, "--out", str(out)]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=_BUILD_SECONDS)  # noqa: S603 - our own module
        if done.returncode:
            raise ModelDamagedError(f"{files.id}: its graph cannot be built: {done.stderr.strip().splitlines()[-1:]}")
        digest = Path(scratch) / manifest.name
        digest.write_text(json.dumps({"sha256": _sha256(out)}))
        # Two processes may build at once: each writes equal bytes, and the manifest comes last.
        out.rename(graph)
        digest.rename(manifest)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
