"""Queries on sources."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, func, select, tuple_, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from libs.db.tables import AnyRow, new_id
from services.collection.store.indexing import counts
from services.collection.store.roles import ROLE, Subject
from services.collection.tables import Collection, Source, SourceKind

UPLOAD_LOCATION = "upload"
_COLUMNS = (
    Source.id,
    Source.collection_id,
    Source.kind,
    Source.location,
    Source.config,
    Source.document_count,
    Source.size_bytes,
    Source.last_sync_time,
    Source.create_time,
    Source.update_time,
    Source.delete_time,
)
_BY_ID = select(*_COLUMNS, ROLE.label("role")).join(Collection, Collection.id == Source.collection_id)
_BY_ID = _BY_ID.where(Source.id == bindparam("source_id"))
_PRESENT = _BY_ID.where(Source.delete_time.is_(None))


async def get(session: AsyncSession, source_id: str) -> Source | None:
    """Return a source that was not removed."""
    return (await session.scalars(select(Source).where(Source.id == source_id, Source.delete_time.is_(None)))).one_or_none()


async def with_role(session: AsyncSession, subject: Subject, source_id: str) -> AnyRow | None:
    """Return a source that was not removed, with the subject's role on its collection."""
    return (await session.execute(_PRESENT, {**subject, "source_id": source_id})).one_or_none()


async def any_with_role(session: AsyncSession, subject: Subject, source_id: str) -> AnyRow | None:
    """Return a source, removed or not, as ``with_role`` does; a removed one is there until its last document is gone."""
    return (await session.execute(_BY_ID, {**subject, "source_id": source_id})).one_or_none()


async def at(session: AsyncSession, collection_id: str, location: str) -> AnyRow | None:
    """Return the collection's source at a location."""
    here = (Source.collection_id == collection_id, Source.location == location, Source.delete_time.is_(None))
    return (await session.execute(select(*_COLUMNS).where(*here))).one_or_none()


async def add(session: AsyncSession, source: Source) -> bool:
    """Insert a source; False if the collection has one at its location."""
    values = {name: getattr(source, name) for name in ("id", "collection_id", "kind", "location", "config")}
    inserted = await session.scalars(insert(Source).values(**values).on_conflict_do_nothing().returning(Source.id))
    return inserted.one_or_none() is not None


async def for_uploads(session: AsyncSession, collection_id: str) -> str:
    """Return the id of the collection's source of uploads, made on first use. The caller has locked the collection."""
    source = await at(session, collection_id, UPLOAD_LOCATION)
    if source is not None:
        return str(source.id)
    fresh = Source(id=new_id(), collection_id=collection_id, kind=SourceKind.UPLOAD, location=UPLOAD_LOCATION, config={})
    await add(session, fresh)
    return fresh.id


async def list_present(session: AsyncSession, collection_id: str, limit: int, before: tuple[datetime, str] | None) -> Sequence[AnyRow]:
    """List a collection's sources, newest first."""
    statement = select(*_COLUMNS).where(Source.collection_id == collection_id, Source.delete_time.is_(None))
    if before is not None:
        statement = statement.where(tuple_(Source.create_time, Source.id) < before)
    return (await session.execute(statement.order_by(Source.create_time.desc(), Source.id.desc()).limit(limit))).all()


async def configure(session: AsyncSession, source_id: str, config: Mapping[str, Any]) -> None:
    """Give a source other settings. The caller has locked the collection."""
    values = {"config": dict(config), "update_time": func.clock_timestamp()}
    await session.execute(update(Source).where(Source.id == source_id).values(**values))


async def remove(session: AsyncSession, source_id: str) -> None:
    """Take a source with its documents out of sight and out of the counters. The caller has locked the collection.

    Its documents are not touched, however many they are: the operation that follows removes them in pages.
    """
    source = await session.get_one(Source, source_id, populate_existing=True)
    await counts.subtract_source(session, source)
    await session.execute(update(Source).where(Source.id == source_id).values(delete_time=func.clock_timestamp()))


async def hanging_removals(session: AsyncSession, older_than_seconds: float, limit: int) -> Sequence[AnyRow]:
    """List sources (id, collection, its owner) that have been on their way out for a while, oldest first."""
    old = Source.delete_time < func.clock_timestamp() - func.make_interval(0, 0, 0, 0, 0, 0, older_than_seconds)
    statement = select(Source.id, Source.collection_id, Collection.owner_id).join(Collection, Collection.id == Source.collection_id)
    return (await session.execute(statement.where(old).order_by(Source.delete_time).limit(limit))).all()
