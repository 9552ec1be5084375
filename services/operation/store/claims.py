"""The life of a claim: taken, renewed, given back, finished, or taken back from a worker that fell silent."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import Select, and_, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from libs.outbox.table import put
from services.operation.progress import at_rest, committed, finished, merged
from services.operation.store.notify import CHANGED, requeued, ring
from services.operation.store.waiting import next_of
from services.operation.tables import Desired, Operation, Outbox, Slot, State, Turn, fences

_clock = func.clock_timestamp()
_CLAIM_TRIES = 3
_SWEPT = 100
_LONGEST_BACKOFF_SECONDS = 30.0
COLLECTION_FAILED = "collection_failed"
"""The topic of the outbox for collections whose operation no worker could settle; the payload is JSON:
operation_id, collection_id and fence."""


@dataclass(frozen=True)
class Limits:
    """How often an operation is tried, and the errors it ends with (google.rpc.Status as JSON)."""

    attempts: int
    """In a row without progress, before it is settled as FAILED."""
    settles: int
    """Before the last one."""
    exhausted: Callable[[Operation], dict[str, Any]]
    unsettled: Callable[[Operation], dict[str, Any]]


async def claim(session: AsyncSession, queue: str, slot: Slot, worker_id: str, claim_id: str, lease: timedelta) -> Operation | None:
    """Give the next operation of ``queue`` to a slot of a worker, None where there is none that may run."""
    for _ in range(_CLAIM_TRIES):
        if operation := await repeated(session, claim_id, lease):
            return operation
        operation = await next_of(session, queue, slot)
        if operation is None:
            return None
        try:
            async with session.begin_nested():
                await _take(session, operation, slot, worker_id, claim_id, lease)
        except IntegrityError:
            # Another worker took the same collection's other operation a moment ago, or this claim was made elsewhere.
            await session.refresh(operation)
            continue
        await _note_turn(session, operation)
        await ring(session, CHANGED, operation.id)
        return operation
    return None


async def _take(session: AsyncSession, operation: Operation, slot: Slot, worker_id: str, claim_id: str, lease: timedelta) -> None:
    values = {
        "state": State.RUNNING if operation.state == State.QUEUED else operation.state,
        "desired": Desired.RUN if operation.desired == Desired.YIELD else operation.desired,
        "fence": fences.next_value(),
        "lease_owner": worker_id,
        "lease_until": _clock + lease,
        "slot": slot,
        "is_settling": Operation.settle_state.is_not(None),
        "claim_id": claim_id,
        "claim_time": _clock,
        "claim_documents": committed(operation.progress),
        "start_time": func.coalesce(Operation.start_time, _clock),
        "not_before": None,
        "wait_reason": "",
        "waits_for_operation_id": None,
        "operations_ahead": 0,
        "revision": Operation.revision + 1,
    }
    statement = update(Operation).where(Operation.id == operation.id).values(values).returning(Operation)
    await session.execute(statement, execution_options={"populate_existing": True})


async def repeated(session: AsyncSession, claim_id: str, lease: timedelta) -> Operation | None:
    """Return what this claim id holds already, with its lease renewed."""
    statement = (
        update(Operation)
        .where(Operation.claim_id == claim_id, Operation.lease_owner.is_not(None))
        .values(lease_until=_clock + lease)
        .returning(Operation)
        .execution_options(populate_existing=True)
    )
    return (await session.scalars(statement)).one_or_none()


async def held(session: AsyncSession, operation_id: str, fence: int) -> Operation | None:
    """Return the operation, locked, if the claim ``fence`` still holds it."""
    return (await session.scalars(_held(operation_id, fence).with_for_update())).one_or_none()


async def glance(session: AsyncSession, operation_id: str, fence: int) -> tuple[Operation, float] | None:
    """Return the operation, not locked, and the seconds its lease has left, if the claim ``fence`` still holds it."""
    left = func.extract("epoch", Operation.lease_until - _clock)
    row = (await session.execute(_held(operation_id, fence).add_columns(left))).one_or_none()
    return None if row is None else (row[0], float(row[1]))


def _held(operation_id: str, fence: int) -> Select[Operation]:
    return select(Operation).where(Operation.id == operation_id, Operation.fence == fence, Operation.lease_owner.is_not(None))


async def renew(session: AsyncSession, operation: Operation, lease: timedelta) -> bool:
    """Renew the lease; returns whether the claim still held it."""
    return await _write(session, operation, {"lease_until": _clock + lease})


async def report(session: AsyncSession, operation: Operation, progress: dict[str, Any], wait_reason: str) -> bool:
    """Store what a worker reports under a new revision; returns whether the claim still held the lease."""
    values = {"progress": progress, "wait_reason": wait_reason, "revision": Operation.revision + 1}
    is_held = await _write(session, operation, values)
    await ring(session, CHANGED, operation.id)
    return is_held


async def _write(session: AsyncSession, operation: Operation, values: dict[str, Any]) -> bool:
    """Update without a lock beforehand: the row is written only while the claim that was read holds it."""
    holds = (Operation.id == operation.id, Operation.fence == operation.fence, Operation.lease_owner.is_not(None))
    written = await session.scalars(update(Operation).where(*holds).values(values).returning(Operation.id))
    return written.one_or_none() is not None


async def release(
    session: AsyncSession, operation: Operation, progress: dict[str, Any] | None, fault: dict[str, Any] | None, limits: Limits
) -> None:
    """Give a locked operation back to the queue. With a fault it is an attempt, and the operation waits a little."""
    if progress is not None:
        operation.progress = merged(operation.progress, progress)
    await _unlease(session, operation)
    if fault is not None:
        operation.fault = fault
        await _count_attempt(session, operation, limits)
        failures = max(operation.attempt, operation.settles, 1)
        seconds = min(2.0 ** (failures - 1), _LONGEST_BACKOFF_SECONDS)
        operation.not_before = await session.scalar(select(_clock + timedelta(seconds=seconds)))
    await requeued(session, operation)


async def finish(
    session: AsyncSession, operation: Operation, state: State, progress: dict[str, Any] | None, error: dict[str, Any] | None
) -> None:
    """End a locked operation, or pause it; one that was cancelled while it paused is left to be settled."""
    if progress is not None:
        operation.progress = merged(operation.progress, progress)
    await _unlease(session, operation)
    if state is not State.PAUSED:
        await _end(session, operation, state, error)
    elif operation.desired != Desired.CANCEL:
        operation.state = state
    await requeued(session, operation)


async def _end(session: AsyncSession, operation: Operation, state: State, error: dict[str, Any] | None) -> None:
    operation.state = state
    operation.error = (error or operation.error) if state is State.FAILED else None
    operation.finish_time = await session.scalar(select(_clock))
    if state is State.SUCCEEDED:
        operation.progress = finished(operation.progress)


async def sweep(session: AsyncSession, limits: Limits) -> Sequence[Operation]:
    """Take back operations whose lease ran out: queued again, or to be settled once their attempts are used up."""
    statement = (
        select(Operation)
        .where(Operation.lease_owner.is_not(None), Operation.lease_until < _clock)
        .order_by(Operation.user_id, Operation.slot)
    )
    expired = (await session.scalars(statement.limit(_SWEPT).with_for_update(skip_locked=True))).all()
    for operation in expired:
        await _unlease(session, operation)
        await _count_attempt(session, operation, limits)
        await requeued(session, operation)
    return expired


async def _count_attempt(session: AsyncSession, operation: Operation, limits: Limits) -> None:
    """Count a claim that ended without an end of the operation, and draw the consequence of too many."""
    if operation.settle_state is not None:
        operation.settles += 1
        if operation.settles > limits.settles:
            await _end(session, operation, State.FAILED, limits.unsettled(operation))
            if operation.collection_id is not None:
                payload = {"operation_id": operation.id, "collection_id": operation.collection_id, "fence": operation.fence}
                await put(session, Outbox, operation.id, COLLECTION_FAILED, json.dumps(payload).encode())
        return
    has_progressed = committed(operation.progress) > operation.claim_documents
    operation.attempt = 0 if has_progressed else operation.attempt + 1
    if operation.attempt >= limits.attempts:
        operation.settle_state = State.FAILED
        operation.error = limits.exhausted(operation)


async def _unlease(session: AsyncSession, operation: Operation) -> None:
    operation.lease_owner = operation.lease_until = None
    operation.progress = at_rest(operation.progress)
    operation.wait_reason, operation.waits_for_operation_id, operation.operations_ahead = "", None, 0
    operation.queue_time = (await session.execute(select(_clock))).scalar_one()
    if operation.state == State.RUNNING:
        operation.state = State.QUEUED
    await _note_turn(session, operation)


async def _note_turn(session: AsyncSession, operation: Operation) -> None:
    values = {"queue": operation.queue, "slot": operation.slot, "user_id": operation.user_id, "time": _clock}
    statement = insert(Turn).values(values)
    key = [Turn.queue, Turn.slot, Turn.user_id]
    await session.execute(statement.on_conflict_do_update(index_elements=key, set_={"time": statement.excluded.time}))


async def give_up_slots(session: AsyncSession, ids: Sequence[str]) -> None:
    """Ask the workers that have these operations to release them; a short one loses its right to a short slot."""
    values = {"desired": Desired.YIELD, "is_short": and_(Operation.is_short, Operation.slot != Slot.SHORT)}
    await session.execute(update(Operation).where(Operation.id.in_(ids), Operation.desired == Desired.RUN).values(values))
