"""Tells watchers of changes: one LISTEN a process, one read a change, however many watch."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import suppress

import psycopg
from services.operation.shapes import operation_message
from sqlalchemy import make_url

from libs.db.engine import Sessions
from semantik.operation.v1 import operation_pb2
from services.operation import store
from services.operation.tables import TERMINAL

log = logging.getLogger(__name__)
_MIN_GAP_SECONDS = 0.2
_RECONNECT_SECONDS = 0.5
_TERMINAL = {operation_pb2.Operation.State.Value(f"STATE_{state}") for state in TERMINAL}


class _Topic:
    """One operation that somebody watches."""

    def __init__(self) -> None:
        self.watchers = 0
        self.latest: operation_pb2.Operation | None = None
        self.changed = asyncio.Event()
        self.dirty = asyncio.Event()
        self.dirty.set()
        self.reader: asyncio.Task[None] | None = None

    def publish(self, operation: operation_pb2.Operation) -> None:
        self.latest = operation
        self.changed.set()
        self.changed = asyncio.Event()


class Feed:
    """Conflates changes for watchers; ``run`` listens for as long as the process lives."""

    def __init__(self, database_url: str, sessions: Sessions, repeat_seconds: float) -> None:
        url = make_url(database_url).set(drivername="postgresql")
        self._dsn = url.render_as_string(hide_password=False)
        self._sessions = sessions
        self._repeat = repeat_seconds
        self._topics: dict[str, _Topic] = {}

    async def run(self) -> None:
        """Listen for ever; after a lost connection every topic is read again, so that no change is missed."""
        while True:
            try:
                async with await psycopg.AsyncConnection.connect(self._dsn, autocommit=True) as connection:
                    await connection.execute(f'LISTEN "{store.CHANNEL}"')
                    for watched in self._topics.values():
                        watched.dirty.set()
                    async for notice in connection.notifies():
                        if topic := self._topics.get(notice.payload):
                            topic.dirty.set()
            except psycopg.OperationalError as error:
                log.warning("lost the connection to listen on: %s", type(error).__name__)
            await asyncio.sleep(_RECONNECT_SECONDS)

    async def watch(self, operation_id: str) -> AsyncIterator[operation_pb2.Operation]:
        """Yield the state at once, then the latest after each change or silence; ends after a terminal one."""
        topic = self._topics.get(operation_id)
        if topic is None:
            topic = self._topics[operation_id] = _Topic()
            topic.reader = asyncio.create_task(self._read(operation_id, topic))
        topic.watchers += 1
        try:
            while True:
                changed, latest = topic.changed, topic.latest
                if latest is not None:
                    yield latest
                    if latest.state in _TERMINAL:
                        return
                with suppress(TimeoutError):
                    await asyncio.wait_for(changed.wait(), self._repeat)
        finally:
            topic.watchers -= 1
            if topic.watchers == 0 and topic.reader is not None:
                topic.reader.cancel()
                self._topics.pop(operation_id, None)

    async def _read(self, operation_id: str, topic: _Topic) -> None:
        while True:
            with suppress(TimeoutError):
                await asyncio.wait_for(topic.dirty.wait(), self._repeat)
            topic.dirty.clear()
            try:
                async with self._sessions() as session:
                    row = await store.get(session, operation_id)
            except Exception as error:  # noqa: BLE001 - the next bell or silence reads again
                log.warning("cannot read an operation for its watchers: %s", type(error).__name__)
                row = None
            if row is not None:
                topic.publish(operation_message(row))
            await asyncio.sleep(_MIN_GAP_SECONDS)
