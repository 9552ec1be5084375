"""The connection to Postgres: one engine a process, one translation of its errors."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Self

from grpc import StatusCode
from psycopg.errors import UntranslatableCharacter
from pydantic import model_validator
from sqlalchemy import make_url, text
from sqlalchemy.exc import DataError, DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker, create_async_engine

from libs.rpc.errors import Failure, unavailable
from libs.rpc.settings import Environment, MeshSettings
from libs.rpc.validation import NO_NUL
from semantik.error.v1.error_reason_pb2 import ErrorReason

Sessions = async_sessionmaker[AsyncSession]
# A process that freezes in a transaction loses its locks before its leases run out, or nobody could take over from it.
_OPTIONS = "-c statement_timeout=30000 -c idle_in_transaction_session_timeout=10000 -c timezone=UTC"


class DatabaseSettings(MeshSettings):
    """Where the database is and how many connections one process may hold."""

    database_url: str
    database_pool_size: int = 8

    @model_validator(mode="after")
    def _credentials_are_explicit(self) -> Self:
        url = make_url(self.database_url)
        if self.environment is Environment.PRODUCTION and not (url.username and url.password):
            raise ValueError("in production DATABASE_URL must name a user and a password")
        return self


@asynccontextmanager
async def database(settings: DatabaseSettings, application: str) -> AsyncIterator[AsyncEngine]:
    """Hold an engine for the length of a process; connections are opened on use."""
    engine = create_async_engine(
        settings.database_url,
        pool_size=settings.database_pool_size,
        max_overflow=0,
        pool_timeout=2.0,
        pool_pre_ping=True,
        connect_args={"application_name": application, "connect_timeout": 3, "options": _OPTIONS},
    )
    try:
        yield engine
    finally:
        await engine.dispose()


def sessions(engine: AsyncEngine) -> Sessions:
    return async_sessionmaker(engine, expire_on_commit=False)


async def ping(engine: AsyncEngine) -> None:
    """Raise unless Postgres answers."""
    async with engine.connect() as connection:
        await connection.execute(text("SELECT 1"))


def translate(error: Exception) -> Failure | None:
    """Return UNAVAILABLE for a Postgres that is lost, full or out of connections, None for a fault of ours.

    A NUL, which Postgres cannot store and JSON cannot avoid, is the caller's: INVALID_ARGUMENT.
    """
    if isinstance(error, (OperationalError, InterfaceError, PoolTimeoutError)):
        return unavailable("postgres")
    if isinstance(error, DBAPIError) and error.connection_invalidated:
        return unavailable("postgres")
    if isinstance(error, DataError) and (isinstance(error.orig, UntranslatableCharacter) or "NUL" in str(error.orig)):
        return Failure(
            StatusCode.INVALID_ARGUMENT, ErrorReason.ERROR_REASON_INVALID_REQUEST, "texts must not contain NUL", {"rule": NO_NUL}
        )
    return None
