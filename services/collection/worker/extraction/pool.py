"""A pool of extraction children: started on demand, killed when a file makes them hang or swell, stopped when idle."""

import asyncio
import logging
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Self

from services.collection.worker import metrics
from services.collection.worker.extraction.child import Child, ExtractionUnavailableError, File, Limits
from services.collection.worker.extraction.extracted import Extracted, UnreadableError
from services.collection.worker.extraction.wire import MAX_FILES

log = logging.getLogger(__name__)

_IDLE_SECONDS = 30.0
_TRIES = 3


class ExtractionPool:
    """At most ``processes`` files are read at once, each within ``limits``."""

    def __init__(self, processes: int, limits: Limits) -> None:
        self._limits = limits
        self._places = asyncio.Semaphore(processes)
        self._threads = ThreadPoolExecutor(2 * processes, "extraction")
        self._resting: dict[Child, asyncio.TimerHandle] = {}
        self._busy: set[Child] = set()
        self._is_closed = False

    async def extract(self, file: File) -> Extracted:
        """Return the text of a file; raises UnreadableError, also when the file killed the child."""
        [answer] = await self.extract_all([file])
        if isinstance(answer, UnreadableError):
            raise answer
        return answer

    async def extract_all(self, files: Sequence[File]) -> list[Extracted | UnreadableError]:
        """Return the text of each file, or why there is none; many small files cost one round trip to one child.

        Raises ExtractionUnavailableError if no child lives long enough to be asked.
        """
        if not files:
            return []
        answers: list[Extracted | UnreadableError] = []
        tries_left = _TRIES
        async with self._places:
            while len(answers) < len(files):
                more = await self._ask(files[len(answers) : len(answers) + MAX_FILES])
                answers += more
                tries_left = _TRIES if more else tries_left - 1
                if not tries_left:
                    raise ExtractionUnavailableError("extraction children end before they are asked")
        return answers

    async def _ask(self, files: Sequence[File]) -> list[Extracted | UnreadableError]:
        """Return the answers of one child, which are fewer than the files if one of them ended it."""
        child = await self._take()
        self._busy.add(child)
        try:
            answers = await asyncio.wrap_future(self._threads.submit(child.extract, files))
        except BaseException:  # a cancellation: the thread ends with the child
            self._end(child)
            raise
        finally:
            self._busy.discard(child)
        if self._is_closed:
            raise ExtractionUnavailableError("the extraction pool is closed")
        if child.is_alive:
            self._rest(child)
        else:
            self._end(child)
            if answers:
                log.warning("the extraction child %d was ended by the file %s: %s", child.pid, files[len(answers) - 1].name, answers[-1])
                metrics.failures.labels("extraction_child").inc()
        return answers

    async def _take(self) -> Child:
        while self._resting:
            child, idle = self._resting.popitem()
            idle.cancel()
            if child.is_alive:
                return child
            self._end(child)
        starting = self._threads.submit(Child.start, self._limits)
        try:
            return await asyncio.wrap_future(starting)
        except asyncio.CancelledError:
            starting.add_done_callback(_stop_started)
            raise

    def _rest(self, child: Child) -> None:
        self._resting[child] = asyncio.get_running_loop().call_later(_IDLE_SECONDS, self._retire, child)

    def _retire(self, child: Child) -> None:
        if self._resting.pop(child, None):
            self._end(child)

    def _end(self, child: Child) -> None:
        child.kill()
        if not self._is_closed:
            self._threads.submit(child.stop)

    async def __aenter__(self) -> Self:
        """Start a child to see what this system can do; raises ExtractionUnavailableError."""
        child = await self._take()
        log.info("the sandbox of extraction: %s", ", ".join(f"{name} {state}" for name, state in child.layers.items()))
        for name in ("landlock", "seccomp"):
            if not child.layers[name].startswith("on"):
                log.warning("the sandbox of extraction has no %s: %s", name, child.layers[name])
        self._rest(child)
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for idle in self._resting.values():
            idle.cancel()
        for child in (*self._resting, *self._busy):
            self._end(child)
        self._resting.clear()
        self._is_closed = True
        # Not waited for: the children are dead, and a thread waits for nothing else.
        self._threads.shutdown(wait=False)


def _stop_started(starting: Future[Child]) -> None:
    if not starting.cancelled() and starting.exception() is None:
        starting.result().stop()
