"""Two lanes to the processor: a query runs at once, bulk work takes what is left."""

import asyncio
import logging
import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from grpc import StatusCode

from libs.rpc.errors import Failure
from semantik.error.v1.error_reason_pb2 import ErrorReason

log = logging.getLogger(__name__)
_LOWEST_PRIORITY = 19
_INTERACTIVE_THREADS = 2
_T = TypeVar("_T")


class Lane:
    """A bounded queue before some threads. Work is measured in tokens; what is too much is refused, not queued."""

    def __init__(self, name: str, threads: int, queue_tokens: int, *, yields: bool) -> None:
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix=name, initializer=_step_back if yields else None)
        self._limit = queue_tokens
        self._waiting = 0

    async def run(self, tokens: int, work: Callable[[], _T]) -> _T:
        """Run ``work`` on a thread of the lane; work whose caller has gone before its turn is dropped."""
        future = asyncio.get_running_loop().run_in_executor(self._threads, work)
        self._waiting += tokens
        try:
            return await future
        finally:
            self._waiting -= tokens
            future.cancel()

    def admit(self, tokens: int) -> None:
        """Raise RESOURCE_EXHAUSTED with RetryInfo if ``tokens`` more are too many; an idle lane takes anything."""
        if self._waiting and self._waiting + tokens > self._limit:
            raise Failure(
                StatusCode.RESOURCE_EXHAUSTED,
                ErrorReason.ERROR_REASON_OVERLOADED,
                "too much is waiting to be embedded already",
                retry_after=1.0,
            )


def interactive(queue_tokens: int) -> Lane:
    return Lane("interactive", _INTERACTIVE_THREADS, queue_tokens, yields=False)


def bulk(threads: int, queue_tokens: int) -> Lane:
    return Lane("bulk", threads, queue_tokens, yields=True)


def _step_back() -> None:
    """Give this thread the lowest scheduling priority (on Linux, nice values belong to threads)."""
    try:
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _LOWEST_PRIORITY)
    except OSError as error:
        log.warning("bulk threads cannot step back: %s", error)
