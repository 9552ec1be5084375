"""Writes to one index take turns, and each goes on to its end."""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar
from weakref import WeakValueDictionary

from grpc import StatusCode

from libs.rpc.errors import Failure
from libs.telemetry import failures
from semantik.error.v1.error_reason_pb2 import ErrorReason

log = logging.getLogger(__name__)
_WAIT_SECONDS = 30.0
_T = TypeVar("_T")


class Turns:
    """One write at a time for each name.

    A caller that is cancelled while it waits leaves the queue. Once its write has begun, it goes on without the caller, and the
    next one waits for its end: what Qdrant does with it is then known. A lock lives as long as somebody holds it or waits.
    """

    def __init__(self) -> None:
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._running: set[asyncio.Task[Any]] = set()

    async def take(self, name: str, write: Callable[[], Coroutine[Any, Any, _T]]) -> _T:
        """Run ``write``; raises OVERLOADED where those before it take longer than 30 s."""
        lock = self._locks.setdefault(name, asyncio.Lock())
        try:
            async with asyncio.timeout(_WAIT_SECONDS):
                await lock.acquire()
        except TimeoutError:
            message = f"writes to index {name} queue up"
            raise Failure(StatusCode.RESOURCE_EXHAUSTED, ErrorReason.ERROR_REASON_OVERLOADED, message, retry_after=1.0) from None
        task = asyncio.create_task(write())
        self._running.add(task)

        def done(_: asyncio.Task[_T]) -> None:
            lock.release()
            self._running.discard(task)

        task.add_done_callback(done)
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            task.add_done_callback(lambda ended: _report(name, ended))
            raise

    async def finish(self, seconds: float) -> None:
        """Wait for the writes under way, at most ``seconds``."""
        if self._running:
            await asyncio.wait(self._running, timeout=seconds)


def _report(name: str, ended: asyncio.Task[Any]) -> None:
    """Log the failure of a write whose caller is gone."""
    if not ended.cancelled() and (error := ended.exception()) is not None:
        failures.record(log, "index_write", f"a write to the index {name} failed after its caller had gone", error)
