"""Waits for a state of the database."""

import asyncio

import psycopg

_SECONDS = 30.0
_POLL_SECONDS = 0.02


async def until_none(rows: psycopg.AsyncConnection, count: str, *parameters: object) -> None:
    """Wait until the statement ``count`` returns 0; raises TimeoutError."""
    async with asyncio.timeout(_SECONDS):
        while await _number(rows, count, parameters):  # noqa: ASYNC110 - a row is no event
            await asyncio.sleep(_POLL_SECONDS)


async def until_some(rows: psycopg.AsyncConnection, count: str, *parameters: object) -> None:
    """Wait until the statement ``count`` returns more than 0; raises TimeoutError."""
    async with asyncio.timeout(_SECONDS):
        while not await _number(rows, count, parameters):  # noqa: ASYNC110 - a row is no event
            await asyncio.sleep(_POLL_SECONDS)


async def _number(rows: psycopg.AsyncConnection, count: str, parameters: tuple[object, ...]) -> int:
    row = await (await rows.execute(count.encode(), parameters)).fetchone()
    return 0 if row is None else int(row[0])
