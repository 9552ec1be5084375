"""What auth's periodic job removes, and what it leaves."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, async_sessionmaker, create_async_engine

from libs.db.engine import Sessions
from libs.db.migrate import upgrade
from services.auth.periodic import prune
from services.auth.store import expired
from tests.servers import postgres

AGES = {"refresh_tokens": 1, "revocations": 2, "auth_audit_log": 365, "attempts": 1 / 24}  # in days


@pytest.fixture(scope="module")
async def sessions() -> AsyncIterator[Sessions]:
    async with postgres() as cluster:
        await cluster.create("pruning")
        url = cluster.url("auth", "pruning")
        await asyncio.to_thread(upgrade, "auth", url)
        engine = create_async_engine(url)
        yield async_sessionmaker(engine, expire_on_commit=False)
        await engine.dispose()


async def _fill(connection: AsyncConnection, table: str, age: str, count: int) -> None:
    """Insert rows that are ``age`` old."""
    columns = {
        "refresh_tokens": "token_hash, family_id, user_id, start_time, expire_time, user_agent, address",
        "revocations": "session_id, not_before, reason",
        "auth_audit_log": "id, actor, action, outcome, address, user_agent, correlation_id, details, create_time",
        "attempts": "bucket, create_time",
    }[table]
    moment = f"now() - interval '{age}'"
    values = {
        "refresh_tokens": f"gen_random_uuid(), n, 'u', {moment}, {moment}, '', ''",
        "revocations": f"n, {moment}, ''",
        "attempts": f"'b', {moment}",
        "auth_audit_log": f"gen_random_uuid(), '', 'login', 'refused', '', '', '', '{{}}', {moment}",
    }[table]
    statement = f"INSERT INTO auth.{table} ({columns}) SELECT {values} FROM generate_series(1, {count}) AS n"  # noqa: S608 - a test's own
    await connection.execute(text(statement))


async def test_what_is_too_old_goes_in_pages_and_the_rest_stays(sessions: Sessions, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each kind of row has its own age; more than a page of them goes in one run."""
    monkeypatch.setattr(expired, "PAGE", 100)
    async with sessions.begin() as session:
        connection = await session.connection()
        await connection.execute(text("ALTER TABLE auth.refresh_tokens DROP CONSTRAINT fk_refresh_tokens_user_id"))
        for table, days in AGES.items():
            await _fill(connection, table, f"{days} days 10 minutes", 250)
            await _fill(connection, table, f"{days} days -10 minutes", 3)
    await prune(sessions)
    async with sessions.begin() as session:
        counts = {table: await session.scalar(text(f"SELECT count(*) FROM auth.{table}")) for table in AGES}  # noqa: S608 - a test's own
    assert counts == dict.fromkeys(AGES, 3)
