"""Who may do what on a collection: the SQL that decides it says what a plain function says, in every case there is."""

import asyncio
import itertools
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine

from libs.db.migrate import upgrade
from libs.rpc.call import Principal
from semantik.auth.v1.user_pb2 import User
from services.collection import permission
from services.collection.store import collections
from services.collection.tables import Collection, CollectionState, Generation, Grant, Role
from tests.servers import postgres

ADA, GRACE, KEY = (str(uuid.uuid4()) for _ in range(3))
GRANTS = (None, Role.READ, Role.WRITE, Role.ADMIN)
ASCENDING = (None, Role.READ, Role.WRITE, Role.ADMIN, Role.OWNER)


@dataclass(frozen=True)
class Case:
    """A collection in every way that bears on permission; ``granted`` is Ada's grant, ``key_granted`` her API key's."""

    id: str
    owner_id: str
    is_public: bool
    state: CollectionState
    granted: Role | None
    key_granted: Role | None


CASES = [
    Case(str(uuid.uuid4()), *case)
    for case in itertools.product((ADA, GRACE), (True, False), (CollectionState.READY, CollectionState.DELETING), GRANTS, GRANTS)
]
PRINCIPALS = {
    "a user": Principal(ADA, User.ROLE_USER),
    "an administrator": Principal(ADA, User.ROLE_ADMIN),
    "a guest": Principal(ADA, User.ROLE_GUEST),
    "an API key": Principal(ADA, User.ROLE_USER, api_key_id=KEY),
    "a restricted API key": Principal(ADA, User.ROLE_USER, api_key_id=KEY, restricted=True),
    "a stranger": Principal(str(uuid.uuid4()), User.ROLE_POWER_USER),
    "a stranger's restricted API key": Principal(str(uuid.uuid4()), User.ROLE_USER, api_key_id=str(uuid.uuid4()), restricted=True),
}


def decide(principal: Principal, case: Case) -> Role | None:
    """Return the role, as the design says it in words."""
    if case.state is CollectionState.DELETING or principal.role == User.ROLE_GUEST:
        return None
    granted = case.granted if principal.user_id == ADA else None
    public = Role.READ if case.is_public else None
    role = Role.OWNER if case.owner_id == principal.user_id else max(granted, public, key=ASCENDING.index)
    if principal.restricted:
        key_granted = case.key_granted if principal.api_key_id == KEY else None
        return min(role, key_granted, key=ASCENDING.index)
    return role


@pytest.fixture(scope="module")
async def engine() -> AsyncIterator[AsyncEngine]:
    """A database with a collection for each case."""
    async with postgres() as cluster:
        await cluster.create("roles")
        url = cluster.url("collection", "roles")
        await asyncio.to_thread(upgrade, "collection", url)
        engine = create_async_engine(url)
        async with AsyncSession(engine) as session, session.begin():
            for case in CASES:
                session.add(Collection(id=case.id, name=case.id, owner_id=case.owner_id, is_public=case.is_public, state=case.state))
                await session.flush()
                session.add(_generation(case.id))
                if case.granted:
                    session.add(Grant(collection_id=case.id, user_id=ADA, role=case.granted))
                if case.key_granted:
                    session.add(Grant(collection_id=case.id, api_key_id=KEY, role=case.key_granted))
        yield engine
        await engine.dispose()


def _generation(collection_id: str) -> Generation:
    given: dict[str, Any] = {"model": "m", "digest": "d", "precision": "INT8", "pooling": "MEAN", "chunking_id": "c", "state": "ACTIVE"}
    numbers = {"generation": 1, "dimension": 4, "max_length": 256, "chunk_size": 200, "chunk_overlap": 40}
    return Generation(collection_id=collection_id, qdrant_name=collection_id, **given, **numbers)


@pytest.mark.abuse(7, 8)
@pytest.mark.parametrize("principal", PRINCIPALS.values(), ids=PRINCIPALS)
async def test_the_sql_says_what_the_design_says(engine: AsyncEngine, principal: Principal) -> None:
    """On one, on many and on all collections, with and without a transaction."""
    expected = {case.id: decide(principal, case) for case in CASES}
    subject = permission.subject(principal)
    readable = {collection_id: role for collection_id, role in expected.items() if role}
    async with engine.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
        many = await collections.many_with_roles(connection, subject, list(expected))
        assert {row.id: row.role for row in many.values()} == expected
        for collection_id in list(expected)[::17]:
            row = await collections.with_role(connection, subject, collection_id)
            assert row is not None
            assert row.role == expected[collection_id]
        changed = await collections.last_changed(connection, subject, len(CASES))
        assert {row.id: row.role for row in changed} == readable
        assert await collections.last_changed(connection, subject, 2) == changed[:2]
        times = [(row.update_time, row.id) for row in changed]
        assert times == sorted(times, reverse=True)
    async with AsyncSession(engine) as session:
        listed: dict[str, str] = {}
        before = None
        while page := await collections.list_readable(session, subject, name="", owned_only=False, limit=10, before=before):
            listed |= {row.id: row.role for row in page}
            before = (page[-1].create_time, page[-1].id)
        assert listed == readable
        owned = await collections.list_readable(session, subject, name="", owned_only=True, limit=1000, before=None)
        assert {row.id for row in owned} == {each.id for each in CASES if each.owner_id == principal.user_id} & readable.keys()


async def test_there_is_a_case_for_every_role() -> None:
    """A role that is never given would show."""
    assert {decide(PRINCIPALS["a user"], case) for case in CASES} == set(ASCENDING)
    assert {decide(PRINCIPALS["a restricted API key"], case) for case in CASES} == set(ASCENDING) - {Role.OWNER}
