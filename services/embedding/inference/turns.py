"""Some threads that many calls share, part by part in turn, so that a small call never waits for the whole of a large one."""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor

from services.embedding.inference.priority import lower_priority

Part = Callable[[], None]


class _Call:
    """The parts of one call that no thread has taken yet, and how many have not ended."""

    def __init__(self, parts: Iterable[Part]) -> None:
        self.parts = deque(parts)
        self.unfinished = len(self.parts)
        self.create_time = time.perf_counter()
        self.wait_seconds: float | None = None
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()


class Turns:
    """Runs the parts of calls on threads of the lowest priority.

    A thread that is free takes one part of the call whose turn it is, and puts the call behind the others. The loop and the
    threads share deques alone, whose operations are atomic: a lock held by a thread that the scheduler passes over would stop
    the loop, and all queries with it.
    """

    def __init__(self, name: str, threads: int) -> None:
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix=name, initializer=lower_priority)
        self._idle = threads
        self._calls: deque[_Call] = deque()

    async def run(self, parts: Iterable[Part]) -> float:
        """Run all parts of a call; returns the seconds until its first one began.

        When one part fails, or the caller goes, the parts that no thread has begun are dropped.
        """
        call = _Call(parts)
        if not call.parts:
            return 0.0
        self._calls.append(call)
        self._wake(len(call.parts))
        try:
            await call.ended
        finally:
            call.parts.clear()
        return call.wait_seconds or 0.0

    def close(self) -> None:
        """Drop what waits; parts that run end by themselves."""
        self._calls.clear()
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _wake(self, parts: int) -> None:
        loop = asyncio.get_running_loop()
        for _ in range(min(self._idle, parts)):
            self._idle -= 1
            self._threads.submit(self._take_turns, loop)

    def _take_turns(self, loop: asyncio.AbstractEventLoop) -> None:
        """Take parts until there are none; on a thread."""
        while True:
            try:
                call = self._calls.popleft()
            except IndexError:
                loop.call_soon_threadsafe(self._rest)
                return
            try:
                part = call.parts.popleft()
            except IndexError:  # the call was dropped
                continue
            if call.parts:
                self._calls.append(call)
            if call.wait_seconds is None:
                call.wait_seconds = time.perf_counter() - call.create_time
            error: Exception | None = None
            try:
                part()
            except Exception as raised:  # noqa: BLE001 - it is the call's
                error = raised
                call.parts.clear()  # here, not on the loop: cheap parts would all be done before it hears of it
            loop.call_soon_threadsafe(self._end_part, call, error)

    def _rest(self) -> None:
        """Count a thread as idle; calls that came in meanwhile wake it again."""
        self._idle += 1
        self._wake(len(self._calls))

    def _end_part(self, call: _Call, error: Exception | None) -> None:
        # A thread may have gone to rest in the moment in which another had the only call in its hands.
        self._wake(len(self._calls))
        call.unfinished -= 1
        if call.ended.done():
            return
        if error is not None:
            call.ended.set_exception(error)
        elif not call.unfinished:
            call.ended.set_result(None)
