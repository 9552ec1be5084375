"""Keeps the topics that are read up to date: what changed is read in batches, once for all readers."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from typing import Generic, TypeVar

from libs.feed.topic import Topic
from libs.telemetry import failures

log = logging.getLogger(__name__)
_T = TypeVar("_T")
_BATCH = 500


class Feed(Generic[_T]):
    """Topics by key. ``mark`` says that a key may have changed; ``run`` reads the marked ones and publishes what did change.

    ``read`` returns the values of some keys, ``revision`` a number that rises with each change of a value. Reads are at least
    ``gap_seconds`` apart, and every ``reread_seconds`` everything is read that has readers, in case a mark was lost.
    """

    def __init__(
        self,
        read: Callable[[Collection[str]], Awaitable[Mapping[str, _T]]],
        revision: Callable[[_T], int],
        *,
        gap_seconds: float = 0.2,
        reread_seconds: float = 15.0,
    ) -> None:
        self._read = read
        self._revision = revision
        self._gap_seconds = gap_seconds
        self._reread_seconds = reread_seconds
        self._topics: dict[str, Topic[_T]] = {}
        self._readers: dict[str, int] = {}
        self._marked: set[str] = set()
        self._woken = asyncio.Event()
        self._is_closed = False

    @property
    def readers(self) -> int:
        """The number of readers of all topics."""
        return sum(self._readers.values())

    def mark(self, key: str) -> None:
        """Read ``key`` again soon if anybody reads it."""
        if key in self._topics:
            self._marked.add(key)
            self._woken.set()

    def mark_all(self) -> None:
        """Read everything again that has readers."""
        self._marked.update(self._topics)
        if self._marked:
            self._woken.set()

    @contextmanager
    def topic(self, key: str, known: _T | None = None) -> Iterator[Topic[_T]]:
        """Follow ``key`` for as long as the block runs; ``known`` is a value just read, published unless a later one is there."""
        topic = self._topics.get(key)
        if topic is None:
            topic = self._topics[key] = Topic()
            self._readers[key] = 0
        self._readers[key] += 1
        if known is not None:
            self._offer(topic, known)
        # A change between that read and now has rung in vain.
        self.mark(key)
        if self._is_closed:
            topic.close()
        try:
            yield topic
        finally:
            self._readers[key] -= 1
            if self._readers[key] == 0:
                del self._readers[key], self._topics[key]

    def close(self) -> None:
        """End every reader, those to come too."""
        self._is_closed = True
        for topic in self._topics.values():
            topic.close()

    async def run(self) -> None:
        """Read what is marked, until cancelled. What could not be read stays marked."""
        loop = asyncio.get_running_loop()
        reread_at = loop.time() + self._reread_seconds
        while True:
            try:
                async with asyncio.timeout_at(reread_at):
                    await self._woken.wait()
            except TimeoutError:
                self.mark_all()
            if loop.time() >= reread_at:
                reread_at = loop.time() + self._reread_seconds
            self._woken.clear()
            while keys := [key for key, _ in zip(self._marked, range(_BATCH), strict=False)]:
                self._marked.difference_update(keys)
                try:
                    values = await self._read([key for key in keys if key in self._topics])
                except Exception as error:  # noqa: BLE001 - whatever it is, the keys are read again
                    failures.record(log, "feed_read", f"cannot read {len(keys)} changed rows", error)
                    self._marked.update(keys)
                    self._woken.set()
                    break
                for key, value in values.items():
                    if topic := self._topics.get(key):
                        self._offer(topic, value)
            await asyncio.sleep(self._gap_seconds)

    def _offer(self, topic: Topic[_T], value: _T) -> None:
        if topic.latest is None or self._revision(value) > self._revision(topic.latest):
            topic.publish(value)
