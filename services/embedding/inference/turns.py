"""Some threads that many calls share, part by part in turn, so that a small call never waits for the whole of a large one."""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor

from services.embedding.inference.priority import Queries, lower_priority, share_processor

# May run twice, on two threads at once.
Part = Callable[[], None]
# How long a part may go on at the lowest priority once queries have ended.
_RECLAIM_SECONDS = 0.25


class _Call:
    """The parts of one call that no thread has taken yet, and those that have not ended."""

    def __init__(self, parts: Iterable[Part]) -> None:
        numbered = list(enumerate(parts))
        self.parts = deque(numbered)
        self.unfinished = {number for number, _ in numbered}
        self.create_time = time.perf_counter()
        self.wait_seconds: float | None = None
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()


class _Crew:
    """The threads of one priority, how many of them rest, and the part each of the others works on."""

    def __init__(self, name: str, threads: int, initializer: Callable[[], None]) -> None:
        self.threads = ThreadPoolExecutor(threads, thread_name_prefix=name, initializer=initializer)
        self.idle = threads
        self.in_hand: dict[object, tuple[_Call, tuple[int, Part]]] = {}


class Turns:
    """Runs the parts of calls on threads that have a smaller part of the processor, or what queries leave of it.

    A thread that is free takes one part of the call whose turn it is, and puts the call behind the others. While queries are
    being answered, threads of the lowest priority do so instead; what those have not ended when the queries have, because other
    programs keep the processor busy, is done once more. The loop and the threads share deques and dictionaries alone, whose operations
    are atomic: a lock held by a thread that the scheduler passes over would stop the loop, and all queries with it.
    """

    def __init__(self, name: str, threads: int, queries: Queries) -> None:
        self._queries = queries
        self._sharing = _Crew(name, threads, share_processor)
        self._yielding = _Crew(f"{name}-yielding", threads, lower_priority)
        self._calls: deque[_Call] = deque()
        queries.on_quiet(self._change)

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
        for crew in (self._sharing, self._yielding):
            crew.threads.shutdown(wait=False, cancel_futures=True)

    def _crew(self) -> _Crew:
        return self._yielding if self._queries.are_answered else self._sharing

    def _wake(self, parts: int) -> None:
        loop, crew = asyncio.get_running_loop(), self._crew()
        for _ in range(min(crew.idle, parts)):
            crew.idle -= 1
            crew.threads.submit(self._take_turns, loop, crew)

    def _change(self) -> None:
        """Go on with the other threads, now that the queries have ended."""
        self._wake(len(self._calls))
        held = set(self._yielding.in_hand)
        if held:
            asyncio.get_running_loop().call_later(_RECLAIM_SECONDS, self._reclaim, held)

    def _reclaim(self, held: set[object]) -> None:
        """Have the parts done again that are still in the hands they were in."""
        for hand in held:
            call, part = self._yielding.in_hand.get(hand, (None, None))
            if call is not None and part is not None and not call.ended.done():
                call.parts.append(part)
                self._calls.append(call)
        self._wake(len(self._calls))

    def _take_turns(self, loop: asyncio.AbstractEventLoop, crew: _Crew) -> None:
        """Take parts until there are none, or it is the other threads' time; on a thread."""
        while crew is self._crew():
            try:
                call = self._calls.popleft()
            except IndexError:
                break
            try:
                part = call.parts.popleft()
            except IndexError:  # the call was dropped
                continue
            if call.parts:
                self._calls.append(call)
            if call.wait_seconds is None:
                call.wait_seconds = time.perf_counter() - call.create_time
            hand, error = object(), None
            crew.in_hand[hand] = (call, part)
            try:
                part[1]()
            except Exception as raised:  # noqa: BLE001 - it is the call's
                error = raised
                call.parts.clear()  # here, not on the loop: cheap parts would all be done before it hears of it
            del crew.in_hand[hand]
            loop.call_soon_threadsafe(self._end_part, call, part[0], error)
        loop.call_soon_threadsafe(self._rest, crew)

    def _rest(self, crew: _Crew) -> None:
        """Count a thread as idle; calls that came in meanwhile wake it, or one of the others, again."""
        crew.idle += 1
        self._wake(len(self._calls))

    def _end_part(self, call: _Call, number: int, error: Exception | None) -> None:
        # A thread may have gone to rest in the moment in which another had the only call in its hands.
        self._wake(len(self._calls))
        call.unfinished.discard(number)
        if call.ended.done():
            return
        if error is not None:
            call.ended.set_exception(error)
        elif not call.unfinished:
            call.ended.set_result(None)
