"""The counters of calls, in a Redis of their own."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis as RedisClient

from services.auth.rate_limits.counters import Count, Counters
from services.auth.rate_limits.limits import Bucket
from tests.servers import redis


@pytest.fixture(scope="module")
async def url() -> AsyncIterator[str]:
    async with redis() as server:
        yield server.url


@pytest.fixture
async def counters(url: str) -> AsyncIterator[Counters]:
    counters = Counters(url)
    yield counters
    await counters.close()


async def _unblock(url: str, bucket: Bucket) -> None:
    """Let the time of a block be over."""
    client = RedisClient.from_url(url)
    assert await client.delete(f"semantik:rate:{bucket.key}:blocked") == 1
    await client.aclose()


async def test_calls_at_once_are_counted_one_by_one(counters: Counters) -> None:
    """Of fifty calls at once, as many are let through as the limit says."""
    bucket = Bucket("at-once", 20)
    counts = [count for counts in await asyncio.gather(*(counters.count([bucket]) for _ in range(50))) for count in counts]
    assert sum(not count.is_over for count in counts) == 20
    assert sorted(count.remaining for count in counts if not count.is_over) == list(range(20))


async def test_each_violation_makes_the_block_longer(counters: Counters, url: str) -> None:
    """The first block is the rest of the minute; the next ones double, up to a quarter of an hour."""
    bucket = Bucket("growing", 1)
    blocks = []
    for _ in range(6):
        assert [count.is_over for count in await counters.count([bucket])] == [False]
        (over,) = await counters.count([bucket])
        assert over.is_over
        blocks.append(over.reset_seconds)
        await _unblock(url, bucket)
    assert 0 < blocks[0] <= 60
    assert blocks[1:] == [120, 240, 480, 900, 900]


async def test_what_is_blocked_is_not_counted(counters: Counters, url: str) -> None:
    """Asking on does not make a block longer: once it is over, all of the limit is there again."""
    bucket = Bucket("asking-on", 3)
    for _ in range(10):
        await counters.count([bucket])
    await _unblock(url, bucket)
    (count,) = await counters.count([bucket])
    assert (count.is_over, count.remaining) == (False, 2)


async def test_buckets_do_not_touch_each_other(counters: Counters) -> None:
    """One call counts in all its buckets; only the one that is full refuses."""
    user, address = Bucket("user", 1), Bucket("address", 10)
    await counters.count([user, address])
    full, roomy = await counters.count([user, address])
    assert isinstance(full, Count)
    assert (full.is_over, roomy.is_over, roomy.remaining) == (True, False, 8)
