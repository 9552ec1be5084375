"""One reading for all who ask for the same at the same moment."""

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from functools import partial
from typing import Generic, TypeVar

_T = TypeVar("_T")


class Shared(Generic[_T]):
    """Thousands of streams that open, or are checked, at once ask the database once for each reader and operation."""

    def __init__(self) -> None:
        self._running: dict[Hashable, asyncio.Task[_T]] = {}

    async def get(self, key: Hashable, read: Callable[[], Awaitable[_T]]) -> _T:
        """Return what ``read`` does, which for one key runs once at a time; it goes on while anybody waits for it."""
        task = self._running.get(key)
        if task is None:
            task = self._running[key] = asyncio.ensure_future(read())
            task.add_done_callback(partial(self._end, key))
        return await asyncio.shield(task)

    def _end(self, key: Hashable, task: asyncio.Task[_T]) -> None:
        del self._running[key]
        if not task.cancelled():
            task.exception()  # seen, also where nobody waits for it any more
