"""Queries on the work that was asked for, and on the audit log."""

import enum

from sqlalchemy import delete, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from services.collection.tables import AuditEntry, Start


class Recognised(enum.Enum):
    NEW = enum.auto()
    REPEAT = enum.auto()
    REUSED = enum.auto()


async def recognise(session: AsyncSession, start: Start) -> tuple[Recognised, str]:
    """Record the request, or recognise it; returns also the resource of the first call."""
    values = {name: getattr(start, name) for name in ("id", "body_hash", "resource_id", "request")}
    inserted = await session.execute(insert(Start).values(**values).on_conflict_do_nothing().returning(Start.id))
    if inserted.scalar_one_or_none() is not None:
        return Recognised.NEW, start.resource_id
    first = await session.get_one(Start, start.id, populate_existing=True)
    return (Recognised.REPEAT if first.body_hash == start.body_hash else Recognised.REUSED), first.resource_id


async def acknowledge(session: AsyncSession, start_id: str) -> None:
    await session.execute(update(Start).where(Start.id == start_id).values(acknowledge_time=func.clock_timestamp()))


async def unacknowledged(session: AsyncSession, older_than_seconds: float, limit: int = 100) -> list[Start]:
    """List requests that operation has not taken for some seconds, oldest first."""
    old = Start.create_time < func.clock_timestamp() - func.make_interval(0, 0, 0, 0, 0, 0, older_than_seconds)
    statement = select(Start).where(Start.acknowledge_time.is_(None), old).order_by(Start.create_time).limit(limit)
    return list((await session.scalars(statement)).all())


async def prune(session: AsyncSession, days: int) -> None:
    """Forget requests acknowledged long ago."""
    await session.execute(delete(Start).where(Start.acknowledge_time < func.clock_timestamp() - func.make_interval(0, 0, 0, days)))


async def audit(session: AsyncSession, entry: AuditEntry) -> None:
    session.add(entry)
    await session.flush()
