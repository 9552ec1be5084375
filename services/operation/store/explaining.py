"""Writes on what waits why it does, behind which operation and behind how many."""

from collections.abc import Collection
from datetime import timedelta

from sqlalchemy import CTE, Integer, Interval, Select, Text, and_, bindparam, case, func, literal, or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from libs.db.arrays import texts
from services.operation.store.notify import CHANGED
from services.operation.tables import WAITING, Operation, Queue, Slot, State, Turn

_clock = func.clock_timestamp()
_QUEUE = bindparam("of_queue", type_=Text)
_AT_LEAST = bindparam("at_least", type_=Interval)
_ALIVE = bindparam("alive", type_=Interval)
# At most so many rows are written in one round.
_EXPLAINED = 500
# Above this a position is rounded, so that a long queue is not written anew whenever one of it is taken.
_EXACT = 10
_NO_WORKER = "waits for a worker: none is running"
_FAULT = "waits after a fault"
_PAUSED = "waits for a paused operation of its collection"
_COLLECTION = "waits for another operation of its collection"
_SLOT = "waits for a free slot"


def _waiting() -> CTE:
    """What waits, in the order of its collection, with what holds the collection."""
    holder = aliased(Operation)
    holds = or_(holder.lease_owner.is_not(None), holder.state == State.PAUSED)
    key = func.coalesce(Operation.collection_id, Operation.id)
    order = (Operation.settle_state.is_(None), Operation.priority.desc(), Operation.create_time, Operation.id)
    slot = case((or_(Operation.is_short, Operation.settle_state.is_not(None)), Slot.SHORT.value), else_=Slot.LONG.value)
    return (
        select(
            Operation.id,
            Operation.user_id,
            Operation.priority,
            Operation.create_time,
            slot.label("slot"),
            func.coalesce(Operation.not_before <= _clock, literal(value=True)).label("is_due"),
            (func.row_number().over(partition_by=key, order_by=order) - 1).label("ahead"),
            func.first_value(Operation.id).over(partition_by=key, order_by=order).label("first_id"),
            holder.id.label("holder_id"),
            holder.state.label("holder_state"),
        )
        .outerjoin(holder, and_(holder.collection_id == Operation.collection_id, holder.id != Operation.id, holds))
        .where(Operation.queue == _QUEUE, Operation.lease_owner.is_(None), Operation.state.in_(WAITING))
        .cte("waiting")
    )


def _ready(waiting: CTE) -> CTE:
    """What only waits for a slot, numbered in about the order in which slots take it."""
    running = (
        select(Operation.user_id, Operation.slot, func.count().label("claims"))
        .where(Operation.queue == _QUEUE, Operation.lease_owner.is_not(None))
        .group_by(Operation.user_id, Operation.slot)
        .subquery()
    )
    waits_since = func.greatest(waiting.c.create_time, Turn.time)
    order = (waiting.c.priority.desc(), func.coalesce(running.c.claims, 0), waits_since, waiting.c.create_time, waiting.c.id)
    return (
        select(waiting.c.id, (func.row_number().over(partition_by=waiting.c.slot, order_by=order) - 1).label("ahead"))
        .outerjoin(running, and_(running.c.user_id == waiting.c.user_id, running.c.slot == waiting.c.slot))
        .outerjoin(Turn, and_(Turn.queue == _QUEUE, Turn.slot == waiting.c.slot, Turn.user_id == waiting.c.user_id))
        .where(waiting.c.is_due, waiting.c.ahead == 0, waiting.c.holder_id.is_(None))
        .cte("ready")
    )


def _stale() -> Select[tuple[str, str, str | None, int]]:
    """What waits for something else than is written on it."""
    waiting = _waiting()
    ready = _ready(waiting)
    leased = select(Operation.id).where(Operation.queue == _QUEUE, Operation.lease_owner.is_not(None)).exists()
    asked = select(Queue.name).where(Queue.name == _QUEUE, Queue.ask_time > _clock - _ALIVE).exists()
    is_blocked = or_(waiting.c.holder_id.is_not(None), waiting.c.ahead > 0)
    reason = case(
        (~waiting.c.is_due, _FAULT),
        (~or_(leased, asked), _NO_WORKER),
        (waiting.c.holder_state == State.PAUSED, _PAUSED),
        (is_blocked, _COLLECTION),
        else_=_SLOT,
    )
    waits_for = case((is_blocked, func.coalesce(waiting.c.holder_id, waiting.c.first_id)))
    ahead = case(
        (is_blocked, waiting.c.ahead + case((waiting.c.holder_id.is_not(None), 1), else_=0)), else_=func.coalesce(ready.c.ahead, 0)
    )
    rounding = case((ahead <= _EXACT, 1), (ahead < 100, 10), else_=100)
    rounded = func.cast(ahead - ahead % rounding, Integer)
    written = (Operation.wait_reason, Operation.waits_for_operation_id, Operation.operations_ahead)
    known = (reason, waits_for, rounded)
    differs = or_(*(was.is_distinct_from(now) for was, now in zip(written, known, strict=True)))
    return (
        select(Operation.id, reason.label("reason"), waits_for.label("waits_for"), rounded.label("ahead"))
        .join(waiting, waiting.c.id == Operation.id)
        .outerjoin(ready, ready.c.id == Operation.id)
        .where(Operation.queue_time <= _clock - _AT_LEAST, differs)
        .limit(_EXPLAINED)
        .with_for_update(of=Operation, skip_locked=True)
    )


_STALE = _stale().cte("stale")
_EXPLAIN = (
    update(Operation)
    .where(Operation.id == _STALE.c.id)
    .values(
        wait_reason=_STALE.c.reason,
        waits_for_operation_id=_STALE.c.waits_for,
        operations_ahead=_STALE.c.ahead,
        revision=Operation.revision + 1,
    )
    .returning(Operation.id)
)


async def note_asked(session: AsyncSession, queues: Collection[str]) -> None:
    """Note that workers ask for work of these queues."""
    if queues:
        statement = insert(Queue).values([{"name": queue, "ask_time": _clock} for queue in sorted(queues)])
        await session.execute(statement.on_conflict_do_update(index_elements=[Queue.name], set_={"ask_time": _clock}))


async def explain(session: AsyncSession, queue: str, at_least: timedelta, alive: timedelta) -> None:
    """Write on operations that have waited for ``at_least`` what they wait for, where that has changed.

    No worker is running where none has a lease and none has asked for ``alive``.
    """
    changed = (await session.scalars(_EXPLAIN, {"of_queue": queue, "at_least": at_least, "alive": alive})).all()
    if changed:
        await session.execute(select(func.pg_notify(CHANGED, func.unnest(texts(changed)))))
