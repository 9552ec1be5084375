"""A process hears every notification, also after its connection was lost."""

import asyncio
from collections.abc import AsyncIterator

import psycopg
import pytest

from libs.feed.listen import listen
from tests.servers import postgres


@pytest.fixture(scope="module")
async def dsn() -> AsyncIterator[str]:
    async with postgres() as cluster:
        yield cluster.dsn()


async def test_notifications_arrive_and_a_lost_connection_is_replaced(dsn: str) -> None:
    """Each connection is announced, because what came before it was not heard."""
    heard: asyncio.Queue[tuple[str, str]] = asyncio.Queue()
    channels = {name: lambda payload, name=name: heard.put_nowait((name, payload)) for name in ("one", "two")}
    listening = asyncio.create_task(listen(dsn, "test", channels, lambda: heard.put_nowait(("connected", ""))))
    try:
        async with asyncio.timeout(20), await psycopg.AsyncConnection.connect(dsn, autocommit=True) as connection:
            for _ in range(2):
                assert await heard.get() == ("connected", "")
                await connection.execute("SELECT pg_notify('one', 'a'), pg_notify('two', 'b')")
                assert [await heard.get(), await heard.get()] == [("one", "a"), ("two", "b")]
                await connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'test listener'")
    finally:
        listening.cancel()
        await asyncio.wait((listening,), timeout=5)
    assert listening.cancelled()
