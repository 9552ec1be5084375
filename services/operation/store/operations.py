"""Operations as people see and steer them."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import any_, func, select, tuple_
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from libs.db.arrays import texts
from services.operation.store.notify import CHANGED, QUEUED, requeued, ring
from services.operation.tables import SHORT_KINDS, TERMINAL, Desired, Kind, Operation, State

_clock = func.clock_timestamp()


async def get(session: AsyncSession, operation_id: str) -> Operation | None:
    return await session.get(Operation, operation_id)


async def locked(session: AsyncSession, operation_id: str) -> Operation:
    """Return an operation that exists, locked until the end of the transaction."""
    operation: Operation = await session.get_one(Operation, operation_id, with_for_update=True, populate_existing=True)
    return operation


async def of_ids(session: AsyncSession, ids: Collection[str]) -> Sequence[Operation]:
    """Return those of some operations that exist."""
    return (await session.scalars(select(Operation).where(Operation.id == any_(texts(ids))))).all()


async def start(session: AsyncSession, values: dict[str, Any]) -> tuple[Operation, bool]:
    """Insert the operation unless its id is there, and return it with whether it is new.

    A DELETE cancels the other operations of its collection in the same transaction.
    """
    row = {**values, "is_short": values["kind"] in SHORT_KINDS}
    inserted = await session.execute(insert(Operation).values(**row).on_conflict_do_nothing().returning(Operation.id))
    is_new = inserted.scalar_one_or_none() is not None
    operation: Operation = await session.get_one(Operation, values["id"])
    if is_new:
        if operation.kind == Kind.DELETE:
            others = select(Operation).where(Operation.collection_id == operation.collection_id, Operation.id != operation.id)
            others = others.where(Operation.state.not_in(TERMINAL)).order_by(Operation.id).with_for_update()
            for other in (await session.scalars(others)).all():
                await cancel(session, other)
        await ring(session, CHANGED, operation.id)
        await ring(session, QUEUED, operation.queue)
    return operation, is_new


async def queued_like(session: AsyncSession, values: dict[str, Any]) -> Operation | None:
    """Return a queued operation that does the same; locked, so that no worker takes it before this transaction ends."""
    same = [getattr(Operation, name) == values[name] for name in ("user_id", "collection_id", "kind", "queue", "request_hash")]
    statement = select(Operation).where(*same, Operation.state == State.QUEUED, Operation.settle_state.is_(None)).limit(1)
    return (await session.scalars(statement.with_for_update(skip_locked=True))).one_or_none()


async def cancel(session: AsyncSession, operation: Operation) -> None:
    """Cancel a locked operation: at once if no worker ever had it, otherwise by a directive or by a claim that settles.

    One that has ended, is cancelled already, or only waits to be settled stays as it is.
    """
    if operation.is_terminal or operation.settle_state is not None:
        return
    operation.desired = Desired.CANCEL
    operation.settle_state = State.CANCELLED
    operation.not_before = None
    if operation.start_time is None:
        operation.state = State.CANCELLED
        operation.wait_reason, operation.waits_for_operation_id, operation.operations_ahead = "", None, 0
        operation.finish_time = await session.scalar(select(_clock))
    else:
        operation.state = State.CANCELLING
    await requeued(session, operation)


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
