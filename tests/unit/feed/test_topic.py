"""Readers of a topic get the latest value, and nobody waits for a slow one."""

import asyncio
from contextlib import aclosing

import pytest

from libs.feed.topic import Topic


async def _collect(topic: Topic[int], count: int, repeat_seconds: float | None = None) -> list[int]:
    values: list[int] = []
    async with aclosing(topic.read(repeat_seconds)) as read:
        async for value in read:
            values.append(value)
            if len(values) == count:
                break
    return values


async def test_a_reader_gets_the_value_now_and_each_change() -> None:
    """One that comes before the first value waits for it."""
    topic: Topic[int] = Topic()
    early = asyncio.create_task(_collect(topic, 2))
    await asyncio.sleep(0)
    topic.publish(1)
    late = asyncio.create_task(_collect(topic, 2))
    await asyncio.sleep(0.01)
    topic.publish(2)
    assert [await early, await late] == [[1, 2], [1, 2]]


async def test_a_slow_reader_skips_what_was_replaced() -> None:
    """And misses no last value."""
    topic: Topic[int] = Topic()
    topic.publish(0)
    async with aclosing(topic.read()) as read:
        assert await anext(read) == 0
        for value in range(1, 100):
            topic.publish(value)
        assert await anext(read) == 99


async def test_a_closed_topic_ends_its_readers_after_the_last_value() -> None:
    """Those who wait and those who come later."""
    topic: Topic[int] = Topic()
    waiting = asyncio.create_task(_collect(topic, 9))
    await asyncio.sleep(0)
    topic.publish(1)
    topic.close()
    assert (await waiting, await _collect(topic, 9)) == ([1], [1])


async def test_a_silent_value_is_repeated() -> None:
    """Each time the interval has passed without a change."""
    topic: Topic[int] = Topic()
    topic.publish(1)
    loop = asyncio.get_running_loop()
    began = loop.time()
    assert await _collect(topic, 4, repeat_seconds=0.05) == [1, 1, 1, 1]
    assert 0.15 <= loop.time() - began < 1.0


async def test_a_cancelled_reader_is_gone() -> None:
    """A cancellation that comes with a change is not lost."""
    topic: Topic[int] = Topic()
    reading = asyncio.create_task(_collect(topic, 5, repeat_seconds=10))
    await asyncio.sleep(0)
    topic.publish(1)
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
