"""What waits in a queue, and who is next."""

from collections.abc import Sequence
from datetime import timedelta

from sqlalchemy import ColumnElement, Interval, Select, Text, and_, bindparam, exists, func, or_, select
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from services.operation.fairness import Held, Waiting
from services.operation.tables import SHORT_KINDS, WAITING, Operation, Slot, State, Turn

_clock = func.clock_timestamp()
_QUEUE = bindparam("of_queue", type_=Text)
_AT_LEAST = bindparam("at_least", type_=Interval)
_is_waiting = and_(Operation.lease_owner.is_(None), Operation.state.in_(WAITING))
_is_short = or_(Operation.is_short, Operation.settle_state.is_not(None))
_is_due = or_(Operation.not_before.is_(None), Operation.not_before <= _clock)
_has_waited = Operation.queue_time <= _clock - _AT_LEAST


def _first() -> ColumnElement[bool]:
    """Whether it is the first in its collection: what is to be settled, then by priority, then by age.

    What follows is never taken, not even while another claim has locked the one before.
    """
    row = aliased(Operation)
    key = func.coalesce(row.collection_id, row.id)
    first = (
        select(row.id)
        .where(row.queue == _QUEUE, row.lease_owner.is_(None), row.state.in_(WAITING))
        .ext(distinct_on(key))
        .order_by(key, row.settle_state.is_(None), row.priority.desc(), row.create_time, row.id)
    )
    return Operation.id.in_(first)


def _busy() -> ColumnElement[bool]:
    """Whether a worker or a pause holds its collection."""
    other = aliased(Operation)
    holds = or_(other.lease_owner.is_not(None), other.state == State.PAUSED)
    return exists().where(other.collection_id == Operation.collection_id, other.id != Operation.id, holds)


_is_first, _is_busy = _first(), _busy()


def _next(slot: Slot) -> Select[Operation]:
    running = (
        select(Operation.user_id, func.count().label("claims"))
        .where(Operation.queue == _QUEUE, Operation.slot == slot, Operation.lease_owner.is_not(None))
        .group_by(Operation.user_id)
        .subquery()
    )
    waits_since = func.greatest(Operation.create_time, Turn.time)
    order = [Operation.priority.desc(), func.coalesce(running.c.claims, 0), waits_since, Operation.create_time, Operation.id]
    statement = (
        select(Operation)
        .outerjoin(running, running.c.user_id == Operation.user_id)
        .outerjoin(Turn, and_(Turn.queue == _QUEUE, Turn.slot == slot, Turn.user_id == Operation.user_id))
        .where(_is_waiting, _is_due, _is_first, ~_is_busy)
    )
    if slot is Slot.SHORT:
        statement = statement.where(or_(_is_short, Operation.kind.in_(SHORT_KINDS)))
        order.insert(0, _is_short.desc())
    return statement.order_by(*order).limit(1).with_for_update(of=Operation, skip_locked=True)


# Built once: building one costs more than running it.
_NEXT = {slot: _next(slot) for slot in Slot}
_WAITING = (
    select(Operation.user_id, _is_short, func.max(Operation.priority), func.count())
    .where(_is_waiting, _is_due, _has_waited, _is_first, ~_is_busy)
    .group_by(Operation.user_id, _is_short)
)


async def next_of(session: AsyncSession, queue: str, slot: Slot) -> Operation | None:
    """Return the operation that a slot gets next, locked; what other claims have locked is skipped.

    By priority; then the user with the fewest claims in slots of this kind; then who waits the longest: an operation waits
    since it was asked for or since its user last had a slot of this kind, whichever is later, so that users take turns; then age.
    A short slot takes short work, and what has used up its time there only when no short work waits.
    Assumes READ COMMITTED: what another claim took since the statement began is checked again when it is locked.
    """
    return (await session.scalars(_NEXT[slot], {"of_queue": queue})).one_or_none()


async def running(session: AsyncSession) -> list[Held]:
    """Return what workers have, in every queue."""
    seconds = func.extract("epoch", _clock - Operation.claim_time)
    columns = (Operation.id, Operation.queue, Operation.slot, Operation.user_id, Operation.priority, seconds)
    statement = select(*columns, Operation.desired, Operation.is_settling).where(Operation.lease_owner.is_not(None))
    return [Held(*row[:5], float(row[5]), *row[6:]) for row in (await session.execute(statement)).all()]


async def waiting(session: AsyncSession, queue: str, at_least: timedelta) -> list[Waiting]:
    """Return by user what could be claimed at once and has waited for some time: no idle slot is there to take it."""
    return [Waiting(*row) for row in (await session.execute(_WAITING, {"of_queue": queue, "at_least": at_least})).all()]


async def depths(session: AsyncSession) -> list[tuple[str, str, int, float]]:
    """Return kind, slot, number and the oldest's age in seconds of what waits."""
    age = func.extract("epoch", _clock - func.min(Operation.queue_time))
    statement = select(Operation.kind, _is_short, func.count(), age).where(_is_waiting).group_by(Operation.kind, _is_short)
    rows = (await session.execute(statement)).all()
    return [(kind, Slot.SHORT if is_short else Slot.LONG, count, float(seconds)) for kind, is_short, count, seconds in rows]


async def queues(session: AsyncSession) -> Sequence[str]:
    """Return the queues in which something waits."""
    return (await session.scalars(select(Operation.queue).where(_is_waiting).distinct())).all()
