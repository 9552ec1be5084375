"""Every query on operations. A change rings the bell (NOTIFY) in its own transaction."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Select, and_, exists, func, or_, select, tuple_, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from services.operation.tables import ACTIVE, TERMINAL, Desired, Kind, Operation, State, fences

CHANNEL = "semantik_operation"
_clock = func.clock_timestamp()
_CLAIM_TRIES = 3


async def get(session: AsyncSession, operation_id: str) -> Operation | None:
    return await session.get(Operation, operation_id)


async def start(session: AsyncSession, values: dict[str, Any]) -> tuple[Operation, bool]:
    """Insert the operation unless its id is there already; tells whether it is new. A DELETE cancels its neighbours."""
    inserted = await session.execute(insert(Operation).values(**values).on_conflict_do_nothing().returning(Operation.id))
    is_new = inserted.scalar_one_or_none() is not None
    operation: Operation = await session.get_one(Operation, values["id"])
    if is_new:
        if operation.kind == Kind.DELETE:
            others = select(Operation).where(Operation.collection_id == operation.collection_id, Operation.id != operation.id)
            others = others.where(Operation.state.not_in(TERMINAL)).with_for_update()
            for other in (await session.scalars(others)).all():
                await cancel(session, other)
        await _ring(session, operation.id)
    return operation, is_new


async def queued_like(session: AsyncSession, values: dict[str, Any]) -> Operation | None:
    """Find a queued operation that does the same; locked, so that no worker takes it before this transaction ends."""
    same = [getattr(Operation, name) == values[name] for name in ("user_id", "collection_id", "kind", "queue", "request_hash")]
    statement = select(Operation).where(*same, Operation.state == State.QUEUED).limit(1)
    return (await session.scalars(statement.with_for_update(skip_locked=True))).one_or_none()


async def claim(session: AsyncSession, queue: str, worker_id: str, lease: timedelta) -> Operation | None:
    """Give the next operation of ``queue`` to a worker, None where there is none that may run.

    Chosen by priority, then the user with the least running, then age. A collection has one at a time, and in its own
    order: priority, then age. What follows in it is never taken, not even while another worker's claim locks the one before.
    """
    for _ in range(_CLAIM_TRIES):
        operation = (await session.scalars(_next(queue))).one_or_none()
        if operation is None:
            return None
        try:
            async with session.begin_nested():
                if operation.state == State.QUEUED:
                    operation.state = State.RUNNING
                operation.fence = await session.scalar(select(fences.next_value())) or 0
                operation.lease_owner = worker_id
                operation.claim_documents = int(operation.progress.get("documents_done", 0))
                operation.wait_reason = ""
                operation.revision += 1
                await session.flush()
        except IntegrityError:
            # Another worker took the same collection's other operation a moment ago.
            await session.refresh(operation)
            continue
        await _stamp(session, operation, lease)
        await _ring(session, operation.id)
        return operation
    return None


def _next(queue: str) -> Select[Operation]:
    other = aliased(Operation)
    busy = exists().where(other.collection_id == Operation.collection_id, other.id != Operation.id, other.state.in_(ACTIVE))
    ahead = aliased(Operation)
    preceded = exists().where(
        ahead.collection_id == Operation.collection_id,
        ahead.queue == queue,
        ahead.state == State.QUEUED,
        tuple_(-ahead.priority, ahead.create_time, ahead.id) < tuple_(-Operation.priority, Operation.create_time, Operation.id),
    )
    mine = aliased(Operation)
    running = select(func.count()).where(mine.user_id == Operation.user_id, mine.state == State.RUNNING).scalar_subquery()
    ready = or_(
        and_(Operation.state == State.QUEUED, ~busy, ~preceded),
        and_(Operation.state == State.CANCELLING, Operation.lease_owner.is_(None)),
    )
    order = (Operation.priority.desc(), running, Operation.create_time, Operation.id)
    return select(Operation).where(Operation.queue == queue, ready).order_by(*order).limit(1).with_for_update(skip_locked=True)


async def _stamp(session: AsyncSession, operation: Operation, lease: timedelta) -> None:
    values = {"lease_until": _clock + lease, "start_time": func.coalesce(Operation.start_time, _clock)}
    await session.execute(update(Operation).where(Operation.id == operation.id).values(**values))
    await session.refresh(operation)


async def held(session: AsyncSession, operation_id: str, fence: int) -> Operation | None:
    """Return the operation, locked, if the claim ``fence`` still holds it."""
    statement = select(Operation).where(
        Operation.id == operation_id,
        Operation.fence == fence,
        Operation.lease_owner.is_not(None),
        Operation.state.in_((State.RUNNING, State.CANCELLING)),
    )
    return (await session.scalars(statement.with_for_update())).one_or_none()


async def report(session: AsyncSession, operation: Operation, progress: dict[str, Any] | None, wait_reason: str, lease: timedelta) -> None:
    """Renew the lease; store progress and ring only where something changed."""
    changed = wait_reason != operation.wait_reason or (progress is not None and progress != operation.progress)
    values: dict[str, Any] = {"lease_until": _clock + lease}
    if changed:
        values |= {"wait_reason": wait_reason, "revision": Operation.revision + 1}
        if progress is not None:
            values["progress"] = progress
    await session.execute(update(Operation).where(Operation.id == operation.id).values(**values))
    if changed:
        await _ring(session, operation.id)


async def release(session: AsyncSession, operation: Operation, progress: dict[str, Any] | None) -> None:
    """Give the operation back to the queue; it does not count as an attempt."""
    if progress is not None:
        operation.progress = progress
    _unlease(operation)
    await _changed(session, operation)


async def finish(
    session: AsyncSession, operation: Operation, state: State, progress: dict[str, Any] | None, error: dict[str, Any] | None
) -> None:
    if progress is not None:
        operation.progress = progress
    operation.error = error or operation.error
    operation.state = state
    operation.lease_owner = operation.lease_until = None
    operation.wait_reason = ""
    if operation.is_terminal:
        operation.finish_time = await session.scalar(select(_clock))
    await _changed(session, operation)


async def cancel(session: AsyncSession, operation: Operation) -> None:
    """Cancel: at once what no worker ever had, by a directive or a last claim otherwise."""
    if operation.is_terminal or operation.state == State.CANCELLING:
        return
    operation.desired = Desired.CANCEL
    operation.settle_state = State.CANCELLED
    if operation.start_time is None:
        operation.state = State.CANCELLED
        operation.finish_time = await session.scalar(select(_clock))
    elif operation.state == State.QUEUED and await _collection_busy(session, operation):
        # It waits its turn to tidy up; the neighbour holds the collection.
        operation.wait_reason = "cancelled; waits for the collection"
    else:
        operation.state = State.CANCELLING
    await _changed(session, operation)


async def _collection_busy(session: AsyncSession, operation: Operation) -> bool:
    others = exists().where(Operation.collection_id == operation.collection_id, Operation.id != operation.id, Operation.state.in_(ACTIVE))
    return bool(await session.scalar(select(others)))


async def sweep(session: AsyncSession, max_attempts: int, exhausted: dict[str, Any]) -> list[Operation]:
    """Take back operations whose lease ran out: queued again, or to be settled once their attempts are used up."""
    statement = select(Operation).where(Operation.lease_owner.is_not(None), Operation.lease_until < _clock)
    expired = list((await session.scalars(statement.with_for_update(skip_locked=True))).all())
    for operation in expired:
        if int(operation.progress.get("documents_done", 0)) <= operation.claim_documents:
            operation.attempt += 1
        if operation.attempt >= max_attempts and operation.settle_state is None:
            operation.settle_state = State.FAILED
            operation.error = exhausted
        _unlease(operation)
        await _changed(session, operation)
    return expired


def _unlease(operation: Operation) -> None:
    operation.lease_owner = operation.lease_until = None
    if operation.state == State.RUNNING:
        operation.state = State.QUEUED


async def listed(
    session: AsyncSession,
    *,
    collection_id: str | None,
    user_id: str | None,
    states: Sequence[str],
    limit: int,
    before: tuple[datetime, str] | None,
) -> list[Operation]:
    """List operations of a collection the caller was authorised for, or of a user; newest first."""
    statement = select(Operation).where(
        Operation.collection_id == collection_id if collection_id is not None else Operation.user_id == user_id
    )
    if states:
        statement = statement.where(Operation.state.in_(states))
    if before is not None:
        statement = statement.where(tuple_(Operation.create_time, Operation.id) < before)
    statement = statement.order_by(Operation.create_time.desc(), Operation.id.desc()).limit(limit)
    return list((await session.scalars(statement)).all())


async def _changed(session: AsyncSession, operation: Operation) -> None:
    operation.revision += 1
    await session.flush()
    await session.refresh(operation)
    await _ring(session, operation.id)


async def _ring(session: AsyncSession, operation_id: str) -> None:
    await session.execute(select(func.pg_notify(CHANNEL, operation_id)))
