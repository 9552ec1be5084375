"""A queue between two stages, bounded by the bytes in it."""

import asyncio
from collections import deque
from typing import Generic, TypeVar

_T = TypeVar("_T")


class StageQueue(Generic[_T]):
    """Holds items until they weigh ``max_bytes``; one item always fits, however heavy. Ends when ``producers`` have closed it."""

    def __init__(self, max_bytes: int, producers: int = 1) -> None:
        self._max_bytes = max_bytes
        self._producers = producers
        self._items: deque[tuple[_T, int]] = deque()
        self._bytes = 0
        self._changed = asyncio.Condition()

    async def put(self, item: _T, size_bytes: int) -> None:
        """Add an item; waits while the queue is full."""
        async with self._changed:
            while self._items and self._bytes + size_bytes > self._max_bytes:
                await self._changed.wait()
            self._items.append((item, size_bytes))
            self._bytes += size_bytes
            self._changed.notify_all()

    async def get(self) -> _T | None:
        """Return the next item; None once the queue has ended."""
        async with self._changed:
            while not self._items:
                if self._producers <= 0:
                    return None
                await self._changed.wait()
            return self._pop()

    async def get_ready(self) -> _T | None:
        """Return the next item if there is one at the moment."""
        async with self._changed:
            return self._pop() if self._items else None

    async def close(self) -> None:
        """Say that one producer adds nothing more."""
        async with self._changed:
            self._producers -= 1
            self._changed.notify_all()

    def _pop(self) -> _T:
        item, size_bytes = self._items.popleft()
        self._bytes -= size_bytes
        self._changed.notify_all()
        return item
