"""Takes operations back from workers that fell silent, and keeps what waits in order."""

import asyncio
import logging
from datetime import timedelta

from libs.db.engine import Sessions
from libs.telemetry import failures
from services.operation import fairness, metrics
from services.operation.dispatcher import Dispatcher
from services.operation.settings import Settings
from services.operation.store import claims, explaining, waiting
from services.operation.tables import Operation

log = logging.getLogger(__name__)
# What could be claimed and still waits after this time has found no idle slot.
_WAITED = timedelta(seconds=0.5)
_EXPLAINED_AFTER = timedelta(seconds=1)


class Sweeper:
    """Sweeps expired leases every few seconds by the database's clock.

    After an outage of this process or its database it gives workers the time of one lease to report again: their silence
    was not theirs, and no attempt counts.
    """

    def __init__(self, settings: Settings, sessions: Sessions, dispatcher: Dispatcher, limits: claims.Limits) -> None:
        self._settings = settings
        self._sessions = sessions
        self._dispatcher = dispatcher
        self._limits = limits
        self._last_round = float("-inf")
        self._sweep_from = float("-inf")

    async def run(self) -> None:
        """Sweep until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            try:
                await self.round(loop.time())
            except Exception as error:  # noqa: BLE001 - the next round tries again
                failures.record(log, "operation_sweep", "cannot sweep leases", error)
            await asyncio.sleep(self._settings.sweep_seconds)

    async def round(self, now: float) -> None:
        """Sweep once; ``now`` is the time on the event loop's clock."""
        async with self._sessions() as session:
            depths = await waiting.depths(session)
        if now - self._last_round > self._settings.guaranteed_seconds:
            self._sweep_from = now + self._settings.lease_seconds
        self._last_round = now
        metrics.queued.clear()
        metrics.oldest.clear()
        for kind, slot, count, seconds in depths:
            metrics.queued.labels(kind, slot).set(count)
            metrics.oldest.labels(kind, slot).set(seconds)
        if now >= self._sweep_from:
            async with self._sessions.begin() as session:
                expired = await claims.sweep(session, self._limits)
            for operation in expired:
                log.warning("operation %s: its worker fell silent (attempt %d)", operation.id, operation.attempt)
                metrics.leases_lost.labels(operation.kind).inc()
                count_end(operation)
        async with self._sessions.begin() as session:
            await explaining.note_asked(session, self._dispatcher.asked)
            for queue in await waiting.queues(session):
                await explaining.explain(session, queue, _EXPLAINED_AFTER, timedelta(seconds=self._settings.lease_seconds))
        self._dispatcher.ring_all()


class SlotKeeper:
    """Asks workers every second to give up slots that others have a better right to."""

    def __init__(self, settings: Settings, sessions: Sessions) -> None:
        self._settings = settings
        self._sessions = sessions

    async def run(self) -> None:
        """Keep slots until cancelled."""
        while True:
            try:
                await self.round()
            except Exception as error:  # noqa: BLE001 - the next round tries again
                failures.record(log, "operation_slots", "cannot compare who has slots with who waits", error)
            await asyncio.sleep(self._settings.slot_check_seconds)

    async def round(self) -> None:
        async with self._sessions.begin() as session:
            held = await waiting.running(session)
            for queue in {claim.queue for claim in held}:
                work = await waiting.waiting(session, queue, _WAITED)
                slots = [claim for claim in held if claim.queue == queue]
                ids = fairness.yielding(
                    slots, work, short_seconds=self._settings.short_slot_seconds, long_seconds=self._settings.long_slot_seconds
                )
                if ids:
                    await claims.give_up_slots(session, ids)
                for claim in slots:
                    if claim.id in ids:
                        log.info("operation %s: its slot is wanted", claim.id)
                        metrics.yields.labels(str(claim.slot).lower()).inc()


def count_end(operation: Operation) -> None:
    if operation.is_terminal:
        metrics.finished.labels(operation.kind, operation.state).inc()
