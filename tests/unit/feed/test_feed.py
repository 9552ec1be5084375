"""What changed is read in batches, once for all readers, and a failed read loses nothing."""

import asyncio
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import aclosing, asynccontextmanager

from libs.feed.feed import Feed


class Table:
    """Numbers by key; ``reads`` is what was asked for."""

    def __init__(self) -> None:
        self.values: dict[str, int] = {}
        self.reads: list[list[str]] = []
        self.failures = 0

    async def read(self, keys: Collection[str]) -> Mapping[str, int]:
        self.reads.append(sorted(keys))
        if self.failures:
            self.failures -= 1
            raise ConnectionError("away")
        return {key: self.values[key] for key in keys if key in self.values}


@asynccontextmanager
async def _running(table: Table, reread_seconds: float = 3600) -> AsyncIterator[Feed[int]]:
    feed = Feed(table.read, lambda value: value, gap_seconds=0.01, reread_seconds=reread_seconds)
    task = asyncio.create_task(feed.run())
    try:
        yield feed
    finally:
        task.cancel()
        await asyncio.wait((task,))


async def _follow(feed: Feed[int], key: str, until: int, known: int | None = None) -> list[int]:
    values: list[int] = []
    with feed.topic(key, known) as topic:
        async with aclosing(topic.read()) as read:
            async for value in read:
                values.append(value)
                if value >= until:
                    break
    return values


async def test_a_thousand_readers_of_a_change_cost_one_read() -> None:
    """Of one key or of many, and nothing is kept once they are gone."""
    table = Table()
    table.values = {f"key{number}": 1 for number in range(100)}
    async with asyncio.timeout(10), _running(table) as feed:
        readers = [asyncio.create_task(_follow(feed, f"key{number % 100}", 2, known=1)) for number in range(1000)]
        await asyncio.sleep(0.05)
        assert feed.readers == 1000
        before = len(table.reads)
        for key in table.values:
            table.values[key] = 2
            feed.mark(key)
        assert await asyncio.gather(*readers) == [[1, 2]] * 1000
        assert table.reads[before:] == [sorted(table.values)]
        assert feed.readers == 0


async def test_a_change_between_the_first_read_and_the_watch_is_seen() -> None:
    """What the reader knows already may be old."""
    table = Table()
    table.values["key"] = 5
    async with asyncio.timeout(10), _running(table) as feed:
        assert await _follow(feed, "key", 5, known=4) == [4, 5]


async def test_what_could_not_be_read_is_read_again() -> None:
    """A change is not forgotten because the read of it failed."""
    table = Table()
    async with asyncio.timeout(10), _running(table) as feed:
        reader = asyncio.create_task(_follow(feed, "key", 1))
        await asyncio.sleep(0.05)
        table.values["key"], table.failures = 1, 3
        feed.mark("key")
        assert await reader == [1]


async def test_a_lost_mark_is_healed() -> None:
    """All that is watched is read again after an interval, in one read; what nobody watches is not."""
    table = Table()
    async with asyncio.timeout(10), _running(table, reread_seconds=0.1) as feed:
        readers = [asyncio.create_task(_follow(feed, key, 1)) for key in ("one", "two")]
        await asyncio.sleep(0.05)
        table.values = {"one": 1, "two": 1, "three": 1}
        assert await asyncio.gather(*readers) == [[1], [1]]
        assert table.reads[-1] == ["one", "two"]
        feed.mark("three")
        await asyncio.sleep(0.05)
        assert table.reads[-1] == ["one", "two"]


async def test_an_older_value_is_not_published_after_a_newer_one() -> None:
    """A read may be overtaken by what a reader brings along."""
    table = Table()
    table.values["key"] = 3
    async with asyncio.timeout(10), _running(table) as feed:
        slow = asyncio.create_task(_follow(feed, "key", 7, known=7))
        assert await slow == [7]
        with feed.topic("key", 7) as topic:
            await asyncio.sleep(0.05)
            assert topic.latest == 7


async def test_a_closed_feed_ends_every_reader() -> None:
    """Those to come too, with the latest value."""
    table = Table()
    table.values["key"] = 1
    async with asyncio.timeout(10), _running(table) as feed:
        reader = asyncio.create_task(_follow(feed, "key", 9))
        await asyncio.sleep(0.05)
        feed.close()
        assert (await reader, await _follow(feed, "key", 9, known=2)) == ([1], [2])
