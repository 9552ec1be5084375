"""One connection of a process that listens to Postgres' NOTIFY."""

import asyncio
import logging
from collections.abc import Callable, Mapping
from typing import Any

import psycopg
from psycopg import sql

from libs.telemetry import failures

log = logging.getLogger(__name__)
_RECONNECT_SECONDS = 0.5
_CONNECT_SECONDS = 3
# A peer that vanishes without a word is noticed within half a minute.
_KEEPALIVES: dict[str, Any] = {"keepalives_idle": 10, "keepalives_interval": 5, "keepalives_count": 3}


async def listen(dsn: str, application: str, channels: Mapping[str, Callable[[str], None]], on_connect: Callable[[], None]) -> None:
    """Call the function of a channel with the payload of each notification, until cancelled.

    ``on_connect`` is called after each connection is made: anything may have changed before. A lost connection is opened again
    and again. The functions must return at once and must not raise.
    """
    while True:
        try:
            connection = await psycopg.AsyncConnection.connect(
                dsn, autocommit=True, application_name=f"{application} listener", connect_timeout=_CONNECT_SECONDS, **_KEEPALIVES
            )
            async with connection:
                for channel in channels:
                    await connection.execute(sql.SQL("LISTEN {}").format(sql.Identifier(channel)))
                on_connect()
                async for notice in connection.notifies():
                    channels[notice.channel](notice.payload)
        except psycopg.Error as error:
            failures.record(log, "feed_listen", "lost the connection to listen on", error)
        await asyncio.sleep(_RECONNECT_SECONDS)
