"""The latest value of a thing, to any number of readers."""

import asyncio
from collections.abc import AsyncGenerator
from typing import Generic, TypeVar

_T = TypeVar("_T")


class Topic(Generic[_T]):
    """Conflates: a reader gets the latest value, and skips those that were replaced while it was busy."""

    def __init__(self) -> None:
        self._latest: _T | None = None
        self._version = 0
        self._is_closed = False
        self._changed = asyncio.Event()

    @property
    def latest(self) -> _T | None:
        """The value last published, None before the first."""
        return self._latest

    def publish(self, value: _T) -> None:
        """Replace the value and wake every reader."""
        self._latest = value
        self._version += 1
        self._wake()

    def close(self) -> None:
        """End every reader once it has had the latest value."""
        self._is_closed = True
        self._wake()

    def _wake(self) -> None:
        # Each wait has an event of its own, so that no reader misses a change that comes right after another.
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()

    async def read(self, repeat_seconds: float | None = None) -> AsyncGenerator[_T, None]:
        """Yield the value now, as soon as there is one, then the latest after each change, until the topic is closed.

        The value is yielded again when ``repeat_seconds`` have passed without a change.
        """
        seen = 0
        while True:
            if self._latest is not None and self._version > seen:
                seen = self._version
                yield self._latest
                continue
            if self._is_closed:
                return
            changed = self._changed
            try:
                async with asyncio.timeout(repeat_seconds):
                    await changed.wait()
            except TimeoutError:
                seen = 0
