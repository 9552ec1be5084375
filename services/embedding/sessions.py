"""The models in memory: opened on first use, within a budget, what was used longest ago leaves first."""

import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil
from grpc import StatusCode

from libs.rpc.errors import Failure
from semantik.error.v1.error_reason_pb2 import ErrorReason
from services.embedding import usage
from services.embedding.graphs import graph
from services.embedding.models import ModelFiles
from services.embedding.session import CUDA, Session, usable

log = logging.getLogger(__name__)
_Key = tuple[str, str]


@dataclass
class Loaded:
    """A session with what is told of it; times are Unix seconds."""

    files: ModelFiles
    precision: str
    session: Session
    memory_bytes: int
    load_seconds: float
    load_time: float
    last_use_time: float
    token_count: int = 0

    def used(self, tokens: int) -> None:
        self.last_use_time = time.time()
        self.token_count += tokens


class Sessions:
    """Opens and keeps sessions. ``keeps`` says of a model and precision that it is never unloaded."""

    def __init__(self, model_dir: Path, providers: Sequence[str], budget_bytes: int, keeps: Callable[[ModelFiles, str], bool]) -> None:
        self._model_dir = model_dir
        self._keeps = keeps
        self._lock = threading.Lock()
        self._open: dict[_Key, Loaded] = {}
        self.budget_bytes = budget_bytes
        self.providers = usable(providers)
        # INT8 is made for processors, FLOAT16 for graphics cards; neither has kernels for the other's.
        self.precisions = ("FLOAT16", "FLOAT32") if CUDA in self.providers else ("INT8", "FLOAT32")

    def find(self, files: ModelFiles, precision: str) -> Loaded | None:
        """Return a session if it is open, without waiting."""
        found = self._open.get((files.id, precision))
        # Files that changed are another model.
        return found if found is not None and found.files is files else None

    def of(self, files: ModelFiles) -> list[Loaded]:
        """Return the open sessions of a model."""
        return [each for each in list(self._open.values()) if each.files is files]

    @property
    def memory_bytes(self) -> int:
        return sum(each.memory_bytes for each in list(self._open.values()))

    def get(self, files: ModelFiles, precision: str) -> Loaded:
        """Return the session, built and loaded where it is not yet; blocks meanwhile.

        Raises ModelDamagedError, PRECISION_UNSUPPORTED, and MODEL_TOO_LARGE where the budget does not suffice.
        """
        if precision not in self.precisions:
            raise Failure(
                StatusCode.FAILED_PRECONDITION,
                ErrorReason.ERROR_REASON_PRECISION_UNSUPPORTED,
                f"{self.providers[0]} cannot compute in {precision}; use {' or '.join(self.precisions)}",
                {"precision": precision},
            )
        with self._lock:
            found = self.find(files, precision)
            if found is None:
                if stale := self._open.get((files.id, precision)):
                    self._close(stale)
                found = self._open[files.id, precision] = self._load(files, precision)
            return found

    def unload(self, files: ModelFiles) -> None:
        """Forget a model's sessions; their memory is given back when what they compute has ended."""
        with self._lock:
            for each in self.of(files):
                self._close(each)

    def _load(self, files: ModelFiles, precision: str) -> Loaded:
        started = time.monotonic()
        path = graph(self._model_dir, files, precision, padded=CUDA in self.providers)
        self._make_room(files, path.stat().st_size)
        before = psutil.Process().memory_info().rss
        session = Session(path, files.dimension, self.providers)
        # The graph itself is in there at least, whatever else this process let go of meanwhile.
        memory = max(psutil.Process().memory_info().rss - before, path.stat().st_size)
        seconds = time.monotonic() - started
        log.info("loaded %s in %s on %s: %d MiB in %.1f s", files.id, precision, session.provider, memory >> 20, seconds)
        usage.loaded(files.id, precision, session.provider, memory, seconds)
        return Loaded(files, precision, session, memory, seconds, time.time(), time.time())

    def _make_room(self, files: ModelFiles, needed: int) -> None:
        while self.memory_bytes + needed > self.budget_bytes:
            idle = [each for each in self._open.values() if not self._keeps(each.files, each.precision)]
            if not idle:
                free = self.budget_bytes - self.memory_bytes
                raise Failure(
                    StatusCode.FAILED_PRECONDITION,
                    ErrorReason.ERROR_REASON_MODEL_TOO_LARGE,
                    f"{files.id} needs {needed >> 20} MiB; {free >> 20} MiB of the budget of {self.budget_bytes >> 20} are free",
                    {"model": files.id, "budget_bytes": str(self.budget_bytes)},
                )
            self._close(min(idle, key=lambda each: each.last_use_time))

    def _close(self, loaded: Loaded) -> None:
        del self._open[loaded.files.id, loaded.precision]
        log.info("unloaded %s in %s: %d MiB", loaded.files.id, loaded.precision, loaded.memory_bytes >> 20)
        usage.unloaded(loaded.files.id, loaded.precision, loaded.session.provider)
