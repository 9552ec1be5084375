"""Two lanes to the processor: a query runs at once, bulk work takes what is left."""

import asyncio
import logging
import os
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

from grpc import StatusCode

from libs.rpc.errors import Failure
from semantik.error.v1.error_reason_pb2 import ErrorReason
from services.embedding import usage
from services.embedding.tokens import start_threads

log = logging.getLogger(__name__)
_LOWEST_PRIORITY = 19
_INTERACTIVE_THREADS = 2
_FIRST_RATE = 5000.0  # tokens/s of a thread, until there is a measurement
_T = TypeVar("_T")


class Lane:
    """A bounded queue before some threads. Work is measured in tokens; what is too much is refused, not queued.

    ``user_tokens`` bounds what one user may have waiting, so that nobody fills the queue for everybody.
    """

    def __init__(self, name: str, threads: int, queue_tokens: int, user_tokens: int, *, yields: bool) -> None:
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix=name, initializer=_step_back if yields else None)
        self._name = name
        self._width = threads
        self._limit, self._user_limit = queue_tokens, user_tokens
        self._waiting = 0
        self._of_user: Counter[str] = Counter()
        self._rate = _FIRST_RATE

    @contextmanager
    def admitted(self, tokens: int, user: str = "") -> Iterator[None]:
        """Hold a place for ``tokens`` while they are computed; ``user`` is empty for the mesh itself.

        Raises OVERLOADED with the time the queue needs; an idle lane takes anything.
        """
        if self._waiting and self._waiting + tokens > self._limit:
            raise self._overloaded("too much is waiting to be computed already", self._waiting + tokens - self._limit)
        if user and self._of_user[user] and self._of_user[user] + tokens > self._user_limit:
            raise self._overloaded("too much of yours is waiting already", self._of_user[user] + tokens - self._user_limit)
        self._count(user, tokens)
        try:
            yield
        finally:
            self._count(user, -tokens)

    async def run(self, work: Callable[[], _T], tokens: int) -> _T:
        """Run ``work`` of so many tokens on a thread of the lane; work whose caller has gone before its turn is dropped."""

        def timed() -> _T:
            started = time.perf_counter()
            result = work()
            self._rate += 0.1 * (tokens / max(time.perf_counter() - started, 1e-6) - self._rate)
            return result

        future = asyncio.get_running_loop().run_in_executor(self._threads, timed)
        try:
            return await future
        finally:
            future.cancel()

    async def run_all(self, parts: Iterable[tuple[Callable[[], None], int]]) -> None:
        """Run the parts of one call, a few at a time, so that calls take turns.

        When one part fails or the caller goes, the rest is dropped.
        """
        places = asyncio.Semaphore(self._width + 1)

        async def placed(work: Callable[[], None], tokens: int) -> None:
            async with places:
                await self.run(work, tokens)

        tasks = [asyncio.ensure_future(placed(work, tokens)) for work, tokens in parts]
        try:
            await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()

    def close(self) -> None:
        self._threads.shutdown(cancel_futures=True)

    def _count(self, user: str, tokens: int) -> None:
        self._waiting += tokens
        usage.waiting(self._name, self._waiting)
        if user:
            self._of_user[user] += tokens
            if not self._of_user[user]:
                del self._of_user[user]

    def _overloaded(self, message: str, excess: int) -> Failure:
        usage.refused(self._name)
        seconds = min(max(excess / (self._rate * self._width), 0.1), 60.0)
        return Failure(StatusCode.RESOURCE_EXHAUSTED, ErrorReason.ERROR_REASON_OVERLOADED, message, retry_after=round(seconds, 1))


def interactive(queue_tokens: int) -> Lane:
    return Lane("interactive", _INTERACTIVE_THREADS, queue_tokens, queue_tokens, yields=False)


def bulk(threads: int, queue_tokens: int, user_tokens: int) -> Lane:
    return Lane("bulk", threads, queue_tokens, user_tokens, yields=True)


def ahead() -> ThreadPoolExecutor:
    """Return the thread that tokenises for the bulk lane.

    The tokenizers' own threads are started by whoever first tokenises several texts, once in a process, and inherit its
    priority: so they are started here, and step back too.
    """
    executor = ThreadPoolExecutor(1, thread_name_prefix="tokenize", initializer=_step_back)
    executor.submit(start_threads).result()
    return executor


def _step_back() -> None:
    """Let this thread run only when nobody else wants the processor.

    On Linux, policies and nice values belong to threads. SCHED_IDLE gives way to a query the moment it wakes, which a thread at
    nice 19 does not always: its turn may have just begun.
    """
    try:
        if sys.platform == "linux":
            os.sched_setscheduler(threading.get_native_id(), os.SCHED_IDLE, os.sched_param(0))
        else:
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _LOWEST_PRIORITY)
    except OSError as error:
        log.warning("bulk threads cannot step back: %s", error)
