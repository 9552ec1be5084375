"""Finds schemas that need migrations without loading Alembic, which takes a second."""

import re
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import psycopg

_REVISION = re.compile(r"^revision\b[^=]*=\s*[\"']([^\"']+)[\"']", re.MULTILINE)
_DOWN_REVISION = re.compile(r"^down_revision\b[^=]*=\s*[\"']([^\"']+)[\"']", re.MULTILINE)


async def outdated(dsn: str, services: tuple[str, ...]) -> list[str]:
    """Return the services whose schema is not at its newest revision."""
    async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as connection:
        return [service for service in services if await _version(connection, service) != newest(service)]


def newest(service: str) -> set[str]:
    """Return the newest revisions of a service's history; empty if the service does not exist."""
    texts = [path.read_text() for path in _history(service)]
    revisions = {match[1] for text in texts if (match := _REVISION.search(text))}
    return revisions - {match[1] for text in texts if (match := _DOWN_REVISION.search(text))}


async def _version(connection: psycopg.AsyncConnection[tuple[str, ...]], service: str) -> set[str]:
    table = await (await connection.execute("SELECT to_regclass(%s)::text", (f"{service}.alembic_version",))).fetchone()
    if table is None or table[0] is None:
        return set()
    # The name is one of our own services'.
    rows = await connection.execute(f'SELECT version_num FROM "{service}".alembic_version')  # noqa: S608
    return {row[0] for row in await rows.fetchall()}


def _history(service: str) -> Iterator[Path]:
    spec = find_spec(f"services.{service}")
    for location in (spec and spec.submodule_search_locations) or ():
        yield from (Path(location) / "migrations").glob("*.py")
