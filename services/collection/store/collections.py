"""Queries on collections, their generations and grants."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import ColumnElement, func, or_, select, tuple_, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from libs.rpc.call import Principal
from services.collection.tables import Collection, CollectionState, Document, DocumentState, Generation, GenerationState, Grant, Role


async def get(session: AsyncSession, collection_id: str) -> Collection | None:
    return await session.get(Collection, collection_id)


async def locked(session: AsyncSession, collection_id: str) -> Collection:
    """Return a collection that is known to exist, locked until the transaction ends."""
    return await session.get_one(Collection, collection_id, with_for_update=True, populate_existing=True)


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
    await session.refresh(collection)
    return True


async def change(session: AsyncSession, collection: Collection, values: dict[str, object]) -> bool:
    """Update a collection; False if its owner has another of the new name."""
    try:
        async with session.begin_nested():
            await session.execute(update(Collection).where(Collection.id == collection.id).values(**values))
    except IntegrityError:
        return False
    await session.refresh(collection)
    return True


async def granted(session: AsyncSession, collection_id: str, *, user_id: str | None = None, api_key_id: str | None = None) -> Role | None:
    holder = Grant.user_id == user_id if user_id is not None else Grant.api_key_id == api_key_id
    role = await session.scalar(select(Grant.role).where(Grant.collection_id == collection_id, holder))
    return Role(role) if role else None


def readable_by(principal: Principal) -> ColumnElement[bool]:
    """Return the condition that ``permission.decide`` gives a role, for lists."""
    mine = select(Grant.collection_id).where(Grant.user_id == principal.user_id)
    allowed = or_(Collection.owner_id == principal.user_id, Collection.is_public, Collection.id.in_(mine))
    visible = (Collection.state != CollectionState.DELETING) & allowed
    if principal.restricted:
        visible &= Collection.id.in_(select(Grant.collection_id).where(Grant.api_key_id == principal.api_key_id))
    return visible


async def listed(
    session: AsyncSession, principal: Principal, *, name: str, owned_only: bool, limit: int, before: tuple[datetime, str] | None
) -> list[Collection]:
    """List what the principal may read, newest first."""
    statement = select(Collection).where(readable_by(principal))
    if name:
        statement = statement.where(Collection.name == name)
    if owned_only:
        statement = statement.where(Collection.owner_id == principal.user_id)
    if before is not None:
        statement = statement.where(tuple_(Collection.create_time, Collection.id) < before)
    statement = statement.order_by(Collection.create_time.desc(), Collection.id.desc()).limit(limit)
    return list((await session.scalars(statement)).all())


async def readable_ids(session: AsyncSession, principal: Principal) -> list[str]:
    return list((await session.scalars(select(Collection.id).where(readable_by(principal)).order_by(Collection.id))).all())


async def active_generation(session: AsyncSession, collection: Collection) -> Generation:
    return await session.get_one(Generation, (collection.id, collection.generation))


async def active_generations(session: AsyncSession, collections: Sequence[Collection]) -> dict[str, Generation]:
    """Return the active generation of each collection, by collection id."""
    keys = [(collection.id, collection.generation) for collection in collections]
    found = await session.scalars(select(Generation).where(tuple_(Generation.collection_id, Generation.generation).in_(keys)))
    return {generation.collection_id: generation for generation in found.all()}


async def generations(session: AsyncSession, collection_id: str) -> list[Generation]:
    statement = select(Generation).where(Generation.collection_id == collection_id)
    return list((await session.scalars(statement.order_by(Generation.generation))).all())


async def live_generations(session: AsyncSession, collection_id: str) -> list[Generation]:
    """List the generations that hides and purges must reach."""
    return [each for each in await generations(session, collection_id) if each.state != GenerationState.DROPPING]


async def recount(session: AsyncSession, collection_id: str) -> None:
    """Count a collection's documents, chunks and bytes anew from its rows."""
    counted = select(func.count(), func.coalesce(func.sum(Document.chunk_count), 0), func.coalesce(func.sum(Document.size_bytes), 0))
    counted = counted.where(Document.collection_id == collection_id, Document.state == DocumentState.INDEXED)
    documents, chunks, size = (await session.execute(counted)).one()
    values = {"document_count": documents, "chunk_count": int(chunks), "size_bytes": int(size)}
    await session.execute(update(Collection).where(Collection.id == collection_id).values(**values))
