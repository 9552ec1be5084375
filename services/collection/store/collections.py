"""Queries on collections and their generations."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import ARRAY, BigInteger, DateTime, Select, Text, any_, bindparam, func, select, tuple_, union, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

from libs.db.arrays import texts
from libs.db.tables import AnyRow
from services.collection.store.roles import REACHABLE, ROLE, Subject
from services.collection.tables import AuditEntry, Collection, CollectionState, Generation, GenerationState

_CURRENT = (Generation.collection_id == Collection.id) & (Generation.generation == Collection.generation)
# A collection as callers see it: with its active generation and their role. Columns, not objects: it is read all the time.
_COLUMNS = (
    Collection.id,
    Collection.name,
    Collection.description,
    Collection.owner_id,
    Collection.is_public,
    Collection.state,
    Collection.state_reason,
    Generation.generation,
    Collection.document_count,
    Collection.chunk_count,
    Collection.size_bytes,
    Collection.language,
    Collection.create_time,
    Collection.update_time,
    Generation.qdrant_name,
    Generation.model,
    Generation.digest,
    Generation.precision,
    Generation.chunk_size,
    Generation.chunk_overlap,
    Generation.language.label("index_language"),
    ROLE.label("role"),
)
_VIEW = select(*_COLUMNS).join(Generation, _CURRENT)
_BY_ID = _VIEW.where(Collection.id == bindparam("collection_id"))
_BY_IDS = _VIEW.where(Collection.id == any_(bindparam("collection_ids", type_=ARRAY(Text))))
_OTHERS = select(*_COLUMNS).join(
    Generation, (Generation.collection_id == Collection.id) & (Generation.generation == bindparam("generation", type_=BigInteger))
)
_OTHERS_BY_IDS = _OTHERS.where(Collection.id == any_(bindparam("collection_ids", type_=ARRAY(Text))))
_LAST_CHANGED = (
    _VIEW.where(REACHABLE, ROLE.is_not(None))
    .order_by(Collection.update_time.desc(), Collection.id.desc())
    .limit(bindparam("limit", type_=BigInteger))
)


async def with_role(session: AsyncSession | AsyncConnection, subject: Subject, collection_id: str) -> AnyRow | None:
    """Return a collection with the subject's role on it, None where there is no such collection."""
    return (await session.execute(_BY_ID, {**subject, "collection_id": collection_id})).one_or_none()


async def many_with_roles(session: AsyncSession | AsyncConnection, subject: Subject, collection_ids: Sequence[str]) -> dict[str, AnyRow]:
    """Return those of the collections that exist, by id, each with the subject's role on it."""
    rows = await session.execute(_BY_IDS, {**subject, "collection_ids": list(collection_ids)})
    return {row.id: row for row in rows}


async def of_generation(
    session: AsyncSession | AsyncConnection, subject: Subject, collection_ids: Sequence[str], generation: int
) -> dict[str, AnyRow]:
    """Return as ``many_with_roles`` does those of the collections that have this generation, with it in place of the active one."""
    given = {**subject, "collection_ids": list(collection_ids), "generation": generation}
    return {row.id: row for row in await session.execute(_OTHERS_BY_IDS, given)}


@cache
def _list(*, is_named: bool, owned_only: bool, is_continued: bool) -> Select[*tuple[Any, ...]]:
    statement = _VIEW.where(REACHABLE, ROLE.is_not(None))
    if is_named:
        statement = statement.where(Collection.name == bindparam("name", type_=Text))
    if owned_only:
        statement = statement.where(Collection.owner_id == bindparam("principal_user", type_=Text))
    if is_continued:
        before = tuple_(bindparam("before_time", type_=DateTime(timezone=True)), bindparam("before_id", type_=Text))
        statement = statement.where(tuple_(Collection.create_time, Collection.id) < before)
    return statement.order_by(Collection.create_time.desc(), Collection.id.desc()).limit(bindparam("limit", type_=BigInteger))


async def list_readable(
    session: AsyncSession, subject: Subject, *, name: str, owned_only: bool, limit: int, before: tuple[datetime, str] | None
) -> Sequence[AnyRow]:
    """List the collections on which the subject has a role, newest first."""
    statement = _list(is_named=bool(name), owned_only=owned_only, is_continued=before is not None)
    before_time, before_id = before or (None, None)
    given = {"name": name, "before_time": before_time, "before_id": before_id, "limit": limit}
    return (await session.execute(statement, {**subject, **given})).all()


async def last_changed(session: AsyncSession | AsyncConnection, subject: Subject, limit: int) -> Sequence[AnyRow]:
    """List the collections on which the subject has a role, those that changed last first."""
    return (await session.execute(_LAST_CHANGED, {**subject, "limit": limit})).all()


async def lock(session: AsyncSession, collection_id: str) -> None:
    """Lock a collection before its documents change, as every transaction does that changes any of them."""
    held = select(Collection.id).where(Collection.id == collection_id).with_for_update(key_share=True)
    await session.execute(held)


async def add(session: AsyncSession, collection: Collection, generation: Generation) -> bool:
    """Insert a collection with its first generation; False if its owner has one of this name."""
    try:
        async with session.begin_nested():
            session.add(collection)
            await session.flush()
    except IntegrityError:
        return False
    session.add(generation)
    await session.flush()
    return True


async def change(session: AsyncSession, collection_id: str, values: dict[str, object]) -> bool:
    """Update a collection; False if its owner has another of the new name."""
    try:
        async with session.begin_nested():
            await session.execute(update(Collection).where(Collection.id == collection_id).values(**values))
    except IntegrityError:
        return False
    return True


async def delete(session: AsyncSession, collection_id: str) -> None:
    """Put a collection out of reach; the operation that follows removes its rows."""
    await session.execute(update(Collection).where(Collection.id == collection_id).values(state=CollectionState.DELETING))


async def mark_failed(session: AsyncSession, collection_id: str, fence: int, reason: str) -> None:
    """Note that a collection's last operation failed, unless a newer claim is at work or the collection goes."""
    here = (Collection.id == collection_id, Collection.write_fence <= fence, Collection.state != CollectionState.DELETING)
    values = {"state": CollectionState.ERROR, "state_reason": reason}
    await session.execute(update(Collection).where(*here).values(**values))


async def generations(session: AsyncSession, collection_id: str) -> Sequence[Generation]:
    statement = select(Generation).where(Generation.collection_id == collection_id)
    return (await session.scalars(statement.order_by(Generation.generation))).all()


async def live_generations(session: AsyncSession, collection_id: str) -> list[Generation]:
    """List the generations that hides and purges must reach."""
    return [generation for generation in await generations(session, collection_id) if generation.state != GenerationState.DROPPING]


async def hanging_deletions(session: AsyncSession, older_than_seconds: float, limit: int) -> Sequence[AnyRow]:
    """List collections (id, owner) that have been on their way out for a while, oldest first."""
    old = Collection.update_time < func.clock_timestamp() - func.make_interval(0, 0, 0, 0, 0, 0, older_than_seconds)
    statement = select(Collection.id, Collection.owner_id).where(Collection.state == CollectionState.DELETING, old)
    return (await session.execute(statement.order_by(Collection.update_time).limit(limit))).all()


async def orphaned_indexes(session: AsyncSession, collection_ids: Mapping[str, str]) -> list[str]:
    """Return those of the indexes, by name with their collection's id, that no generation names although the collection is ours.

    Ours is what is here, and what the audit log says was deleted here.
    """
    named = select(Generation.qdrant_name).where(Generation.qdrant_name == any_(texts(collection_ids)))
    owned = set((await session.scalars(named)).all())
    ids = texts({collection_id for name, collection_id in collection_ids.items() if name not in owned})
    deleted = (AuditEntry.collection_id == any_(ids), AuditEntry.action == "collection.delete")
    known = union(select(Collection.id).where(Collection.id == any_(ids)), select(AuditEntry.collection_id).where(*deleted))
    ours = set((await session.scalars(known)).all())
    return [name for name, collection_id in collection_ids.items() if name not in owned and collection_id in ours]
