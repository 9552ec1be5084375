"""Rows of an outbox arrive, each at its own pace, whatever happens to the others."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine

from libs.db.engine import Sessions
from libs.db.tables import Timestamped, metadata
from libs.outbox.sender import RefusedError, Sender
from libs.outbox.table import OutboxRow, acknowledge, put
from tests.servers import postgres


class Base(Timestamped):
    __abstract__ = True
    metadata = metadata("operation")


class Outbox(OutboxRow, Base):
    pass


class AwayError(Exception):
    """The receiver cannot be reached."""


class Receiver:
    """Takes rows, or does what a row's id says."""

    def __init__(self) -> None:
        self.received: list[str] = []
        self.tried: list[str] = []
        self.held = asyncio.Event()
        self.held.set()
        self._more = asyncio.Condition()

    async def tries(self, count: int) -> None:
        """Wait until so many rows were tried."""
        async with asyncio.timeout(10), self._more:
            await self._more.wait_for(lambda: len(self.tried) >= count)

    async def take(self, row: Outbox) -> None:
        async with self._more:
            self.tried.append(row.id)
            self._more.notify_all()
        await self.held.wait()
        if row.id.startswith("away"):
            raise AwayError
        if row.id.startswith("refused"):
            raise RefusedError("the request id is taken")
        if row.id.startswith("broken"):
            raise ValueError("boom")
        self.received.append(row.id)


def _is_away(error: BaseException) -> bool:
    return isinstance(error, AwayError)


@pytest.fixture(scope="module")
async def database() -> AsyncIterator[Sessions]:
    async with postgres() as cluster:
        await cluster.create("outbox")
        engine = create_async_engine(cluster.url("operation", "outbox"))
        async with engine.begin() as connection:
            await connection.run_sync(Base.metadata.create_all)
        yield async_sessionmaker(engine, expire_on_commit=False)
        await engine.dispose()


@pytest.fixture
async def sessions(database: Sessions) -> Sessions:
    async with database.begin() as session:
        await session.execute(text("TRUNCATE operation.outbox"))
    return database


@pytest.fixture
def receiver() -> Receiver:
    return Receiver()


@pytest.fixture
def sender(sessions: Sessions, receiver: Receiver) -> Sender[Outbox]:
    return Sender(sessions, Outbox, {"start": receiver.take}, _is_away, max_attempts=3)


async def _put(sessions: Sessions, *ids: str, delay_seconds: float = 0.0) -> None:
    async with sessions.begin() as session:
        for row_id in ids:
            await put(session, Outbox, row_id, "start", row_id.encode(), delay_seconds=delay_seconds)


async def _make_due(sessions: Sessions) -> None:
    async with sessions.begin() as session:
        await session.execute(text("UPDATE operation.outbox SET next_time = clock_timestamp()"))


async def _rows(sessions: Sessions) -> dict[str, Outbox]:
    async with sessions() as session:
        return {row.id: row for row in (await session.scalars(select(Outbox))).all()}


async def test_a_row_arrives_once_and_is_gone(sessions: Sessions, sender: Sender[Outbox], receiver: Receiver) -> None:
    """The same id put again before it arrives is one row."""
    await _put(sessions, "one", "one")
    assert await sender.send_due() == 1
    assert await sender.send_due() == 0
    assert (receiver.received, await _rows(sessions)) == (["one"], {})


async def test_one_refused_row_does_not_block_the_others(sessions: Sessions, sender: Sender[Outbox], receiver: Receiver) -> None:
    """The older rows are refused, broken or away; the younger one arrives in the same round."""
    await _put(sessions, "refused", "broken", "away")
    await _put(sessions, "good")
    await sender.send_due()
    rows = await _rows(sessions)
    assert receiver.received == ["good"]
    assert {row_id: (row.attempts, row.dead_time is not None, row.last_error) for row_id, row in rows.items()} == {
        "refused": (1, True, "RefusedError: the request id is taken"),
        "broken": (1, False, "ValueError: boom"),
        "away": (0, False, "AwayError: "),
    }


async def test_a_row_that_keeps_failing_is_given_up_and_an_absent_receiver_is_waited_for(
    sessions: Sessions, sender: Sender[Outbox], receiver: Receiver
) -> None:
    """Three failures are the end of a row; an outage is none, however long it lasts."""
    await _put(sessions, "broken", "away")
    for _ in range(6):
        await _make_due(sessions)
        await sender.send_due()
    rows = await _rows(sessions)
    assert (rows["broken"].attempts, rows["broken"].dead_time is not None) == (3, True)
    assert (rows["away"].attempts, rows["away"].dead_time) == (0, None)
    assert (receiver.tried.count("broken"), receiver.tried.count("away")) == (3, 6)


async def test_a_failed_row_waits_longer_the_older_it_is(sessions: Sessions, sender: Sender[Outbox]) -> None:
    """A quarter of its age, between a second and thirty."""
    await _put(sessions, "away-young", "away-middle", "away-old")
    async with sessions.begin() as session:
        for row_id, age in (("away-middle", 40), ("away-old", 4000)):
            await session.execute(
                text("UPDATE operation.outbox SET create_time = create_time - make_interval(secs => :age) WHERE id = :id"),
                {"age": age, "id": row_id},
            )
    await sender.send_due()
    async with sessions() as session:
        waits = await session.execute(text("SELECT id, extract(epoch FROM next_time - clock_timestamp())::float FROM operation.outbox"))
        rounded = {row_id: round(seconds) for row_id, seconds in waits}
    assert rounded == {"away-young": 1, "away-middle": 10, "away-old": 30}


async def test_two_senders_do_not_send_the_same_row(sessions: Sessions, receiver: Receiver) -> None:
    """Each row is taken by one of them, and no transaction is open while it is sent."""
    senders = [Sender(sessions, Outbox, {"start": receiver.take}, _is_away, batch=5) for _ in range(2)]
    await _put(sessions, *(f"row{number}" for number in range(10)))
    receiver.held.clear()
    rounds = [asyncio.create_task(sender.send_due()) for sender in senders]
    await receiver.tries(10)
    async with sessions() as session:
        others = "SELECT count(*) FROM pg_stat_activity WHERE state LIKE 'idle in%' AND pid <> pg_backend_pid() AND usename = 'operation'"
        assert await session.scalar(text(others)) == 0
    receiver.held.set()
    assert await asyncio.gather(*rounds) == [5, 5]
    assert sorted(receiver.tried) == sorted(f"row{number}" for number in range(10))


async def test_what_its_owner_sends_at_once_is_not_sent_again(sessions: Sessions, sender: Sender[Outbox], receiver: Receiver) -> None:
    """A delayed row belongs to whoever put it until the delay is over."""
    await _put(sessions, "mine", delay_seconds=60)
    assert await sender.send_due() == 0
    async with sessions.begin() as session:
        await acknowledge(session, Outbox, "mine")
    assert (await _rows(sessions), receiver.tried) == ({}, [])


async def test_the_loop_goes_on_and_is_woken(sessions: Sessions, receiver: Receiver) -> None:
    """A poll of an hour shows that it is the bell that brings the row."""
    sender = Sender(sessions, Outbox, {"start": receiver.take}, _is_away, poll_seconds=3600)
    loop = asyncio.create_task(sender.run())
    try:
        for count, name in enumerate(("first", "second"), 1):
            await _put(sessions, name)
            sender.wake()
            await receiver.tries(count)
    finally:
        loop.cancel()
        await asyncio.wait((loop,))
    assert (receiver.received, loop.cancelled()) == (["first", "second"], True)
