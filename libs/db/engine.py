"""The connection to Postgres: one engine a process, one translation of its errors."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from pydantic_settings import BaseSettings
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker, create_async_engine

from libs.rpc.errors import Failure, unavailable

Sessions = async_sessionmaker[AsyncSession]


class DatabaseSettings(BaseSettings):
    """Where the database is and how many connections one process may hold."""

    database_url: str
    database_pool_size: int = 8


@asynccontextmanager
async def database(settings: DatabaseSettings, application: str) -> AsyncIterator[AsyncEngine]:
    """Hold an engine for the length of a process; connections are opened on use."""
    engine = create_async_engine(
        settings.database_url,
        pool_size=settings.database_pool_size,
        max_overflow=0,
        pool_timeout=2.0,
        pool_pre_ping=True,
        connect_args={"application_name": application, "connect_timeout": 3, "options": "-c statement_timeout=30000 -c timezone=UTC"},
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
    """Return UNAVAILABLE for a Postgres that is lost, full or out of connections, None for any other error."""
    if isinstance(error, (OperationalError, InterfaceError, PoolTimeoutError)):
        return unavailable("postgres")
    if isinstance(error, DBAPIError) and error.connection_invalidated:
        return unavailable("postgres")
    return None
