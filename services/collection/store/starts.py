"""Queries on work that was asked for: what tells a repeated request from a new one."""

import enum

from sqlalchemy import delete, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from services.collection.tables import Outbox, StartRequest


class Claimed(enum.Enum):
    """What the claim of a request id has shown."""

    NEW = enum.auto()
    REPEAT = enum.auto()
    REUSED = enum.auto()  # another body had this id before


async def claim_request_id(session: AsyncSession, request: StartRequest) -> tuple[Claimed, str]:
    """Record a request unless its id is there; return what it is, and the resource of the first call."""
    values = {name: getattr(request, name) for name in ("id", "body_hash", "resource_id")}
    inserted = await session.execute(insert(StartRequest).values(**values).on_conflict_do_nothing().returning(StartRequest.id))
    if inserted.scalar_one_or_none() is not None:
        return Claimed.NEW, request.resource_id
    first = await session.get_one(StartRequest, request.id, populate_existing=True)
    return (Claimed.REPEAT if first.body_hash == request.body_hash else Claimed.REUSED), first.resource_id


async def forget(session: AsyncSession, request_id: str) -> None:
    await session.execute(delete(StartRequest).where(StartRequest.id == request_id))


async def pending(session: AsyncSession, operation_id: str) -> bytes | None:
    """Return the start that operation has not acknowledged yet; None for one that it has, refused or never got."""
    return await session.scalar(select(Outbox.payload).where(Outbox.id == operation_id, Outbox.dead_time.is_(None)))
