"""Nobody's work starves, whatever others ask for."""

import asyncio
import uuid
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from sqlalchemy import text
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine

from libs.db.engine import Sessions
from libs.db.migrate import upgrade
from libs.work.attempt import Pace
from libs.work.outcome import Settling
from libs.work.report import Report
from libs.work.worker import Worker
from semantik.operation.v1 import operation_internal_service_pb2 as messages
from semantik.operation.v1 import operation_pb2, operation_service_pb2
from services.operation.fairness import yielding
from services.operation.store import claims, operations, waiting
from services.operation.store.claims import Limits
from services.operation.tables import Desired, Kind, Operation, Slot, State
from tests.servers import postgres
from tests.service.operation.conftest import Start
from tests.service.operation.house import House, User

QUEUE, LEASE = "fair", timedelta(seconds=600)
LIMITS = Limits(3, 2, lambda _: {}, lambda _: {})
SLOTS = (Slot.LONG, Slot.LONG, Slot.SHORT)


@pytest.fixture(scope="module")
async def sessions() -> AsyncIterator[Sessions]:
    async with postgres() as cluster:
        await cluster.create("fair")
        url = cluster.url("operation", "fair")
        await asyncio.to_thread(upgrade, "operation", url)
        engine = create_async_engine(url)
        yield async_sessionmaker(engine, expire_on_commit=False)
        await engine.dispose()


@dataclass(frozen=True)
class Arrival:
    """Work that a user asks for at a tick; it takes so many ticks of a slot."""

    tick: int
    user: int
    kind: Kind
    ticks: int


@dataclass
class Simulation:
    """One worker with the default slots, and a clock that ticks: each tick a claim does a unit of work or gives way."""

    sessions: Sessions
    users: list[str] = field(default_factory=lambda: [str(uuid.uuid4()) for _ in range(4)])
    left: dict[str, int] = field(default_factory=dict)
    owner: dict[str, int] = field(default_factory=dict)
    arrived: dict[str, int] = field(default_factory=dict)
    claimed: dict[str, int] = field(default_factory=dict)
    held: list[Operation | None] = field(default_factory=lambda: [None] * len(SLOTS))

    async def arrive(self, arrival: Arrival, tick: int) -> str:
        operation_id = str(uuid.uuid4())
        row = {
            "id": operation_id,
            "collection_id": str(uuid.uuid4()),
            "user_id": self.users[arrival.user],
            "principal": {},
            "kind": arrival.kind,
            "queue": QUEUE,
            "config": {},
            "request_hash": "",
        }
        async with self.sessions.begin() as session:
            await operations.start(session, row)
        self.left[operation_id] = arrival.ticks
        self.owner[operation_id] = arrival.user
        self.arrived[operation_id] = tick
        return operation_id

    async def tick(self, number: int) -> None:
        await self._give_up_slots()
        for index, slot in enumerate(SLOTS):
            await self._work(index)
            if self.held[index] is None:
                async with self.sessions.begin() as session:
                    operation = await claims.claim(session, QUEUE, slot, "worker", str(uuid.uuid4()), LEASE)
                self.held[index] = operation
                if operation is not None:
                    self.claimed.setdefault(operation.id, number)

    async def _give_up_slots(self) -> None:
        async with self.sessions.begin() as session:
            held = await waiting.running(session)
            work = await waiting.waiting(session, QUEUE, timedelta())
            await claims.give_up_slots(session, yielding(held, work, short_seconds=0, long_seconds=0))

    async def _work(self, index: int) -> None:
        operation = self.held[index]
        if operation is None:
            return
        self.left[operation.id] -= 1
        async with self.sessions.begin() as session:
            row = await claims.held(session, operation.id, operation.fence)
            assert row is not None
            if self.left[operation.id] <= 0:
                await claims.finish(session, row, State.SUCCEEDED, None, None)
            elif row.desired == Desired.YIELD:
                await claims.release(session, row, None, None, LIMITS)
            else:
                return
        self.held[index] = None


_ARRIVALS = st.lists(
    st.builds(Arrival, st.integers(0, 8), st.integers(0, 2), st.sampled_from([Kind.INDEX, Kind.APPEND, Kind.PURGE]), st.integers(1, 4)),
    min_size=4,
    max_size=12,
)


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(arrivals=_ARRIVALS, newcomer=st.integers(0, 8))
@example(arrivals=[Arrival(0, 0, Kind.APPEND, 3)] * 12, newcomer=2)
@example(arrivals=[Arrival(0, 0, Kind.INDEX, 4)] * 8, newcomer=2)
async def test_everything_ends_and_a_newcomer_waits_for_one_turn_of_each_other_user(
    sessions: Sessions, arrivals: list[Arrival], newcomer: int
) -> None:
    """No slot is idle while work waits, and the upload of a user with nothing else comes before a second turn of anybody."""
    async with sessions.begin() as session:
        await session.execute(text("TRUNCATE operation.operations, operation.turns"))
    simulation = Simulation(sessions)
    upload = ""
    work = sum(arrival.ticks for arrival in arrivals) + 1
    for tick in range(8 + 1 + work + 2):
        for arrival in arrivals:
            if arrival.tick == tick:
                await simulation.arrive(arrival, tick)
        if tick == newcomer:
            upload = await simulation.arrive(Arrival(tick, 3, Kind.APPEND, 1), tick)
        await simulation.tick(tick)
        if tick >= 8 and all(left <= 0 for left in simulation.left.values()):
            break
    assert max(simulation.left.values()) <= 0
    assert simulation.claimed[upload] - newcomer <= len(simulation.users)


async def test_users_take_turns_in_a_short_slot(sessions: Sessions) -> None:
    """Ten of one user's before: two of another user's are claimed as every second one."""
    async with sessions.begin() as session:
        await session.execute(text("TRUNCATE operation.operations, operation.turns"))
    simulation = Simulation(sessions)
    for user in [0] * 10 + [1] * 2:
        await simulation.arrive(Arrival(0, user, Kind.PURGE, 1), 0)
    order = []
    for _ in range(6):
        async with sessions.begin() as session:
            operation = await claims.claim(session, QUEUE, Slot.SHORT, "worker", str(uuid.uuid4()), LEASE)
        assert operation is not None
        order.append(simulation.owner[operation.id])
        async with sessions.begin() as session:
            row = await claims.held(session, operation.id, operation.fence)
            assert row is not None
            await claims.finish(session, row, State.SUCCEEDED, None, None)
    assert Counter(order[:4]) == {0: 2, 1: 2}
    assert order[4:] == [0, 0]


class Sleeper:
    """Work that takes as long as its config says, in pieces, and goes on where it was interrupted."""

    def __init__(self) -> None:
        self.left: dict[str, float] = {}

    async def run(self, claim: messages.Claim, report: Report) -> None:
        operation_id = claim.operation.id
        self.left.setdefault(operation_id, float(str(claim.config["seconds"])))
        while self.left[operation_id] > 0:
            await asyncio.sleep(0.02)
            self.left[operation_id] -= 0.02
            report.advanced()

    async def settle(self, claim: messages.Claim, outcome: Settling, report: Report) -> None:
        return

    async def hand_back(self, claim: messages.Claim, report: Report) -> None:
        return


async def test_a_small_upload_ends_soon_beside_anothers_mountain_of_work(house: House, start: Start, queue: str, ada: User) -> None:
    """One worker; another user's 25 operations and two folders that take an hour each (A8)."""
    draining = asyncio.Event()
    worker = Worker(house.channel, Sleeper(), draining, queue=queue, worker_id="worker", pace=Pace(report_seconds=0.05))
    working = asyncio.create_task(worker.run())
    busy = str(uuid.uuid4())
    for kind, seconds, count in ((operation_pb2.Operation.KIND_INDEX, 3600, 2), (operation_pb2.Operation.KIND_APPEND, 30, 25)):
        for _ in range(count):
            await start(busy, collection_id=str(uuid.uuid4()), kind=kind, config={"seconds": seconds})
    collection = str(uuid.uuid4())
    files = [
        (await start(ada.id, collection_id=collection, kind=operation_pb2.Operation.KIND_APPEND, config={"seconds": 0.1})).operation.id
        for _ in range(2)
    ]
    folder = (await start(ada.id, config={"seconds": 0.1})).operation.id
    try:
        async with asyncio.timeout(10):
            for operation_id in (*files, folder):
                request = operation_service_pb2.WatchOperationRequest(operation_id=operation_id)
                answers = [answer async for answer in house.public.WatchOperation(request, metadata=ada.metadata)]
                assert answers[-1].operation.state == operation_pb2.Operation.STATE_SUCCEEDED
                assert answers[-1].operation.attempt == 0
    finally:
        draining.set()
        await working
