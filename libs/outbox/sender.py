"""Sends the rows of an outbox, outside any transaction, until each has arrived or is refused for good."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import timedelta
from typing import Any, Generic, TypeVar

from prometheus_client import Counter
from sqlalchemy import func, select, update

from libs.db.engine import Sessions
from libs.outbox.table import OutboxRow, acknowledge
from libs.telemetry import failures

log = logging.getLogger(__name__)
_clock = func.clock_timestamp()
_sent = Counter("semantik_outbox_sent_total", "Rows of an outbox by topic and outcome.", ("topic", "outcome"))
_ERROR_CHARACTERS = 500
_Row = TypeVar("_Row", bound=OutboxRow)


class RefusedError(Exception):
    """Raised by a send function when the receiver refuses a row for good."""


class Sender(Generic[_Row]):
    """Hands each due row to the function of its topic; ``wake`` makes it look at once.

    ``is_transient`` recognises errors that are no fault of the row (the receiver is away): such a row is tried for as long as it
    takes. A row that was refused, or has failed ``max_attempts`` times otherwise, is dead. Rows are sent in no particular order,
    and may be sent again after a crash, so that send functions must be idempotent.
    """

    def __init__(
        self,
        sessions: Sessions,
        table: type[_Row],
        send: Mapping[str, Callable[[_Row], Awaitable[None]]],
        is_transient: Callable[[BaseException], bool],
        *,
        poll_seconds: float = 2.0,
        send_seconds: float = 10.0,
        batch: int = 16,
        max_attempts: int = 10,
        longest_wait_seconds: float = 30.0,
    ) -> None:
        self._sessions = sessions
        self._table = table
        self._send = send
        self._is_transient = is_transient
        self._poll_seconds = poll_seconds
        self._send_seconds = send_seconds
        self._send_time = timedelta(seconds=send_seconds)
        self._batch = batch
        self._max_attempts = max_attempts
        self._longest_wait = timedelta(seconds=longest_wait_seconds)
        self._woken = asyncio.Event()

    def wake(self) -> None:
        """Look for due rows now; call it after the commit of ``put``."""
        self._woken.set()

    async def run(self) -> None:
        """Send due rows until cancelled."""
        while True:
            self._woken.clear()
            count = 0
            try:
                count = await self.send_due()
            except Exception as error:  # noqa: BLE001 - the next round tries again
                failures.record(log, "outbox_round", "cannot look for rows to send", error)
            if count < self._batch:
                await self._pause()

    async def send_due(self) -> int:
        """Send one batch of due rows at once and return their number."""
        rows = await self._claim()
        async with asyncio.TaskGroup() as group:
            for row in rows:
                group.create_task(self._deliver(row))
        return len(rows)

    async def _pause(self) -> None:
        try:
            async with asyncio.timeout(self._poll_seconds):
                await self._woken.wait()
        except TimeoutError:
            return

    async def _claim(self) -> Sequence[_Row]:
        """Take due rows from the other replicas' senders for as long as sending may take."""
        table = self._table
        due = select(table.id).where(table.dead_time.is_(None), table.next_time <= _clock).order_by(table.next_time)
        due = due.limit(self._batch).with_for_update(skip_locked=True)
        taken = update(table).where(table.id.in_(due)).values(next_time=_clock + self._send_time * 2).returning(table)
        async with self._sessions.begin() as session:
            return (await session.scalars(taken)).all()

    async def _deliver(self, row: _Row) -> None:
        """Send one row and record how that went; never raises, so that no row stands in the way of another."""
        try:
            try:
                async with asyncio.timeout(self._send_seconds):
                    await self._send[row.topic](row)
            except Exception as error:  # noqa: BLE001 - whatever it is, it is recorded on the row
                await self._failed(row, error)
                return
            async with self._sessions.begin() as session:
                await acknowledge(session, self._table, row.id)
            _sent.labels(row.topic, "sent").inc()
        except Exception as error:  # noqa: BLE001 - see the comment
            # The row is due again when the time it was taken for is over.
            failures.record(log, "outbox_record", f"cannot record the outcome of {row.topic} {row.id}", error)

    async def _failed(self, row: _Row, error: Exception) -> None:
        """Put the row off by a quarter of its age, 1 s at least, or give it up."""
        table = self._table
        is_counted = not (isinstance(error, TimeoutError) or self._is_transient(error))
        is_dead = isinstance(error, RefusedError) or row.attempts + is_counted >= self._max_attempts
        if is_dead:
            log.error("%s %s is given up", row.topic, row.id, exc_info=error)
        else:
            failures.record(log, f"outbox_{row.topic}", f"{row.topic} {row.id} is put off", error)
        _sent.labels(row.topic, "dead" if is_dead else "failed").inc()
        wait = func.least(func.greatest((_clock - table.create_time) / 4, timedelta(seconds=1)), self._longest_wait)
        values: dict[str, Any] = {
            "next_time": _clock + wait,
            "attempts": table.attempts + int(is_counted),
            "last_error": f"{type(error).__name__}: {error}"[:_ERROR_CHARACTERS],
        }
        if is_dead:
            values["dead_time"] = _clock
        async with self._sessions.begin() as session:
            await session.execute(update(table).where(table.id == row.id).values(**values))
