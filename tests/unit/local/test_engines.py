"""Postgres and Redis as the supervisor runs them."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator

import psycopg
import pytest

from deploy.local import schemas
from deploy.local.child import ShuttingDownError
from deploy.local.postgres import ROLES, Postgres
from deploy.local.ready import postgres_accepts, redis_pong
from tests.servers import postgres, redis


@pytest.fixture(scope="module")
async def cluster() -> AsyncIterator[Postgres]:
    async with postgres() as cluster:
        await cluster.create("mesh")
        yield cluster


@pytest.mark.parametrize("role", ROLES)
async def test_each_service_has_a_role_and_a_schema(cluster: Postgres, role: str) -> None:
    """A role writes to its schema and cannot look into another's."""
    other = next(name for name in ROLES if name != role)
    async with await psycopg.AsyncConnection.connect(cluster.dsn(role, "mesh"), autocommit=True) as connection:
        await connection.execute(f"CREATE TABLE {role}.thing (id text)")
        await connection.execute("INSERT INTO thing VALUES ('1')")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            await connection.execute(f"CREATE TABLE {other}.thing2 (id text)")
        await connection.execute(f"DROP TABLE {role}.thing")


async def test_making_what_is_there_changes_nothing(cluster: Postgres) -> None:
    """Every start of a mesh asks for its database."""
    await cluster.create("mesh")


@pytest.mark.abuse(40)
async def test_it_listens_on_its_socket_only(cluster: Postgres) -> None:
    """No TCP port, and only its own account may enter the socket's directory."""
    async with await psycopg.AsyncConnection.connect(cluster.dsn()) as connection:
        found = await (await connection.execute("SHOW listen_addresses")).fetchone()
    assert found == ("",)
    assert cluster.socket.stat().st_mode & 0o777 == 0o700


async def test_it_is_postgresql_18(cluster: Postgres) -> None:
    """The wheel holds an older one too."""
    async with await psycopg.AsyncConnection.connect(cluster.dsn()) as connection:
        assert connection.info.server_version // 10000 == 18


async def test_a_killed_server_comes_back_with_its_data(cluster: Postgres) -> None:
    """The supervisor starts it again, and its own lock file from before does not hinder it."""
    async with await psycopg.AsyncConnection.connect(cluster.dsn(), autocommit=True) as connection:
        await connection.execute("SET synchronous_commit = on")  # which a test's cluster has off
        await connection.execute("CREATE TABLE kept (id text)")
    first = _pid(cluster)
    os.kill(first, signal.SIGKILL)
    ready = postgres_accepts(cluster.dsn())
    async with asyncio.timeout(20):
        while _pid(cluster) == first or not await ready():  # noqa: ASYNC110 - it changes in another process
            await asyncio.sleep(0.05)
    async with await psycopg.AsyncConnection.connect(cluster.dsn()) as connection:
        assert await (await connection.execute("SELECT count(*) FROM kept")).fetchone() == (0,)


async def test_a_smart_shutdown_with_clients_connected_is_healed(cluster: Postgres) -> None:
    """SIGTERM from outside: new connections are refused, the old ones keep it from ending. It is ended and started again."""
    first = _pid(cluster)
    async with await psycopg.AsyncConnection.connect(cluster.dsn(), autocommit=True) as client:
        os.kill(first, signal.SIGTERM)
        async with asyncio.timeout(20):
            while _pid(cluster) in (0, first) or not await _accepts(cluster):  # noqa: ASYNC110 - it changes in another process
                await asyncio.sleep(0.05)
        with pytest.raises(psycopg.OperationalError):
            await client.execute("SELECT 1")
    log = (cluster.directory / "postgres.log").read_text()
    assert "-- postgres is shutting down; restarting it: " in log
    assert "the database system is shutting down" in log


async def _accepts(cluster: Postgres) -> bool:
    try:
        return await postgres_accepts(cluster.dsn())()
    except ShuttingDownError:
        return False


def _pid(cluster: Postgres) -> int:
    file = cluster.data / "postmaster.pid"
    return int(file.read_text().split("\n")[0] or 0) if file.exists() else 0


async def test_schemas_without_migrations_are_outdated(cluster: Postgres) -> None:
    """And the history of each service has one end."""
    await cluster.create("fresh")
    assert await schemas.outdated(cluster.dsn(database="fresh"), ROLES) == list(ROLES)
    assert [len(schemas.newest(role)) for role in ROLES] == [1, 1, 1, 1]


@pytest.mark.abuse(40)
async def test_redis_wants_its_password() -> None:
    """On a socket, and with a password all the same."""
    async with redis() as server:
        assert await redis_pong(server.socket, server.password)() is True
        assert await redis_pong(server.socket, "wrong")() is False
        assert server.socket.stat().st_mode & 0o777 == 0o700
