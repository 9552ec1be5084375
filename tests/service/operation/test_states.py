"""Whatever workers, people and time do to operations, in whatever order, the laws of their states hold."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine

from libs.db.engine import Sessions
from libs.db.migrate import upgrade
from services.operation.store import claims, operations
from services.operation.store.claims import Limits
from services.operation.tables import TERMINAL, Kind, Operation, Slot, State
from tests.servers import postgres

QUEUE, LEASE = "laws", timedelta(seconds=60)
LIMITS = Limits(3, 2, lambda _: {"message": "exhausted"}, lambda _: {"message": "unsettled"})
ALLOWED = {
    State.QUEUED: {State.RUNNING, State.CANCELLING, State.CANCELLED},
    State.RUNNING: {State.QUEUED, State.PAUSED, State.CANCELLING, *TERMINAL},
    State.PAUSED: {State.CANCELLING},
    State.CANCELLING: {*TERMINAL},
    **{state: set() for state in TERMINAL},
}


@pytest.fixture(scope="module")
async def sessions() -> AsyncIterator[Sessions]:
    async with postgres() as cluster:
        await cluster.create("laws")
        url = cluster.url("operation", "laws")
        await asyncio.to_thread(upgrade, "operation", url)
        engine = create_async_engine(url)
        yield async_sessionmaker(engine, expire_on_commit=False)
        await engine.dispose()


@dataclass
class World:
    """The store, and what was seen of it so far."""

    sessions: Sessions
    collections: list[str] = field(default_factory=lambda: [str(uuid.uuid4()) for _ in range(2)])
    users: list[str] = field(default_factory=lambda: [str(uuid.uuid4()) for _ in range(2)])
    claims: list[tuple[str, int]] = field(default_factory=list)
    seen: dict[str, tuple[str, int]] = field(default_factory=dict)

    async def start(self, user: int, collection: int, kind: Kind) -> None:
        values: dict[str, Any] = {
            "id": str(uuid.uuid4()),
            "collection_id": self.collections[collection],
            "user_id": self.users[user],
            "principal": {},
            "kind": kind,
            "queue": QUEUE,
            "config": {},
            "request_hash": "",
        }
        async with self.sessions.begin() as session:
            await operations.start(session, values)

    async def claim(self, slot: Slot = Slot.LONG) -> Operation | None:
        async with self.sessions.begin() as session:
            operation = await claims.claim(session, QUEUE, slot, "worker", str(uuid.uuid4()), LEASE)
        if operation is not None:
            assert operation.state in (State.RUNNING, State.CANCELLING)
            assert all(operation.fence > fence for _, fence in self.claims)
            self.claims.append((operation.id, operation.fence))
        return operation

    async def work(self, which: int, deed: str) -> None:
        """Do as the worker of some claim would, be it still the holder or not."""
        if not self.claims:
            return
        operation_id, fence = self.claims[which % len(self.claims)]
        newest = max(each for claimed, each in self.claims if claimed == operation_id)
        async with self.sessions.begin() as session:
            operation = await claims.held(session, operation_id, fence)
            if operation is None:
                return
            assert fence == newest
            if deed == "report":
                assert await claims.report(session, operation, {"documents_indexed": 1}, "")
            elif deed == "release":
                await claims.release(session, operation, None, None, LIMITS)
            elif deed == "fault":
                await claims.release(session, operation, None, {"message": "boom"}, LIMITS)
            else:
                await claims.finish(session, operation, State(deed), None, None)

    async def cancel(self, which: int) -> None:
        if not self.seen:
            return
        async with self.sessions.begin() as session:
            operation = await session.get_one(Operation, [*self.seen][which % len(self.seen)], with_for_update=True)
            await operations.cancel(session, operation)

    async def expire(self) -> None:
        async with self.sessions.begin() as session:
            await session.execute(
                text("UPDATE operation.operations SET lease_until = now() - interval '1 s' WHERE lease_owner IS NOT NULL")
            )
            await session.execute(text("UPDATE operation.operations SET not_before = NULL"))
        async with self.sessions.begin() as session:
            await claims.sweep(session, LIMITS)

    async def check(self) -> list[Operation]:
        """Compare with what was seen before, by the laws."""
        async with self.sessions() as session:
            found = list((await session.scalars(select(Operation).where(Operation.collection_id.in_(self.collections)))).all())
        active = [each.collection_id for each in found if each.lease_owner is not None or each.state == State.PAUSED]
        assert len(active) == len(set(active))
        for each in found:
            assert (each.lease_owner is None) == (each.lease_until is None)
            assert each.lease_owner is not None or each.state != State.RUNNING
            assert each.lease_owner is None or each.state in (State.RUNNING, State.CANCELLING)
            assert (each.finish_time is not None) == each.is_terminal
            assert each.settles <= LIMITS.settles + 1
            assert each.attempt <= LIMITS.attempts
            state, revision = self.seen.get(each.id, (State.QUEUED, 0))
            assert each.state == state or (each.state in ALLOWED[State(state)] and each.revision > revision)
            assert each.revision == revision if state in TERMINAL else each.revision >= revision
            self.seen[each.id] = (each.state, each.revision)
        return found

    async def drain(self) -> None:
        """Let willing workers do all that may be done; only what is paused, or waits behind it, is left."""
        await self.expire()
        while operation := await self.claim():
            await self.check()
            await self.work(len(self.claims) - 1, operation.settle_state or State.SUCCEEDED)
            await self.check()
        left = [each for each in await self.check() if not each.is_terminal]
        paused = {each.collection_id for each in left if each.state == State.PAUSED}
        assert {each.collection_id for each in left} == paused


_WHICH = st.integers(0, 3)
_DEEDS = ["report", "release", "fault", State.SUCCEEDED, State.FAILED, State.PAUSED, State.CANCELLED]
_COMMANDS = st.one_of(
    st.tuples(st.just("start"), st.integers(0, 1), st.integers(0, 1), st.sampled_from([Kind.INDEX, Kind.APPEND, Kind.DELETE])),
    st.tuples(st.just("claim"), st.sampled_from(Slot)),
    st.tuples(st.just("work"), _WHICH, st.sampled_from(_DEEDS)),
    st.tuples(st.just("cancel"), _WHICH),
    st.tuples(st.just("expire")),
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(commands=st.lists(_COMMANDS, min_size=15, max_size=30))
async def test_the_laws_of_states_hold(sessions: Sessions, commands: list[tuple[Any, ...]]) -> None:
    """One holder a collection, fences that rise, ends that last, no way but the documented ones, and nothing is stuck."""
    async with sessions.begin() as session:
        await session.execute(text("DELETE FROM operation.operations"))
    world = World(sessions)
    for collection in (0, 1):
        await world.start(collection, collection, Kind.INDEX)
        await world.claim()
    await world.check()
    for name, *arguments in commands:
        await getattr(world, name)(*arguments)
        await world.check()
    await world.drain()
