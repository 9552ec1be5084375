"""What a client is told when Postgres does not do what it was asked, by real errors of a real server."""

import asyncio
from collections.abc import AsyncIterator

import psycopg
import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from deploy.local.postgres import Postgres
from libs.db import engine as db
from libs.db.engine import DatabaseSettings
from libs.rpc.errors import Failure


@pytest.fixture
async def engine(settings: DatabaseSettings) -> AsyncIterator[AsyncEngine]:
    async with db.database(settings, "tests") as engine:
        async with engine.begin() as connection:
            await connection.execute(text("CREATE SCHEMA IF NOT EXISTS auth"))
            await connection.execute(text("DROP TABLE IF EXISTS auth.pairs"))
            await connection.execute(text("CREATE TABLE auth.pairs AS SELECT id, 0 AS value FROM generate_series(1, 2) id"))
        yield engine


def _meaning(error: Exception) -> tuple[str, str, bool]:
    failure = db.translate(error)
    assert isinstance(failure, Failure)
    return failure.code.name, failure.reason_name, "cannot be reached" in failure.message


async def _raised(connection: AsyncConnection, *statements: str) -> Exception:
    *before, last = statements
    for statement in before:
        await connection.execute(text(statement))
    with pytest.raises(DBAPIError) as caught:
        await connection.execute(text(last))
    return caught.value


@pytest.mark.parametrize(
    ("statements", "meaning"),
    [
        (["DO $$ BEGIN RAISE 'no space left' USING ERRCODE = 'disk_full'; END $$"], ("RESOURCE_EXHAUSTED", "STORAGE_FULL", False)),
        (["SET LOCAL statement_timeout = 50", "SELECT pg_sleep(5)"], ("DEADLINE_EXCEEDED", "STATEMENT_TIMEOUT", False)),
        (["SELECT pg_terminate_backend(pg_backend_pid())"], ("UNAVAILABLE", "DEPENDENCY_UNAVAILABLE", True)),
        (["SELECT convert_from('\\xff', 'UTF8')"], None),
        (["SELECT 1 / 0"], None),
    ],
    ids=["a full disk", "a statement that takes too long", "a lost connection", "bytes that are no text", "a fault of ours"],
)
async def test_an_error_of_postgres_has_one_meaning(
    engine: AsyncEngine, statements: list[str], meaning: tuple[str, str, bool] | None
) -> None:
    """A canceled statement is not a lost server."""
    async with engine.connect() as connection:
        error = await _raised(connection, *statements)
        if meaning is None:
            assert db.translate(error) is None
        else:
            assert _meaning(error) == meaning


async def test_the_victim_of_a_deadlock_is_told_to_try_again(engine: AsyncEngine) -> None:
    """One of two that wait for each other; the other one goes on."""
    async with engine.connect() as first, engine.connect() as second:
        await first.execute(text("UPDATE auth.pairs SET value = 1 WHERE id = 1"))
        await second.execute(text("UPDATE auth.pairs SET value = 2 WHERE id = 2"))
        results = await asyncio.gather(
            first.execute(text("UPDATE auth.pairs SET value = 1 WHERE id = 2")),
            second.execute(text("UPDATE auth.pairs SET value = 2 WHERE id = 1")),
            return_exceptions=True,
        )
        [error] = [result for result in results if isinstance(result, Exception)]
        assert _meaning(error) == ("UNAVAILABLE", "TRANSACTION_CONFLICT", False)


async def test_a_transaction_that_lost_against_another_is_told_to_try_again(engine: AsyncEngine) -> None:
    """And one that waited too long for a lock, too."""
    async with engine.connect() as first, engine.connect() as second:
        await first.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ"))
        await first.execute(text("SELECT * FROM auth.pairs"))
        await second.execute(text("UPDATE auth.pairs SET value = 2"))
        await second.commit()
        error = await _raised(first, "UPDATE auth.pairs SET value = 1")
        assert _meaning(error) == ("UNAVAILABLE", "TRANSACTION_CONFLICT", False)
        await first.rollback()
        await second.execute(text("UPDATE auth.pairs SET value = 3"))
        error = await _raised(first, "SET LOCAL lock_timeout = 50", "UPDATE auth.pairs SET value = 1")
        assert _meaning(error) == ("UNAVAILABLE", "TRANSACTION_CONFLICT", False)


@pytest.mark.abuse(40)
async def test_an_error_does_not_tell_what_was_written(engine: AsyncEngine) -> None:
    """Its text goes to the log."""
    async with engine.connect() as connection:
        with pytest.raises(DBAPIError) as caught:
            await connection.execute(text("INSERT INTO auth.nothing VALUES (:text)"), {"text": "a secret"})
    assert "secret" not in str(caught.value)


async def test_connections_that_ended_while_idle_are_replaced_unseen(engine: AsyncEngine, cluster: Postgres) -> None:
    """A Postgres that was restarted costs nobody a call."""
    async with engine.connect() as first, engine.connect() as second:
        pids = {await each.scalar(text("SELECT pg_backend_pid()")) for each in (first, second)}
    await _terminate(cluster, "auth")
    for _ in range(2):
        async with engine.connect() as connection:
            assert await connection.scalar(text("SELECT pg_backend_pid()")) not in pids


async def test_the_probe_is_not_held_up_by_requests(engine: AsyncEngine, settings: DatabaseSettings) -> None:
    """All connections of the pool are busy, and Postgres is well."""
    async with db.probe(settings, "tests") as probe, engine.connect() as first, engine.connect() as second:
        sleeping = [asyncio.create_task(each.execute(text("SELECT pg_sleep(3)"))) for each in (first, second)]
        with pytest.raises(PoolTimeoutError) as caught:
            await engine.connect()
        assert _meaning(caught.value) == ("UNAVAILABLE", "DEPENDENCY_UNAVAILABLE", True)
        async with asyncio.timeout(1):
            await probe()
        await asyncio.gather(*sleeping)


async def test_the_probe_fails_while_postgres_refuses_and_recovers_by_itself(cluster: Postgres, settings: DatabaseSettings) -> None:
    """Its connection is opened anew."""
    async with db.probe(settings, "tests") as probe, await psycopg.AsyncConnection.connect(cluster.dsn(), autocommit=True) as admin:
        await probe()
        await admin.execute("ALTER ROLE auth NOLOGIN")
        try:
            await _terminate(cluster, "auth")
            for _ in range(2):
                with pytest.raises(psycopg.OperationalError):
                    await probe()
        finally:
            await admin.execute("ALTER ROLE auth LOGIN")
        await probe()


async def _terminate(cluster: Postgres, user: str) -> None:
    """End every connection of a role, and wait until they are gone."""
    async with await psycopg.AsyncConnection.connect(cluster.dsn(), autocommit=True) as admin:
        await admin.execute("SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE usename = %s", (user,))
