"""Hands operations to the slots of workers that wait for one."""

import asyncio
import logging
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta

from libs.db.engine import Sessions
from libs.rpc.errors import Failure, draining
from libs.telemetry import failures
from services.operation.store import claims
from services.operation.tables import Operation, Slot

log = logging.getLogger(__name__)
_DRAINING = "shutting down; claim again"


@dataclass(eq=False)
class _Ask:
    """A slot that waits for work."""

    queue: str
    slot: Slot
    worker_id: str
    claim_id: str
    is_once: bool
    answer: asyncio.Future[Operation | None] = field(default_factory=lambda: asyncio.get_running_loop().create_future())
    is_tried: bool = False


class Dispatcher:
    """Claims in one task, one slot after the other, so that a thousand waiting slots cost one query a ring.

    Short slots are served before long ones, so that short work leaves the long slots free.
    """

    def __init__(self, sessions: Sessions, lease: timedelta) -> None:
        self._sessions = sessions
        self._lease = lease
        self._asks: defaultdict[tuple[str, Slot], list[_Ask]] = defaultdict(list)
        self._rung: set[str] = set()
        self._woken = asyncio.Event()
        self._is_closed = False

    @property
    def asked(self) -> set[str]:
        """The queues that slots wait for."""
        return {queue for (queue, _), asks in self._asks.items() if asks}

    def ring(self, queue: str) -> None:
        """Look at ``queue`` again: more may be claimed than before."""
        self._rung.add(queue)
        self._woken.set()

    def ring_all(self) -> None:
        """Look at every queue that slots wait for: a bell may have been lost, or a back-off has ended."""
        for queue in self.asked:
            self.ring(queue)

    def close(self) -> None:
        """Answer every slot that it asks another replica."""
        self._is_closed = True
        for asks in self._asks.values():
            for ask in asks:
                _fail(ask, draining(_DRAINING))

    async def claim(self, queue: str, slot: Slot, worker_id: str, claim_id: str, wait_seconds: float) -> Operation | None:
        """Return the next operation for a slot, None if there was none for ``wait_seconds``; raises DRAINING."""
        if self._is_closed:
            raise draining(_DRAINING)
        with self._asking(_Ask(queue, slot, worker_id, claim_id, is_once=wait_seconds <= 0)) as ask:
            self.ring(queue)
            await asyncio.wait((ask.answer,), timeout=wait_seconds if wait_seconds > 0 else None)
            if not ask.answer.done() and not ask.is_tried:
                return None
            # A claim that is being made right now is not given up for a few milliseconds.
            ask.is_once = True
            return await ask.answer

    @contextmanager
    def _asking(self, ask: _Ask) -> Iterator[_Ask]:
        asks = self._asks[ask.queue, ask.slot]
        asks.append(ask)
        try:
            yield ask
        finally:
            asks.remove(ask)

    async def run(self) -> None:
        """Serve the queues that are rung for, until cancelled."""
        while True:
            await self._woken.wait()
            self._woken.clear()
            queues, self._rung = self._rung, set()
            for queue in queues:
                for slot in (Slot.SHORT, Slot.LONG):
                    await self._serve(queue, slot)

    async def _serve(self, queue: str, slot: Slot) -> None:
        asks = self._asks[queue, slot]
        while ask := next((ask for ask in asks if not ask.answer.done()), None):
            present = list(asks)
            ask.is_tried = True
            try:
                async with self._sessions.begin() as session:
                    operation = await claims.claim(session, queue, slot, ask.worker_id, ask.claim_id, self._lease)
            except Exception as error:  # noqa: BLE001 - the slots get it, and ask again
                failures.record(log, "operation_claim", f"cannot claim from the queue {queue}", error)
                for asking in present:
                    _fail(asking, error)
                return
            finally:
                ask.is_tried = False
            if operation is None:
                for asking in present:
                    if asking.is_once:
                        _answer(asking, None)
                return
            _answer(ask, operation)


def _answer(ask: _Ask, operation: Operation | None) -> None:
    if not ask.answer.done():
        ask.answer.set_result(operation)


def _fail(ask: _Ask, error: Failure | Exception) -> None:
    if not ask.answer.done():
        ask.answer.set_exception(error)
        # It may have gone away meanwhile; then nobody looks at the error.
        ask.answer.exception()
