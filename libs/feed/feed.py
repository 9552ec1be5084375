"""Keeps the topics that are read up to date: what changed is read in batches, once for all readers."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from itertools import islice
from typing import Generic, TypeVar

from libs.feed.topic import Topic
from libs.telemetry import failures

log = logging.getLogger(__name__)
_T = TypeVar("_T")
_BATCH = 500
_GATHER_SECONDS = 0.005


class Feed(Generic[_T]):
    """Topics by key. ``mark`` says that a key may have changed; ``run`` reads the marked ones and publishes what did change.

    ``read`` returns the values of some keys, ``revision`` a number that rises with each change of a value. Reads of one key are at
    least ``gap_seconds`` apart, and every ``reread_seconds`` everything is read that has readers, in case a mark was lost.
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
        self._rests_until: dict[str, float] = {}
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
                self._rests_until.pop(key, None)

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
            now = loop.time()
            if now >= reread_at:
                self._marked.update(self._topics)
                reread_at = now + self._reread_seconds
            if keys := self._due(now):
                await self._update(keys)
                # What is marked meanwhile is read together.
                await asyncio.sleep(_GATHER_SECONDS)
                continue
            self._woken.clear()
            wake_at = min((self._rests_until[key] for key in self._marked), default=reread_at)
            with suppress(TimeoutError):
                async with asyncio.timeout_at(min(wake_at, reread_at)):
                    await self._woken.wait()

    def _due(self, now: float) -> list[str]:
        """Take marked keys that rest no more; those that nobody reads any more are dropped."""
        self._marked.intersection_update(self._topics)
        due = (key for key in self._marked if self._rests_until.get(key, now) <= now)
        keys = list(islice(due, _BATCH))
        self._marked.difference_update(keys)
        return keys

    async def _update(self, keys: Sequence[str]) -> None:
        rests_until = asyncio.get_running_loop().time() + self._gap_seconds
        self._rests_until.update(dict.fromkeys(keys, rests_until))
        try:
            values = await self._read(keys)
        except Exception as error:  # noqa: BLE001 - whatever it is, the keys are read again
            failures.record(log, "feed_read", f"cannot read {len(keys)} changed rows", error)
            self._marked.update(keys)
            return
        finally:
            for key in keys:
                if key not in self._topics:
                    self._rests_until.pop(key, None)
        for key, value in values.items():
            if topic := self._topics.get(key):
                self._offer(topic, value)

    def _offer(self, topic: Topic[_T], value: _T) -> None:
        if topic.latest is None or self._revision(value) > self._revision(topic.latest):
            topic.publish(value)
