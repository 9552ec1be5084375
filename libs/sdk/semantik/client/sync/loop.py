"""An event loop on a thread of its own, for callers that have none, or whose own runs already, as in a notebook."""

import asyncio
import threading
import weakref
from collections.abc import AsyncGenerator, AsyncIterator, Coroutine, Iterator
from typing import Any, Generic, TypeVar

_T = TypeVar("_T")


class Loop:
    """Runs coroutines for any number of threads. It ends with ``close``, or when nothing refers to it any more."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=_run, args=(self._loop,), name="semantik", daemon=True)
        self._thread.start()
        self._end = weakref.finalize(self, _stop, self._loop, self._thread)

    @property
    def is_open(self) -> bool:
        return self._end.alive

    def run(self, work: Coroutine[Any, Any, _T]) -> _T:
        """Run a coroutine to its end and return its result; it is cancelled where the caller is interrupted.

        Raises what the coroutine raises, and RuntimeError after ``close``.
        """
        if not self.is_open:
            work.close()
            raise RuntimeError("the client is closed")
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result()
        finally:
            future.cancel()

    def iterate(self, items: AsyncIterator[_T]) -> Iterator[_T]:
        """Yield what ``items`` yields, as it comes; ``items`` is closed with the iterator."""
        stream = _Stream(items)
        try:
            while item := self.run(stream.next()):
                yield item[0]
        finally:
            self._finish(stream.close())

    def close(self) -> None:
        """Cancel what runs and end the thread."""
        self._end()

    def _finish(self, work: Coroutine[Any, Any, None]) -> None:
        if not self.is_open:
            work.close()
        elif threading.current_thread() is self._thread:  # the garbage of another thread is collected here
            asyncio.run_coroutine_threadsafe(work, self._loop)
        else:
            self.run(work)


class _Stream(Generic[_T]):
    """An asynchronous iterator that may be closed while an interrupted ``next`` has not ended yet."""

    def __init__(self, items: AsyncIterator[_T]) -> None:
        self._items = items
        self._fetching: asyncio.Task[Any] | None = None

    async def next(self) -> tuple[_T, ...]:
        """Return the next item in a tuple, and an empty one at the end."""
        self._fetching = asyncio.current_task()
        async for item in self._items:
            return (item,)
        return ()

    async def close(self) -> None:
        if self._fetching is not None:
            self._fetching.cancel()
            await asyncio.wait([self._fetching])
        if isinstance(self._items, AsyncGenerator):
            await self._items.aclose()


def _run(loop: asyncio.AbstractEventLoop) -> None:
    asyncio.set_event_loop(loop)
    try:
        loop.run_forever()
    finally:
        loop.run_until_complete(_cancel_others())
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()


async def _cancel_others() -> None:
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)


def _stop(loop: asyncio.AbstractEventLoop, thread: threading.Thread) -> None:
    loop.call_soon_threadsafe(loop.stop)
    if threading.current_thread() is not thread:
        thread.join()
