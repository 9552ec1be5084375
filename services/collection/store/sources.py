"""Queries on sources."""

from datetime import datetime

from sqlalchemy import func, select, tuple_, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from libs.db.tables import new_id
from services.collection.tables import Document, DocumentState, Source, SourceKind

UPLOAD_LOCATION = "upload"


async def get(session: AsyncSession, source_id: str) -> Source | None:
    """Return a source that was not removed."""
    return (await session.scalars(select(Source).where(Source.id == source_id, Source.delete_time.is_(None)))).one_or_none()


async def at(session: AsyncSession, collection_id: str, location: str) -> Source | None:
    """Return the collection's source at a location."""
    statement = select(Source).where(Source.collection_id == collection_id, Source.location == location, Source.delete_time.is_(None))
    return (await session.scalars(statement)).one_or_none()


async def add(session: AsyncSession, source: Source) -> bool:
    """Insert a source; False if the collection has one at its location."""
    values = {name: getattr(source, name) for name in ("id", "collection_id", "kind", "location", "config")}
    result = await session.execute(insert(Source).values(**values).on_conflict_do_nothing().returning(Source.id))
    return result.scalar_one_or_none() is not None


async def for_uploads(session: AsyncSession, collection_id: str) -> Source:
    """Return the collection's source of uploads, made on first use."""
    fresh = Source(id=new_id(), collection_id=collection_id, kind=SourceKind.UPLOAD, location=UPLOAD_LOCATION, config={})
    await add(session, fresh)
    found = await at(session, collection_id, UPLOAD_LOCATION)
    if found is None:
        raise LookupError(f"collection {collection_id} has no upload source")
    return found


async def listed(session: AsyncSession, collection_id: str, limit: int, before: tuple[datetime, str] | None) -> list[Source]:
    """List a collection's sources, newest first."""
    statement = select(Source).where(Source.collection_id == collection_id, Source.delete_time.is_(None))
    if before is not None:
        statement = statement.where(tuple_(Source.create_time, Source.id) < before)
    return list((await session.scalars(statement.order_by(Source.create_time.desc(), Source.id.desc()).limit(limit))).all())


async def remove(session: AsyncSession, source: Source) -> None:
    """Take a source and its documents out of sight; the operation that follows removes their rows."""
    moment = func.clock_timestamp()
    await session.execute(update(Source).where(Source.id == source.id).values(delete_time=moment))
    gone = {"state": DocumentState.DELETED, "delete_time": moment}
    live = (Document.source_id == source.id, Document.state != DocumentState.DELETED)
    await session.execute(update(Document).where(*live).values(**gone))
