"""Queries on objects without an owner: the list of what is deleted from object storage, and when."""

from collections.abc import Sequence

from sqlalchemy import any_, delete, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from libs.db.arrays import texts
from services.collection.tables import ObjectDeletion

_clock = func.clock_timestamp()


class LostError(Exception):
    """The object is about to be deleted, or is deleted already: it cannot get an owner any more."""


def _after(seconds: float) -> object:
    return _clock + func.make_interval(0, 0, 0, 0, 0, 0, seconds)


async def announce(session: AsyncSession, key: str, seconds: float) -> None:
    """Note, before an object is written, that it is to be deleted after ``seconds`` unless it has an owner by then."""
    await session.execute(insert(ObjectDeletion).values(key=key, delete_time=_after(seconds)))


async def own(session: AsyncSession, key: str, least_seconds: float = 600.0) -> None:
    """Keep an announced object, in the transaction that gives it its owner.

    Raises LostError if less than ``least_seconds`` are left: the transaction must be over before anybody deletes it.
    """
    here = (ObjectDeletion.key == key, ObjectDeletion.delete_time > _after(least_seconds))
    kept = await session.scalars(delete(ObjectDeletion).where(*here).returning(ObjectDeletion.key))
    if kept.one_or_none() is None:
        raise LostError(key)


async def expire(session: AsyncSession, key: str, seconds: float) -> None:
    """Let an announced object be deleted after ``seconds``; one that is owned stays."""
    await session.execute(update(ObjectDeletion).where(ObjectDeletion.key == key).values(delete_time=_after(seconds)))


async def abandon(session: AsyncSession, keys: Sequence[str]) -> None:
    """Let objects be deleted, in the transaction that takes their owner away. They never get an owner again."""
    if keys:
        rows = [{"key": key, "delete_time": _clock} for key in keys]
        await session.execute(insert(ObjectDeletion).values(rows).on_conflict_do_nothing())


async def due(session: AsyncSession, limit: int) -> Sequence[str]:
    """List objects whose time has come, the longest due first."""
    statement = select(ObjectDeletion.key).where(ObjectDeletion.delete_time <= _clock)
    return (await session.scalars(statement.order_by(ObjectDeletion.delete_time).limit(limit))).all()


async def forget(session: AsyncSession, keys: Sequence[str]) -> None:
    """Note that objects are deleted."""
    await session.execute(delete(ObjectDeletion).where(ObjectDeletion.key == any_(texts(keys))))
