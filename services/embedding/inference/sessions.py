"""The models in memory: loaded on first use, within a budget; the least recently used leaves first."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil
from grpc import StatusCode

from libs.rpc.errors import Failure
from semantik.error.v1.error_reason_pb2 import ErrorReason
from services.embedding import blocking, metrics
from services.embedding.catalog.model_files import ModelDamagedError, ModelFiles
from services.embedding.graphs.cache import Graph, Graphs
from services.embedding.graphs.saturation import saturates
from services.embedding.inference.loaded import Loaded
from services.embedding.inference.session import CUDA, Session, usable
from services.embedding.inference.tokens import Tokenized, Tokens
from services.embedding.once import Once

log = logging.getLogger(__name__)
RETRY_SECONDS = 5.0
_MOST_WAITING = 32
_CLOSE_SECONDS = 5.0
_Key = tuple[str, str]
# Three tokens that every vocabulary has: what cannot embed them embeds nothing.
_PROBE = [Tokenized([0, 1, 2])]


@dataclass(frozen=True)
class _FailedLoad:
    """Why a model could not be loaded; ``retry_time`` is on the monotonic clock."""

    files: ModelFiles
    error: ModelDamagedError
    retry_time: float


class Sessions:
    """Loads and keeps sessions. ``keeps`` says of a model and precision that it is never unloaded.

    All callers that need the same model share one load, which goes on when they are gone. Graphs are built in processes,
    files are read on other threads, so that a load delays only the callers that need its model. A load that
    failed is not tried again for 5 s unless the files change.
    """

    def __init__(
        self,
        model_dir: Path,
        digest: Callable[[ModelFiles], Awaitable[str]],
        providers: Sequence[str],
        budget_bytes: int,
        keeps: Callable[[ModelFiles, str], bool],
    ) -> None:
        self._digest = digest
        self._keeps = keeps
        self._graphs = Graphs(model_dir, saturates=saturates())
        self._opening = asyncio.Lock()
        refusal = "too many calls wait for this model to be loaded already"
        self._loads: Once[Loaded] = Once(_MOST_WAITING, refusal)
        self._tokenizers: Once[Tokens] = Once(_MOST_WAITING, refusal)
        self._tokens: dict[str, Tokens] = {}
        self._open: dict[_Key, Loaded] = {}
        self._failed: dict[_Key, _FailedLoad] = {}
        self.budget_bytes = budget_bytes
        self.providers = usable(providers)
        # INT8 is made for processors, FLOAT16 for graphics cards; neither has kernels for the other's.
        self.precisions = ("FLOAT16", "FLOAT32") if CUDA in self.providers else ("INT8", "FLOAT32")

    @property
    def memory_bytes(self) -> int:
        return sum(loaded.memory_bytes for loaded in self._open.values())

    def find(self, files: ModelFiles, precision: str) -> Loaded | None:
        """Return a session if it is open, without waiting."""
        loaded = self._open.get((files.id, precision))
        # Files that changed are another model.
        return loaded if loaded is not None and loaded.files is files else None

    def of(self, files: ModelFiles) -> list[Loaded]:
        """Return the open sessions of a model."""
        return [loaded for loaded in self._open.values() if loaded.files is files]

    def is_loading(self, files: ModelFiles) -> bool:
        return any(self._loads.is_running((id(files), precision)) for precision in self.precisions)

    def damage(self, files: ModelFiles) -> str:
        """Return why the model could not be loaded when that was last tried."""
        return next((str(failed.error) for failed in self._failed.values() if failed.files is files), "")

    async def get(self, files: ModelFiles, precision: str) -> Loaded:
        """Return the session, loaded where it is not yet.

        Raises ModelDamagedError, PRECISION_UNSUPPORTED, MODEL_TOO_LARGE where the budget does not suffice, and OVERLOADED
        where too many wait for the same model.
        """
        if (loaded := self.find(files, precision)) is not None:
            return loaded
        if precision not in self.precisions:
            raise Failure(
                StatusCode.FAILED_PRECONDITION,
                ErrorReason.ERROR_REASON_PRECISION_UNSUPPORTED,
                f"{self.providers[0]} cannot compute in {precision}; use {' or '.join(self.precisions)}",
                {"precision": precision},
            )
        failed = self._failed.get((files.id, precision))
        if failed is not None and failed.files is files and time.monotonic() < failed.retry_time:
            raise failed.error.with_traceback(None)
        return await self._loads.get((id(files), precision), lambda: self._load(files, precision))

    async def tokens(self, files: ModelFiles) -> Tokens:
        """Return the model's tokenizer, read where it is not yet; raises ModelDamagedError, OVERLOADED."""
        tokens = self._tokens.get(files.id)
        if tokens is None or tokens.files is not files:
            tokens = await self._tokenizers.get(id(files), lambda: self._read_tokens(files))
        return tokens

    def unload(self, files: ModelFiles) -> None:
        """Forget a model's sessions; their memory is given back when what they compute has ended."""
        for loaded in self.of(files):
            self._close(loaded)
        self._tokens.pop(files.id, None)
        for precision in self.precisions:
            self._failed.pop((files.id, precision), None)

    async def end_loads(self) -> None:
        """Cancel the loads under way, and end the processes that build for them; callers get DRAINING."""
        await self._loads.close(_CLOSE_SECONDS)
        await self._tokenizers.close(_CLOSE_SECONDS)

    async def _load(self, files: ModelFiles, precision: str) -> Loaded:
        key, started = (files.id, precision), time.monotonic()
        try:
            await self._digest(files)
            tokens = await self.tokens(files)
            graph = await self._graphs.get(files, precision, padded=CUDA in self.providers)
            async with self._opening:  # one after another, because each is measured by what the process grows by
                if stale := self._open.get(key):
                    self._close(stale)
                self._make_room(files, self._needed(graph))
                session, memory = await blocking.run(lambda: self._open_graph(graph, files))
        except Exception as error:
            log.warning("%s cannot be loaded in %s", files.id, precision, exc_info=error)
            metrics.load_failed(files.id, precision)
            if isinstance(error, ModelDamagedError):
                self._failed[key] = _FailedLoad(files, error, time.monotonic() + RETRY_SECONDS)
            raise
        seconds = time.monotonic() - started
        loaded = Loaded(files, precision, tokens, session, memory, seconds, time.time(), time.time())
        self._open[key] = loaded
        self._failed.pop(key, None)
        log.info("loaded %s in %s on %s: %d MiB in %.1f s", files.id, precision, session.provider, memory >> 20, seconds)
        metrics.loaded(files.id, precision, session.provider, memory, seconds)
        return loaded

    async def _read_tokens(self, files: ModelFiles) -> Tokens:
        tokens = self._tokens[files.id] = await blocking.run(lambda: Tokens(files))
        return tokens

    def _open_graph(self, graph: Graph, files: ModelFiles) -> tuple[Session, int]:
        """Return the session of a graph whose bytes are those that were built, with its memory in bytes; blocks."""
        graph.check(files)
        before = psutil.Process().memory_info().rss
        try:
            session = Session(graph.path, files.dimension, self.providers)
            session.run(_PROBE)
        except Failure as failure:
            raise ModelDamagedError(files.id, failure.message) from failure
        except Exception as error:  # the runtime's own, of which there are a dozen
            raise ModelDamagedError(files.id, f"its graph cannot be opened: {error}") from error
        # The graph itself is in there at least, whatever else this process let go of meanwhile.
        return session, max(psutil.Process().memory_info().rss - before, self._needed(graph))

    def _needed(self, graph: Graph) -> int:
        return graph.path.stat().st_size

    def _make_room(self, files: ModelFiles, needed: int) -> None:
        while self.memory_bytes + needed > self.budget_bytes:
            idle = [loaded for loaded in self._open.values() if not self._keeps(loaded.files, loaded.precision)]
            if not idle:
                free = self.budget_bytes - self.memory_bytes
                raise Failure(
                    StatusCode.FAILED_PRECONDITION,
                    ErrorReason.ERROR_REASON_MODEL_TOO_LARGE,
                    f"{files.id} needs {needed >> 20} MiB; {free >> 20} MiB of the budget of {self.budget_bytes >> 20} are free",
                    {"model": files.id, "budget_bytes": str(self.budget_bytes)},
                )
            self._close(min(idle, key=lambda loaded: loaded.last_use_time))

    def _close(self, loaded: Loaded) -> None:
        del self._open[loaded.files.id, loaded.precision]
        log.info("unloaded %s in %s: %d MiB", loaded.files.id, loaded.precision, loaded.memory_bytes >> 20)
        metrics.unloaded(loaded.files.id, loaded.precision, loaded.session.provider)
