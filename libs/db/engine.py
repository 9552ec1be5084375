"""The connections to Postgres: for transactions, for reads, for a probe; and one translation of its errors."""

import select
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, Self

import psycopg
from psycopg import errors
from psycopg.types.array import ListBinaryDumper
from pydantic import model_validator
from sqlalchemy import event, make_url
from sqlalchemy.exc import DBAPIError, DisconnectionError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker, create_async_engine

from libs.rpc.errors import Failure, statement_timeout, storage_full, transaction_conflict, unavailable
from libs.rpc.settings import Environment, MeshSettings
from libs.rpc.validation import text_has_nul

Sessions = async_sessionmaker[AsyncSession]
# A process that freezes in a transaction loses its locks before its leases run out, so that another can take over.
_OPTIONS = "-c statement_timeout=30000 -c idle_in_transaction_session_timeout=10000 -c timezone=UTC"


class DatabaseSettings(MeshSettings):
    """Where the database is, and how many connections one process may hold: for transactions and for single reads."""

    database_url: str
    database_pool_size: int = 8
    database_read_pool_size: int = 4

    @model_validator(mode="after")
    def _credentials_are_explicit(self) -> Self:
        url = make_url(self.database_url)
        if self.environment is Environment.PRODUCTION and not (url.username and url.password):
            raise ValueError("in production DATABASE_URL must name a user and a password")
        return self


@asynccontextmanager
async def database(settings: DatabaseSettings, application: str) -> AsyncIterator[AsyncEngine]:
    """Yield the engine of a process's transactions; connections are opened on use."""
    async with _engine(settings, application, settings.database_pool_size) as engine:
        yield engine


@asynccontextmanager
async def reads(settings: DatabaseSettings, application: str) -> AsyncIterator[AsyncEngine]:
    """Yield an engine for single reads, each one round trip: nothing begins, nothing is rolled back.

    Its connections are its own, so that a read never waits for a transaction, nor pays for the switch.
    """
    size = settings.database_read_pool_size
    # What commits by itself leaves nothing to reset.
    async with _engine(settings, f"{application} reads", size, isolation_level="AUTOCOMMIT", pool_reset_on_return=None) as engine:
        yield engine


@asynccontextmanager
async def _engine(settings: DatabaseSettings, application: str, size: int, **options: Any) -> AsyncIterator[AsyncEngine]:
    engine = create_async_engine(
        settings.database_url,
        pool_size=size,
        max_overflow=0,
        pool_timeout=2.0,
        hide_parameters=True,  # an error's text goes to the log, and parameters hold people's texts
        connect_args={"application_name": application, "connect_timeout": 3, "options": _OPTIONS},
        **options,
    )
    event.listen(engine.sync_engine, "connect", _send_lists_as_bytes)
    event.listen(engine.sync_engine, "checkout", _replace_closed)
    try:
        yield engine
    finally:
        await engine.dispose()


def _send_lists_as_bytes(connection: Any, _: Any) -> None:
    """Have arrays go in the binary format: as text, psycopg escapes them in Python, which takes 50 times as long."""
    connection.driver_connection.adapters.register_dumper(list, ListBinaryDumper)


def _replace_closed(connection: Any, *_: Any) -> None:
    """Have the pool open another connection in place of one that the server has closed while it was idle.

    An idle connection with something to read has ended, or is about to. Asking the kernel takes a microsecond where a
    statement (``pool_pre_ping``) takes a round trip.
    """
    poll = select.poll()
    poll.register(connection.driver_connection.fileno(), select.POLLIN)
    if poll.poll(0):
        raise DisconnectionError("the server closed an idle connection")


def sessions(engine: AsyncEngine) -> Sessions:
    return async_sessionmaker(engine, expire_on_commit=False)


def dsn(database_url: str) -> str:
    """Return ``DATABASE_URL`` as psycopg reads it."""
    return make_url(database_url).set(drivername="postgresql").render_as_string(hide_password=False)


@asynccontextmanager
async def probe(settings: DatabaseSettings, application: str) -> AsyncIterator[Callable[[], Awaitable[None]]]:
    """Yield a function that raises unless Postgres answers.

    It keeps a connection of its own: requests that hold all of the engine's, or wait for them, do not look like an outage.
    """
    connection: psycopg.AsyncConnection | None = None

    async def answers() -> None:
        nonlocal connection
        if connection is None:
            connection = await psycopg.AsyncConnection.connect(
                dsn(settings.database_url), autocommit=True, application_name=f"{application} probe", connect_timeout=2
            )
        try:
            await connection.execute("SELECT 1")
        except BaseException:
            # After an error or a timeout its state is unknown; the next probe opens another.
            broken, connection = connection, None
            await broken.close()
            raise

    try:
        yield answers
    finally:
        if connection is not None:
            await connection.close()


def translate(error: Exception) -> Failure | None:
    """Return what an error of SQLAlchemy or psycopg means to a client, None for a fault of ours.

    A Postgres that is lost, starting or out of connections is UNAVAILABLE, as is a transaction that lost against another;
    a full disk is RESOURCE_EXHAUSTED, a statement that took too long DEADLINE_EXCEEDED. A NUL, which Postgres cannot store
    and JSON cannot avoid, is the caller's: INVALID_ARGUMENT.
    """
    cause = error.orig if isinstance(error, DBAPIError) else error
    for kinds, failure in _MEANINGS:
        if isinstance(cause, kinds):
            return failure()
    if isinstance(error, DBAPIError) and error.connection_invalidated:
        return unavailable("postgres")
    return text_has_nul() if isinstance(cause, psycopg.DataError) and "NUL" in str(cause) else None


# The first that fits; psycopg's OperationalError is the base of all above it.
_MEANINGS: Sequence[tuple[type[Exception] | tuple[type[Exception], ...], Callable[[], Failure]]] = (
    (errors.DiskFull, partial(storage_full, "postgres")),
    (errors.QueryCanceled, statement_timeout),
    ((errors.DeadlockDetected, errors.SerializationFailure, errors.LockNotAvailable), transaction_conflict),
    ((psycopg.OperationalError, psycopg.InterfaceError, PoolTimeoutError), partial(unavailable, "postgres")),
    (errors.UntranslatableCharacter, text_has_nul),
)
